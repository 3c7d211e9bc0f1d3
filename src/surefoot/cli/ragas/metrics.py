"""`surefoot ragas metrics`: what the ragas that is set up can compute."""

from __future__ import annotations

import click

from surefoot.cli.options import documented, json_errors, json_option


@documented(example="surefoot ragas metrics\nsurefoot ragas metrics AnswerRelevancy --json")
@click.argument("name", required=False)
@json_option
@json_errors
def command(name: str | None, as_json: bool) -> int:  # noqa: FBT001
    """List the metrics of ragas, or those whose name holds NAME: what each takes of a case, and its settings.

    Those marked `legacy` are of `ragas.metrics`, the others of `ragas.metrics.collections`.
    """
    from rich.table import Table

    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.errors import InvalidInput
    from surefoot.evals.ragas import Environment
    from surefoot.evals.ragas.scoring import FIELDS

    found = Environment.at(App.current().config.evals.ragas)
    listed = [
        (metric, api, each)
        for api, metrics in found.metrics.items()
        for metric, each in metrics.items()
        if (name or "").lower() in metric.lower()
    ]
    if not listed:
        raise InvalidInput(f"ragas {found.version} has no metric with {name!r} in its name")
    if as_json:
        screen.print_json(
            [
                {
                    "metric": metric,
                    "api": api,
                    "needs": [FIELDS.get(field, field) for field in each.needs],
                    "takes": [FIELDS.get(field, field) for field in each.takes],
                    "params": list(each.params),
                    "asks": list(each.asks),
                }
                for metric, api, each in listed
            ]
        )
        return 0
    table = Table(box=None, pad_edge=False)
    for heading in ("metric", "takes", "settings"):
        table.add_column(heading, overflow="fold")
    for metric, api, each in listed:
        mark = screen.styled(metric, *([(" legacy", "dim")] if api == "legacy" else []))
        optional = [field for field in each.takes if field not in each.needs]
        takes = [FIELDS.get(field, field) for field in each.needs]
        takes += [f"[{FIELDS.get(field, field)}]" for field in optional]
        table.add_row(mark, screen.styled(", ".join(takes)), ", ".join(each.params))
    screen.out().print(table)
    return 0
