"""`surefoot init`: a settings file, a flow, and a prompt with cases that run at once."""

from __future__ import annotations

from pathlib import Path

import click

from surefoot.cli.options import documented

FLOW = '''"""A first flow: a step, a prompt and a model call. Each run of it is recorded and can be resumed."""

from openai import OpenAI

from surefoot import Prompty, Workflow, step


@step(pure=True)
def opening(text: str, words: int) -> str:
    """The first words of a text; a model need not read more to say what it is about."""
    return " ".join(text.split()[:words])


class Describe(Workflow):
    """Says in one sentence what a text is about."""

    def __init__(self, client: OpenAI):
        super().__init__()
        self.client = client

    def run(self, text: str, words: int = 300) -> dict[str, str]:
        prompt = Prompty.load_template("describe_text").render(text=opening(text, words))
        response = self.client.chat.completions.create(
            model="gpt-4o",
            messages=[{"role": "user", "content": prompt}],
            max_tokens=80,
        )
        return {"answer": (response.choices[0].message.content or "").strip()}
'''
PROMPT = """prompt_id: describe_text
version: "1"
template: |
  Say in one sentence what this text is about.

  Text: {text}

  Sentence:
"""
CASES = """# `surefoot prompt test` runs these: they need no model.
cases:
  - name: the text stands in the message
    inputs:
      text: The pager is handed over on Monday.
    expect:
      messages:
        roles: [user]
        contains: "Text: The pager is handed over on Monday."
        max_tokens: 100

  - name: one sentence is an answer
    inputs:
      text: The pager is handed over on Monday.
    answer: It is about when the pager is handed over.
    expect:
      regex: '^[A-Z].*\\.$'
      not_contains: "Text:"

  - name: a text is needed
    inputs: {}
    expect:
      error: text is missing
"""
TEXT = "The duty engineer carries the pager for one week, and hands it over on Monday at 10:00."


@documented(example="surefoot init my-project")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
def command(folder: Path) -> int:
    """Write surefoot.toml, flow.py and a prompt with cases into DIR, by default the working directory.

    The flow runs at once: without a key, gpt-4o is the embedded model. Nothing is ever overwritten.
    """
    from surefoot.cli import screen
    from surefoot.config import template
    from surefoot.errors import ConfigError

    files = {
        "surefoot.toml": template(),
        "flow.py": FLOW,
        "prompts/describe_text.yaml": PROMPT,
        "prompts/describe_text.cases.yaml": CASES,
    }
    if existing := [name for name in files if (folder / name).exists()]:
        raise ConfigError(
            f"{', '.join(existing)} {'is' if len(existing) == 1 else 'are'} in {folder.absolute()} already, and "
            "nothing is overwritten: choose another folder, or move them away"
        )
    console = screen.out()
    try:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            console.print(f"wrote {path}", soft_wrap=True)
    except OSError as error:
        raise ConfigError(
            f"{error.filename} cannot be written ({error.strerror}): choose another folder"
        ) from error
    inside = "" if folder == Path() else f"cd {folder}\n  "
    console.print("\nNext:", style="bold")
    console.print(f"  {inside}surefoot run flow.py:Describe --input text='{TEXT}'", soft_wrap=True)
    console.print("  surefoot show last       what it did, call by call")
    console.print("  surefoot prompt test     the cases of its prompt")
    console.print("  surefoot doctor          whether anything is missing here")
    return 0
