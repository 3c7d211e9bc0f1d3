"""Prompts with prompty 2 and promptflow: files loaded, and rendered to messages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import prompty  # type: ignore[import-not-found]
from promptflow.core import Prompty  # type: ignore[import-not-found]

from benchmarks.contenders.prompt_files import INPUTS, written
from benchmarks.contenders.serving import Round, arguments, serve


def main(folder: Path) -> None:
    folder.mkdir()
    serve(
        {
            "load-first": loading(folder, "first", Prompty.load),
            "load-second": loading(folder, "second", prompty.load),
            "render-first": rendering(Prompty.load(written(folder, "first", 1)[0]).render),
            "render-second": rendering(prepared(prompty.load(written(folder, "second", 1)[0]))),
        }
    )


def prepared(agent: Any) -> Callable[..., object]:
    def prepare(**inputs: object) -> object:
        return prompty.prepare(agent, inputs)

    return prepare


def loading(folder: Path, dialect: str, load: Callable[[Path], object]) -> Callable[[int], dict[str, float]]:
    load(written(folder, dialect, 1)[0])

    def round_of(number: int) -> dict[str, float]:
        paths = written(folder, dialect, number)
        with Round() as taken:
            for path in paths:
                load(path)
        return taken.result(number)

    return round_of


def rendering(render: Callable[..., object]) -> Callable[[int], dict[str, float]]:
    def round_of(number: int) -> dict[str, float]:
        with Round() as taken:
            for _ in range(number):
                render(**INPUTS)
        return taken.result(number)

    return round_of


if __name__ == "__main__":
    main(arguments()[0] / "peers")
