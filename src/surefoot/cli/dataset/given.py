"""What the commands on datasets share: how a file is read, and which of its cases are meant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from surefoot.evals import Dataset

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(path_type=Path)

flow_option = click.option(
    "--flow",
    metavar="FILE.py:NAME",
    help="The flow that the cases are for: its inputs tell which columns are inputs, and of which types.",
)
map_option = click.option(
    "--map",
    "columns",
    multiple=True,
    metavar="INPUT=COLUMN",
    help="Which column an input of the flow, `expected` or `id` is read from.",
)
encoding_option = click.option(
    "--encoding",
    metavar="NAME",
    help="What a file of text is written in, such as cp1252, where it is not UTF-8.",
)
delimiter_option = click.option(
    "--delimiter", metavar="SIGN", help="What stands between the cells of a CSV file; else it is found."
)
where_option = click.option(
    "--where",
    "conditions",
    multiple=True,
    metavar="CONDITION",
    help="Only cases of which this holds: topic=billing, tag!=x, cost>0.01, len(query)>200. It can be given again.",
)
seed_option = click.option(
    "--seed", type=int, default=0, show_default=True, help="Another seed draws other cases."
)
force_option = click.option("--force", is_flag=True, help="Overwrite a file that is there.")


def reading_options(function: F) -> F:
    """`--flow`, `--map`, `--encoding` and `--delimiter`."""
    return flow_option(map_option(encoding_option(delimiter_option(function))))


def loaded(
    file: Path,
    *,
    flow: str | None,
    columns: Sequence[str],
    encoding: str | None,
    delimiter: str | None,
    conditions: Sequence[str] = (),
) -> Dataset:
    """The dataset that a command line means. Raises `InvalidInput` and `UnknownFlow`."""
    from surefoot.cli import inputs
    from surefoot.evals import Dataset

    dataset = Dataset.load(
        file,
        flow=flow_of(flow),
        columns=inputs.pairs(columns, option="--map"),
        encoding=encoding,
        delimiter=_sign(delimiter),
    )
    return dataset.slice(*conditions) if conditions else dataset


def flow_of(reference: str | None) -> Any:
    """The flow that is named, imported in the app here; None for none. Raises `UnknownFlow`."""
    if reference is None:
        return None
    from surefoot.app import App
    from surefoot.flows import find_spec

    with App.current().entered():
        return find_spec(reference)[0]


def _sign(delimiter: str | None) -> str | None:
    return {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter) if delimiter else delimiter
