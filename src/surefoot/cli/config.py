"""`surefoot config`: the settings, and what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from surefoot.cli.options import debug_option, json_option

if TYPE_CHECKING:
    from surefoot.config import Loaded
    from surefoot.models import Opened


@click.group(
    epilog="\b\nExample:\n  surefoot config show", context_settings={"help_option_names": ["-h", "--help"]}
)
def command() -> None:
    """Show or check the settings.

    They come from SUREFOOT_... variables, the profile that SUREFOOT_ENV chooses, the nearest surefoot.toml and the
    defaults, in this order.
    """


@command.command(epilog="\b\nExample:\n  surefoot config show --json")
@debug_option
@json_option
def show(as_json: bool) -> int:  # noqa: FBT001
    """Show every setting with its value and where it comes from. Secrets are shown as references."""
    from surefoot.cli import screen
    from surefoot.config import load

    loaded = load()
    settings = loaded.settings()
    if as_json:
        screen.print_json(
            {
                "file": None if loaded.file is None else str(loaded.file),
                "profile": loaded.profile,
                "state": str(loaded.state_dir),
                "settings": [
                    {"key": setting.key, "value": setting.value, "origin": setting.origin}
                    for setting in settings
                ],
            }
        )
        return 0
    console = screen.out()
    console.print(f"file     {loaded.file or 'none, so defaults hold'}", soft_wrap=True)
    if loaded.profile:
        console.print(f"profile  {loaded.profile}")
    console.print(f"state    {loaded.state_dir}\n", soft_wrap=True)
    width = max(len(setting.key) for setting in settings)
    for setting in settings:
        is_default = setting.origin == "default"
        origin = (f"  {setting.origin}", "dim" if is_default else "cyan")
        line = screen.styled((f"{setting.key:<{width}}", "bold"), "  ", setting.value, origin)
        if line.cell_len > console.width:
            line = screen.styled(
                (f"{setting.key:<{width}}", "bold"), "  ", setting.value, "\n", " " * width, origin
            )
        console.print(line, soft_wrap=True)
    return 0


@command.command(epilog="\b\nExample:\n  SUREFOOT_ENV=production surefoot config check")
@debug_option
@json_option
def check(as_json: bool) -> int:  # noqa: FBT001
    """Check the settings: every mistake, and every secret whose variable or file is missing. Exit code 1 if any."""
    from surefoot.cli import screen
    from surefoot.config import load
    from surefoot.errors import ConfigError

    mistakes: list[str] = []
    unset: list[str] = []
    connections: list[Opened] = []
    place = ""
    try:
        loaded = load()
        unset = unset_secrets(loaded)
        connections = reachable(loaded)
        place = str(loaded.file or "the defaults")
    except ConfigError as error:
        mistakes = str(error).splitlines()
    is_fine = not mistakes and not unset
    if as_json:
        screen.print_json(
            {
                "is_fine": is_fine,
                "mistakes": list(mistakes),
                "unset": list(unset),
                "connections": [
                    {
                        "name": opened.connection.name,
                        "provider": opened.connection.provider,
                        "base_url": opened.shown_url,
                        "credential": opened.credential.reference if opened.credential else None,
                        "lacks": opened.lacks or None,
                    }
                    for opened in connections
                ],
            }
        )
        return 0 if is_fine else 1
    for line in [*mistakes, *unset]:
        screen.err().print(line, soft_wrap=True)
    for opened in connections:
        screen.out().print(f"connection {opened}", soft_wrap=True)
    if is_fine:
        screen.out().print(f"{place}: no mistakes, every secret that is referred to is set", soft_wrap=True)
    return 0 if is_fine else 1


def unset_secrets(loaded: Loaded) -> list[str]:
    """The secrets that connections refer to and that are not there, each in a sentence."""
    return [
        f"connections.{name}.{setting} refers to {secret.reference}, which is not set"
        for name, connection in loaded.config.connections.items()
        for setting, secret in (
            ("api_key", connection.api_key),
            ("ad_token", connection.ad_token),
            *((f"headers.{header}", text) for header, text in connection.headers.items()),
        )
        if secret is not None and not secret.is_set()
    ]


def reachable(loaded: Loaded) -> list[Opened]:
    """The connections that calls can be made over, of the settings and of the providers' own variables."""
    from surefoot.app import App
    from surefoot.models import available

    return available(App(loaded).endpoints.connections, loaded.vault.environ)
