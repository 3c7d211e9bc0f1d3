"""Who may come in, with what."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.server.entry.body import body_of as body_of
    from surefoot.server.entry.body import has_body as has_body
    from surefoot.server.entry.caller import Caller as Caller
    from surefoot.server.entry.entered import entered as entered
    from surefoot.server.entry.guard import allowed as allowed
    from surefoot.server.entry.guard import caller_of as caller_of
    from surefoot.server.entry.guard import may as may
    from surefoot.server.entry.guard import principal_of as principal_of
    from surefoot.server.entry.protocol import protocol as protocol
    from surefoot.server.entry.refusal import Refusal as Refusal
    from surefoot.server.entry.rule import Rule as Rule
    from surefoot.server.entry.rule import Rules as Rules
    from surefoot.server.entry.rule import rule as rule
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "body": ["body_of", "has_body"],
            "caller": ["Caller"],
            "entered": ["entered"],
            "guard": ["allowed", "caller_of", "may", "principal_of"],
            "protocol": ["protocol"],
            "refusal": ["Refusal"],
            "rule": ["Rule", "Rules", "rule"],
        },
    )
