"""`surefoot dataset split`: parts of a dataset as files of their own."""

from __future__ import annotations

from pathlib import Path

import click

from surefoot.cli.dataset.given import FILE, force_option, loaded, reading_options, seed_option
from surefoot.cli.options import documented, json_errors, json_option
from surefoot.errors import InvalidInput


@documented(
    example="surefoot dataset split golden.jsonl train=0.8 test=0.2\n"
    "surefoot dataset split golden.jsonl train=0.8 test=0.2 --by customer"
)
@click.argument("file", type=FILE)
@click.argument("shares", nargs=-1, required=True, metavar="NAME=SHARE...")
@click.option(
    "--by",
    metavar="KEY",
    help="Cases that have the same under this metadata key, or in this input, fall into the same part.",
)
@seed_option
@click.option(
    "--out", type=FILE, metavar="FOLDER", help="Where the parts are written; by default beside FILE."
)
@force_option
@reading_options
@json_option
@json_errors
def command(  # noqa: PLR0917
    file: Path,
    shares: tuple[str, ...],
    by: str | None,
    seed: int,
    out: Path | None,
    force: bool,  # noqa: FBT001
    flow: str | None,
    columns: tuple[str, ...],
    encoding: str | None,
    delimiter: str | None,
    as_json: bool,  # noqa: FBT001
) -> int:
    """Write the parts of the dataset FILE as NAME.PART.jsonl: `train=0.8 test=0.2`.

    Each case falls into a part by the digest of its id, so that none moves when cases are added: give each an id of
    its own. The shares are met on average.
    """
    from surefoot.cli import inputs, screen, words

    wanted = {name: _share(name, text) for name, text in inputs.pairs(shares, option="share").items()}
    dataset = loaded(file, flow=flow, columns=columns, encoding=encoding, delimiter=delimiter)
    parts = dataset.split(seed=seed, by=by, **wanted)
    folder = out or file.parent
    files = {name: folder / f"{dataset.name}.{name}.jsonl" for name in parts}
    if (there := [path for path in files.values() if path.exists()]) and not force:
        raise InvalidInput(
            f"{there[0]} is there already: name a folder with --out, or overwrite it (--force)"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in parts.items():
        part.save(files[name], overwrite=force)
    if as_json:
        screen.print_json(
            {
                name: {"file": str(files[name]), "cases": len(part), "version": part.version}
                for name, part in parts.items()
            }
        )
        return 0
    for name, part in parts.items():
        share = f"{len(part) / len(dataset):.0%}"
        screen.out().print(f"{files[name]}  {words.counted(len(part), 'case')}, {share}", soft_wrap=True)
    return 0


def _share(name: str, text: str) -> float:
    if name in ("seed", "by"):
        raise InvalidInput(f"a part cannot be called {name!r}: that is an option, --{name}")
    try:
        return float(text)
    except ValueError:
        raise InvalidInput(f"the share of {name} is {text!r}: write a number, as in {name}=0.8") from None
