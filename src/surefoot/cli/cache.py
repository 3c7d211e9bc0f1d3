"""`surefoot cache`: the answers that are given again, shown and cleared."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from surefoot.cli.options import debug_option, json_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from surefoot.app import App
    from surefoot.limits import AnswerCache

_CONTEXT = {"help_option_names": ["-h", "--help"]}


@click.group(
    epilog="\b\nExample:\n  surefoot cache show\n  surefoot cache clear --prompt summary",
    context_settings=_CONTEXT,
)
def command() -> None:
    """Show or clear the answers of models that are given again."""


def _subcommand(*examples: str, short: str) -> Callable[[Callable[..., Any]], click.Command]:
    lines = "\n".join(f"  {line}" for line in examples)

    def decorate(function: Callable[..., Any]) -> click.Command:
        made = command.command(short_help=short, epilog=f"\b\nExample:\n{lines}", context_settings=_CONTEXT)
        return made(debug_option(json_option(function)))

    return decorate


@_subcommand(
    "surefoot cache show --since 24h", short="How many answers there are, and how often they were given."
)
@click.option(
    "--since",
    default="7d",
    show_default=True,
    metavar="WINDOW|DATE",
    help="Hits are counted of calls in this time: 30m, 1h, 7d, 2w, or from a date on.",
)
def show(since: str, as_json: bool) -> int:  # noqa: FBT001
    """Show how many answers are kept, by flow and prompt, and how many calls were answered from the cache."""
    from datetime import UTC, datetime

    from surefoot.app import App
    from surefoot.cli import screen, words
    from surefoot.cli.since import since_ns
    from surefoot.effects import drive

    with closing(App.current()) as app:
        counts = drive(_cache(app).counts())
        began_ns = since_ns(since, time.time_ns())
        spent = app.costs(by="model", since=datetime.fromtimestamp(began_ns / 1e9, UTC)).rows
        calls, hits = sum(row.calls for row in spent), sum(row.cached for row in spent)
    if as_json:
        screen.print_json(
            {
                "calls": calls,
                "hits": hits,
                "answers": [
                    {
                        "flow": one.flow,
                        "prompt": one.prompt,
                        "answers": one.answers,
                        "expired": one.expired,
                        "bytes": one.bytes,
                    }
                    for one in counts
                ],
            }
        )
        return 0
    out = screen.out()
    share = f", {hits / calls:.0%}" if calls else ""
    out.print(f"{hits:,} of {calls:,} calls were answered from the cache{share}", highlight=False)
    for one in counts:
        prompt = f", prompt {one.prompt}" if one.prompt else ""
        late = f", {one.expired:,} of them expired" if one.expired else ""
        kept = words.counted(one.answers, "answer")
        out.print(
            f"  {one.flow or '(no flow)'}{prompt}: {kept}, {screen.size(one.bytes)}{late}",
            highlight=False,
            soft_wrap=True,
        )
    return 0


@_subcommand(
    "surefoot cache clear --prompt summary",
    "surefoot cache clear --older-than 2d",
    "surefoot cache clear --all",
    short="Give answers no more.",
)
@click.option("--prompt", help="Those of calls with this prompt, in any version.")
@click.option("--flow", help="Those of calls in this flow.")
@click.option("--older-than", metavar="WINDOW", help="Those that are older than this: 30m, 1h, 7d.")
@click.option("--all", "is_all", is_flag=True, help="All of them.")
def clear(
    prompt: str | None,
    flow: str | None,
    older_than: str | None,
    is_all: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> int:
    """Give answers no more: the next call that asks the same is made. What runs have recorded stays.

    Processes that run meanwhile may give an answer again for up to 30 seconds.
    """
    from surefoot.app import App
    from surefoot.cli import screen, words
    from surefoot.cli.since import since_ns
    from surefoot.effects import drive
    from surefoot.errors import InvalidInput
    from surefoot.values import CachedChoice

    named = [name for name in (prompt, flow, older_than) if name is not None]
    if bool(named) == is_all:
        raise InvalidInput(
            "say which answers are to be cleared: --prompt, --flow, --older-than, or --all of them"
        )
    now_ns = time.time_ns()
    older_ns = None if older_than is None else now_ns - since_ns(older_than, now_ns, option="--older-than")
    with closing(App.current()) as app:
        dropped = drive(_cache(app).clear(CachedChoice(prompt, flow, older_ns=older_ns)))
    if as_json:
        screen.print_json({"cleared": dropped})
    else:
        screen.out().print(f"cleared {words.counted(dropped, 'answer')}", highlight=False)
    return 0


def _cache(app: App) -> AnswerCache:
    from surefoot.errors import ConfigError

    if app.answers is None:
        raise ConfigError('cache.calls is "none", so that nothing is kept: there is nothing to show or clear')
    return app.answers
