"""Prompts in a real MLflow server's registry, loaded and filled by MLflow's own client (docs/guide/mlflow.md)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow as theirs
import pytest
from mlflow import MlflowClient

from serving_there import mlflow_server
from surefoot.app import App
from surefoot.config import load
from surefoot.errors import ExportError, UnknownPrompt
from surefoot.evals import mlflow
from surefoot.evals.mlflow import Registered

VALUES = {"question": "Is 1 < 2 & \\d true?\nReally?", "name": "Ada {{x}}"}
FILES = {
    "short.yaml": "prompt_id: short\nversion: '1'\ntemplate: 'Ask {name}: {question} {{so}}, {name}!'\n",
    "flow.prompty": "---\nname: flow\nversion: '1'\nmodel:\n  api: chat\n  configuration:\n    type: openai\n"
    "    model: gpt-4o\n  parameters:\n    temperature: 0.5\n    max_tokens: 20\n    stop: [END]\n---\n"
    "# system:\nYou are {{ name }}'s desk.\n\n# user:\n  {{question}}  \n\n",
    "jinja.prompty": "---\nname: jinja\nversion: '1'\nmodel: {id: 'openai:gpt-4o-mini', options: {temperature: 0}}\n"
    "outputs:\n  answer: {kind: string}\n---\nsystem:\nBrief. {# not said #}{% raw %}{ {% endraw %}\n\n"
    "user:\n{{name}} asks:\n\n{{-  question }}\n\nassistant:\nYes, {{ name }}?\n\nuser:\n{{question}}\n",
    "moustache.prompty": "---\nname: moustache\nversion: '1'\ntemplate: {format: {kind: mustache}}\n---\n"
    "system:\n{{! a remark }}Hello {{{name}}}.\nuser:\n{{& question }}\n",
}
LOOP = "---\nname: loop\nversion: '1'\n---\nuser:\n{% for name in names %}- {{ name|upper }}\n{% endfor %}\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow-prompts")) as url:
        theirs.set_tracking_uri(url)
        yield url


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str) -> Iterator[App]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "surefoot.toml").write_text(f'[mlflow]\nurl = "{server}"\n', encoding="utf-8")
    (tmp_path / "prompts").mkdir()
    own = App(load(tmp_path))
    with own.entered():
        yield own
    own.close()


def written(app: App, name: str, text: str) -> None:
    (app.prompts.folder / name).write_text(text, encoding="utf-8")


def greeting(name: str, version: str, text: str = "Hello {who}") -> str:
    return f"prompt_id: {name}\nversion: '{version}'\ntemplate: {text}\n"


def one(*references: str) -> Registered:
    [found] = mlflow.register(*references)
    return found


def ours(app: App, name: str) -> list[dict[str, str]]:
    from surefoot.prompts import Prompty

    messages = Prompty(app.prompts.find(name)).messages(**VALUES)
    return [{"role": message.role, "content": message.text} for message in messages]


@pytest.mark.parametrize("file", FILES)
def test_mlflow_fills_a_prompt_as_we_render_it(app: App, file: str) -> None:
    written(app, file, FILES[file])
    found = one(file.partition(".")[0])
    assert (found.is_new, found.is_filled, found.problem) == (True, True, "")
    loaded = theirs.genai.load_prompt(found.uri)
    assert loaded.variables == set(VALUES)
    made: Any = loaded.format(**{name: VALUES[name] for name in sorted(VALUES, reverse=True)})
    rendered = ours(app, found.version.name)
    # The value that holds a hole is put in last, so that MLflow does not look at it again.
    assert made == (rendered[0]["content"] if loaded.is_text_prompt else rendered)
    assert loaded.tags["surefoot.digest"] == found.version.digest
    assert loaded.tags["surefoot.version"] == "1"
    assert "surefoot.template" not in loaded.tags


def test_the_model_and_the_answer_of_a_prompt(app: App) -> None:
    for file in ("flow.prompty", "jinja.prompty"):
        written(app, file, FILES[file])
    flow = theirs.genai.load_prompt(one("flow").uri)
    assert flow.model_config == {
        "provider": "openai",
        "model_name": "gpt-4o",
        "temperature": 0.5,
        "max_tokens": 20,
        "stop_sequences": ["END"],
    }
    jinja = theirs.genai.load_prompt(one("jinja").uri)
    assert jinja.model_config == {"provider": "openai", "model_name": "gpt-4o-mini", "temperature": 0}
    assert jinja.response_format["properties"] == {"answer": {"type": ["string", "null"]}}


def test_what_mlflow_cannot_fill_is_kept_as_it_is_written(app: App) -> None:
    written(app, "loop.prompty", LOOP)
    found = one("loop")
    assert not found.is_filled
    loaded = theirs.genai.load_prompt(found.uri)
    assert loaded.template == app.prompts.find("loop").template
    assert loaded.tags["surefoot.template"] == "jinja2"


def test_each_version_is_there_once_however_often_it_is_registered(app: App) -> None:
    written(app, "a.yaml", greeting("twice", "1"))
    written(app, "b.yaml", greeting("twice", "2", "Hi {who}"))
    written(app, "c.yaml", greeting("other", "1"))
    first = mlflow.register("twice")
    assert [(each.version.version, each.number, each.is_new) for each in first] == [
        ("1", 1, True),
        ("2", 2, True),
    ]
    assert [(each.number, each.is_new) for each in mlflow.register("twice")] == [(1, False), (2, False)]
    assert [each.uri for each in mlflow.register()] == [
        "prompts:/other/1",
        "prompts:/twice/1",
        "prompts:/twice/2",
    ]
    assert len(MlflowClient().search_prompt_versions("twice")) == 2


def test_a_version_whose_file_is_gone_is_registered_from_the_ledger(app: App) -> None:
    written(app, "a.yaml", greeting("gone", "1", "First {who}"))
    app.prompts.keep(app.prompts.find("gone"))
    app.prompts.promote("gone", "old")
    written(app, "a.yaml", greeting("gone", "2", "Second {who}"))
    found = mlflow.register("gone")
    assert [(each.version.version, each.number, each.aliases) for each in found] == [
        ("1", 1, ("old",)),
        ("2", 2, ()),
    ]
    assert theirs.genai.load_prompt("prompts:/gone@old").format(who="Ada") == "First Ada"


def test_labels_are_aliases_and_move_with_us(app: App) -> None:
    written(app, "a.yaml", greeting("led", "1"))
    written(app, "b.yaml", greeting("led", "2", "Hi {who}"))
    app.prompts.promote("led@1", "production")
    app.prompts.promote("led@2", "team.a")
    before, other = mlflow.register("led")
    assert (before.aliases, other.aliases) == (("production",), ())
    assert other.problem == "MLflow has no alias of the name team.a"
    assert MlflowClient().get_prompt_version_by_alias("led", "production").version == 1
    app.prompts.promote("led@2", "production")
    mlflow.register("led")
    assert MlflowClient().get_prompt_version_by_alias("led", "production").version == 2
    assert MlflowClient().get_prompt_version("led", 2).format(who="Ada") == "Hi Ada"


REGISTER = """
import sys
from surefoot.app import App
from surefoot.evals import mlflow

