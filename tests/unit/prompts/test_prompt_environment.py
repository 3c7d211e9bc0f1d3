"""What a prompt file takes from the environment is shown to nobody: not in errors, not in warnings."""

from __future__ import annotations

from pathlib import Path

import pytest

from surefoot.errors import ConfigError, InvalidInput, PromptError, UnknownModel, UsageError
from surefoot.models.chain.endpoints import Policy
from surefoot.models.generating.addressing import target_for
from surefoot.models.generating.choices import Call
from surefoot.models.generating.prompting import over, rendered
from surefoot.prompts import Prompty, Property
from surefoot.prompts.definition import Prompt
from surefoot.prompts.loading import parse
from surefoot.prompts.rendering import messages_of

SECRET = "hunter2'top\\secret"
HERE = "'${env:TOPSECRET}'"
SECTIONS = {
    "provider": f"{{id: gpt-4o, provider: {HERE}}}",
    "type": f"{{api: chat, configuration: {{type: {HERE}, azure_deployment: x}}}}",
    "api": f"{{api: {HERE}, configuration: {{type: openai, model: x}}}}",
    "number": f"{{id: gpt-4o, options: {{temperature: {HERE}}}}}",
    "connection": f"{{id: gpt-4o, connection: {HERE}}}",
    "reference": f"{{connection: {{kind: reference, name: {HERE}}}}}",
    "beside": f"{{configuration: {{connection: {HERE}, azure_endpoint: 'https://x.openai.azure.com'}}}}",
    "tools": f"{{id: gpt-4o, options: {{additionalProperties: {{tools: [{{function: {HERE}}}]}}}}}}",
    "format": f"{{id: openai:gpt-4o, options: {{additionalProperties: {{response_format: {HERE}}}}}}}",
    "response": f"{{api: chat, response: {HERE}, configuration: {{type: openai, model: x}}}}",
    "model": f"{{id: {HERE}}}",
    "endpoint": f"{{id: gpt-4o, connection: {{kind: key, endpoint: {HERE}, apiKey: {HERE}}}}}",
}


@pytest.mark.parametrize("section", SECTIONS.values(), ids=SECTIONS.keys())
def test_no_message_tells_what_a_variable_holds(
    section: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TOPSECRET", SECRET)
    prompt = Prompty(parse(f"---\nname: a\nmodel: {section}\n---\nuser:\nx", Path("a.prompty")))

    def ask() -> None:
        text = rendered(prompt, {})
        target_for(text, Call(), over(Call(), text.settings), Policy(), None)

    with pytest.raises((UsageError, ConfigError, UnknownModel)) as raised:
        ask()
    told = str(raised.value) + "".join(getattr(raised.value, "__notes__", [])) + caplog.text
    assert "hunter2" not in told
    assert "secret" not in told.replace("TOPSECRET", "")
    assert "a.prompty" in told


@pytest.mark.parametrize("number", ["0x" + "f" * 5000, "1" + ":1" * 3000, "0b" + "1" * 5000])
def test_a_number_that_nobody_can_write_out_is_refused(number: str) -> None:
    with pytest.raises(PromptError, match=r"a\.prompty:2:\d+: this number is too large"):
        parse(f"---\nmetadata: {{a: {number}}}\n---\nuser:\nx", Path("a.prompty"))


def test_an_array_of_numbers_is_no_picture() -> None:
    numpy = pytest.importorskip("numpy")
    prompt = Prompt(
        *("p", "", "", "prompty-v2", "", "user:\n{{ im }}"), inputs={"im": Property("im", "image")}
    )
    with pytest.raises(InvalidInput, match="im: expected an address"):
        messages_of(prompt, {"im": numpy.zeros(3)})


@pytest.mark.parametrize("text", ["a\\e[31mb", "a\\nb", "a\\u202eb", "a\\x07"])
@pytest.mark.parametrize("key", ["name", "version"])
def test_a_name_that_would_steer_a_terminal_is_refused(key: str, text: str) -> None:
    with pytest.raises(PromptError, match="has characters that do not show") as raised:
        parse(f'---\n{key}: "{text}"\n---\nuser:\nx', Path("a.prompty"))
    assert str(raised.value).isprintable()
