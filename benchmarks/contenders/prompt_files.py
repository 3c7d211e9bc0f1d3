"""The files of the benchmark of prompts: the same prompt in the two dialects that peers read, and its inputs."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

_RULES = "".join(
    f"{number}. Answer from the documents alone, and name the one that the answer was found in.\n"
    for number in range(1, 20)
)
_BODY = f"""system:
You answer questions of customers for a shop that is open on weekdays. These are the rules:
{_RULES}
{{% for document in documents %}}
- {{{{ document.title }}}}: {{{{ document.text }}}}
{{% endfor %}}

user:
{{{{ question }}}}
Answer {{{{ name }}}} in {{{{ language }}}}.
"""
_SECOND = """---
name: answer-{number}
description: Answers a question from documents
model:
  id: gpt-4o
  provider: openai
  options:
    temperature: 0.2
inputs:
  - name: question
    kind: string
    required: true
  - name: name
    kind: string
  - name: language
    kind: string
    default: English
  - name: documents
    kind: array
    items:
      kind: object
      properties: []
---
"""
_FIRST = """---
name: answer-{number}
description: Answers a question from documents
model:
  api: chat
  configuration:
    type: openai
    model: gpt-4o
  parameters:
    temperature: 0.2
inputs:
  question:
    type: string
  name:
    type: string
  language:
    type: string
    default: English
  documents:
    type: list
---
"""
INPUTS: dict[str, Any] = {
    "question": "When can I bring back what I bought?",
    "name": "Ada",
    "documents": [
        {"title": f"Page {number}", "text": "What was bought is taken back. " * 2} for number in range(5)
    ],
}
_numbers = count()


def written(folder: Path, dialect: str, number: int) -> list[Path]:
    """So many files of the dialect (`first` or `second`), no two of them alike, so that nobody has read one before."""
    front = _FIRST if dialect == "first" else _SECOND
    paths: list[Path] = []
    for _ in range(number):
        mark = next(_numbers)
        path = folder / f"{dialect}-{mark}.prompty"
        path.write_text(
            front.replace("{number}", str(mark)) + _BODY + f"Question {mark}.\n", encoding="utf-8"
        )
        paths.append(path)
    return paths