app = App.current()
with app.entered():
    print("ready", flush=True)
    sys.stdin.readline()
    for found in mlflow.register("raced"):
        print(found.number, found.is_new)
app.close()
"""


def test_two_processes_at_once_make_each_version_once(app: App, tmp_path: Path) -> None:
    for version in range(6):
        written(app, f"{version}.yaml", greeting("raced", str(version), f"{version} {{who}}"))
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    some = [subprocess.Popen([sys.executable, "-c", REGISTER], cwd=tmp_path, **pipes) for _ in range(3)]
    for process in some:
        assert process.stdout.readline() == "ready\n"
    for process in some:
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=100)[0] for process in some]
    assert [process.returncode for process in some] == [0, 0, 0]
    found = MlflowClient().search_prompt_versions("raced")
    digests = [each.tags["surefoot.digest"] for each in found]
    assert len(digests) == len(set(digests)) == 6
    # What is said to be new is what stands, and it was new for one of them.
    new = [line.split()[0] for text in said for line in text.splitlines() if line.endswith("True")]
    assert sorted(new) == sorted(str(each.version) for each in found)


def test_what_mlflow_does_not_take_says_why_and_the_others_go_on(app: App) -> None:
    MlflowClient().create_registered_model("taken")
    written(app, "a.yaml", greeting("spaced name", "1"))
    written(app, "b.yaml", greeting("taken", "1"))
    written(app, "c.yaml", greeting("endless", "1", "x" * 100_001))
    written(app, "d.yaml", greeting("good", "1"))
    found = {each.version.name: each for each in mlflow.register()}
    assert "is no name of a prompt in MLflow" in found["spaced name"].problem
    assert "is the name of a model in MLflow" in found["taken"].problem
    assert "answered with 400" in found["endless"].problem
    assert (found["good"].number, found["good"].problem) == (1, "")
    assert [found[name].uri for name in ("spaced name", "taken", "endless")] == ["", "", ""]


def test_an_experiment_lists_the_prompts(app: App) -> None:
    written(app, "a.yaml", greeting("listed", "1"))
    for experiment in ("support", "support", "answers"):
        mlflow.register("listed", experiment_name=experiment)
    ids = [MlflowClient().get_experiment_by_name(name).experiment_id for name in ("support", "answers")]
    assert MlflowClient().get_prompt("listed").tags["_mlflow_experiment_ids"] == f",{','.join(ids)},"


def test_what_is_not_there(app: App, server: str) -> None:
    with pytest.raises(UnknownPrompt, match="no prompt 'nobody'"):
        mlflow.register("nobody")
    written(app, "a.yaml", greeting("good", "1"))
    with pytest.raises(ExportError, match="nothing listens there"):
        mlflow.register("good", url="http://127.0.0.1:9")


def test_the_command(app: App, tmp_path: Path) -> None:
    written(app, "a.yaml", greeting("commanded", "1"))
    written(app, "b.yaml", greeting("bad name", "1"))

    def said(*words: str) -> subprocess.CompletedProcess[str]:
        line = [Path(sys.executable).with_name("surefoot"), "prompt", "register", "--to", "mlflow", *words]
        return subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)

    first = said("commanded")
    assert (first.returncode, first.stdout, first.stderr) == (
        0,
        "commanded@1  registered as prompts:/commanded/1\n",
        "",
    )
    both = said("--all")
    assert (both.returncode, both.stdout.splitlines()) == (
        1,
        ["bad name@1  not registered", "commanded@1  was registered as prompts:/commanded/1"],
    )
    assert "is no name of a prompt in MLflow" in both.stderr
    nothing = said()
    assert (nothing.returncode, "name the prompts to register" in nothing.stderr) == (2, True)
