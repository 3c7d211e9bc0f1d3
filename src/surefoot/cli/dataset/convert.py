"""`surefoot dataset convert`: a dataset in another format."""

from __future__ import annotations

from pathlib import Path

import click

from surefoot.cli.dataset.given import FILE, flow_of, force_option, loaded, reading_options
from surefoot.cli.options import documented, json_errors, json_option


@documented(example="surefoot dataset convert cases.csv cases.jsonl --flow flows.py:answer")
@click.argument("source", type=FILE)
@click.argument("target", type=FILE)
@force_option
@reading_options
@json_option
@json_errors
def command(  # noqa: PLR0917
    source: Path,
    target: Path,
    force: bool,  # noqa: FBT001
    flow: str | None,
    columns: tuple[str, ...],
    encoding: str | None,
    delimiter: str | None,
    as_json: bool,  # noqa: FBT001
) -> int:
    """Write the dataset SOURCE as TARGET, whose name tells the format, and read it again to see whether it is the same.

    In CSV everything is text: without --flow numbers and lists come back as texts. Exit code 1 if what was written
    does not read as the same dataset.
    """
    from surefoot.cli import screen, words
    from surefoot.evals import Dataset

    dataset = loaded(source, flow=flow, columns=columns, encoding=encoding, delimiter=delimiter)
    dataset.save(target, overwrite=force)
    again = Dataset.load(target, flow=flow_of(flow))
    is_same = again.version == dataset.version
    if as_json:
        screen.print_json(
            {"file": str(target), "cases": len(dataset), "version": dataset.version, "is_same": is_same}
        )
    else:
        said = f"{target}  {words.counted(len(dataset), 'case')}"
        screen.out().print(screen.styled(said, (f"  version {dataset.version}", "dim")), soft_wrap=True)
    if not is_same:
        hint = "" if flow else ": name the flow with --flow, so that types and metadata are known"
        screen.err().print(
            screen.styled((f"read again it is another dataset, version {again.version}{hint}", "yellow")),
            soft_wrap=True,
        )
    return 0 if is_same else 1
