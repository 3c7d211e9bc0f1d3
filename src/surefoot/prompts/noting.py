"""How runs use prompts: noted once for each place and shape, for those who want to change a prompt."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import CodeType, FrameType

from surefoot import scope
from surefoot.prompts.archive import Archive
from surefoot.prompts.definition import Prompt
from surefoot.prompts.stored import relative
from surefoot.values import PromptUse

TRIAL_FLOW = "prompt-run"
"""The flow of `surefoot prompt run` and of tests of prompts: nothing that a version has to fit."""

_OURS = str(Path(__file__).parents[1]) + os.sep
_STANDARD = str(Path(os.__file__).parent) + os.sep
_INSTALLED = str(Path(os.__file__).parent / "site-packages") + os.sep
_MOST_PLACES = 10_000
_NOTED_SECONDS = 3600.0
"""How often a process notes the same use anew, so that it shows which ones are of today."""

_types: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    tuple: "array",
    dict: "object",
    type(None): "null",
}

# Whether code is passed by, by its file.
_is_ours: dict[str, bool] = {}


class Notes:
    """Notes uses in an archive, each distinct one once: what was noted before costs a look-up."""

    def __init__(self, archive: Archive, root: Path | None) -> None:
        """`root` is the folder of the project, to which files are relative."""
        self._archive = archive
        self._root = root
        self._seen: dict[object, float] = {}
        self._files: dict[CodeType, str] = {}

    def note(self, prompt: Prompt, reference: str, inputs: Mapping[str, object]) -> None:
        """Note that the run that is open here renders a prompt; nothing outside of runs, and of trials."""
        here = scope.current()
        if here is None or here.caller.flow == TRIAL_FLOW:
            return
        frame = _caller(inspect.currentframe())
        place = None if frame is None else (frame.f_code, frame.f_lineno)
        expected = scope.expected()
        flow = here.caller.flow
        kinds = tuple(map(type, inputs.values()))
        key = (prompt.digest, prompt.name, reference, flow, place, tuple(inputs), kinds, expected)
        now = time.monotonic()
        if now < self._seen.get(key, 0.0):
            return
        if len(self._seen) >= _MOST_PLACES:
            self._seen.clear()
        self._seen[key] = now + _NOTED_SECONDS
        self._archive.note(
            PromptUse(
                prompt=prompt.name,
                reference=reference,
                digest=prompt.digest,
                flow=flow,
                inputs={name: type_of(value) for name, value in inputs.items()},
                output=expected,
                file="" if frame is None else self._file(frame.f_code),
                line=0 if frame is None else frame.f_lineno,
                run_id=here.run_id,
                used_ns=time.time_ns(),
            )
        )

    def _file(self, code: CodeType) -> str:
        known = self._files.get(code)
        if known is None:
            if len(self._files) >= _MOST_PLACES:
                self._files.clear()
            known = self._files[code] = relative(Path(code.co_filename), self._root)
        return known


def type_of(value: object) -> str:
    """What a value is, in the words of declared inputs; the name of its class where they have none for it."""
    found = _types.get(type(value))
    if found is not None:
        return found
    if isinstance(value, str):
        return "string"
    if isinstance(value, Mapping):
        return "object"
    if isinstance(value, list | tuple | set | frozenset):
        return "array"
    return type(value).__name__


def _is_passed_by(file: str) -> bool:
    is_standard = file.startswith((_STANDARD, "<frozen ")) and not file.startswith(_INSTALLED)
    return file.startswith(_OURS) or is_standard


def _caller(frame: FrameType | None) -> FrameType | None:
    """The nearest frame that is of neither this package nor Python's own library, which runs threads and tasks."""
    while frame is not None:
        file = frame.f_code.co_filename
        ours = _is_ours.get(file)
        if ours is None:
            if len(_is_ours) >= _MOST_PLACES:
                _is_ours.clear()
            ours = _is_ours[file] = _is_passed_by(file)
        if not ours:
            return frame
        frame = frame.f_back
    return None
