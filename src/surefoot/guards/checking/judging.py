"""The model that judges messages: what it is asked with, and how its answer is read."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from surefoot.effects import Program
from surefoot.guards.checking.parts import Judge
from surefoot.texts.fences import stripped

FILE = Path(__file__).with_name("prompts") / "injection.prompty"

MOST = 32_768
"""Characters of a text that a judge is shown: its beginning and its end."""


def judged_by(ask: Callable[[Mapping[str, object]], Program[object]], key: Callable[[], bytes]) -> Judge:
    """A judge that is asked with the prompt in `FILE`.

    ask: gives the inputs of the prompt to the model, and what it answers.
    key: of the application. The text stands between marks that nobody can write who does not know it.
    """

    def judge(text: str, /) -> Program[bool]:
        # A judge reads what the model is to read, and no token of a chat that would end the judge's own message.
        bare = stripped(text).text
        shown = bare if len(bare) <= MOST else f"{bare[: MOST // 2]}\n[...]\n{bare[-MOST // 2 :]}"
        mark = hmac.digest(key(), shown.encode("utf-8", "surrogatepass"), "sha256")[:16].hex()
        said = yield from ask({"text": shown, "mark": mark})
        verdict = cast("Mapping[str, object]", said).get("is_attempt") if isinstance(said, Mapping) else None
        if not isinstance(verdict, bool):
            raise TypeError("the judge gave no verdict")
        return verdict

    return judge
