"""Prompts with Surefoot: files of both dialects loaded, and rendered to messages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.contenders.prompt_files import INPUTS, written
from benchmarks.contenders.serving import Round, arguments, serve
from surefoot.prompts import Prompty


def main(folder: Path) -> None:
    folder.mkdir()
    dialects = ("first", "second")
    serve(
        {f"load-{dialect}": loading(folder, dialect) for dialect in dialects}
        | {f"render-{dialect}": rendering(folder, dialect) for dialect in dialects}
    )


def loading(folder: Path, dialect: str) -> Callable[[int], dict[str, float]]:
    Prompty.load(*written(folder, dialect, 1))

    def load(number: int) -> dict[str, float]:
        paths = written(folder, dialect, number)
        with Round() as taken:
            for path in paths:
                Prompty.load(path)
        return taken.result(number)

    return load


def rendering(folder: Path, dialect: str) -> Callable[[int], dict[str, float]]:
    prompt = Prompty.load(*written(folder, dialect, 1))

    def render(number: int) -> dict[str, float]:
        with Round() as taken:
            for _ in range(number):
                prompt.messages(**INPUTS)
        return taken.result(number)

    return render


if __name__ == "__main__":
    main(arguments()[0] / "ours")
