"""`surefoot dataset sample`: some cases of a dataset."""

from __future__ import annotations

from pathlib import Path

import click

from surefoot.cli.dataset.given import (
    FILE,
    force_option,
    loaded,
    reading_options,
    seed_option,
    where_option,
)
from surefoot.cli.options import documented, json_errors, json_option


@documented(example="surefoot dataset sample golden.jsonl 100 --by topic -o small.jsonl")
@click.argument("file", type=FILE)
@click.argument("size", type=click.IntRange(min=1), metavar="N")
@click.option(
    "--by", metavar="KEY", help="Each value of this metadata key, or input, has its share of the sample."
)
@seed_option
@where_option
@click.option("-o", "--out", type=FILE, required=True, metavar="FILE", help="The file that is written.")
@force_option
@reading_options
@json_option
@json_errors
def command(  # noqa: PLR0917
    file: Path,
    size: int,
    by: str | None,
    seed: int,
    conditions: tuple[str, ...],
    out: Path,
    force: bool,  # noqa: FBT001
    flow: str | None,
    columns: tuple[str, ...],
    encoding: str | None,
    delimiter: str | None,
    as_json: bool,  # noqa: FBT001
) -> int:
    """Write N cases of the dataset FILE: the same ones each time, and part of any larger sample with the seed."""
    from surefoot.cli import screen, words

    dataset = loaded(
        file, flow=flow, columns=columns, encoding=encoding, delimiter=delimiter, conditions=conditions
    )
    drawn = dataset.sample(size, seed=seed, by=by)
    drawn.save(out, overwrite=force)
    if as_json:
        screen.print_json(
            {"file": str(out), "cases": len(drawn), "of": len(dataset), "version": drawn.version}
        )
    else:
        said = f"{out}  {words.counted(len(drawn), 'case')} of {len(dataset):,}"
        screen.out().print(said, soft_wrap=True)
    return 0
