"""Webhooks: who is told of runs, from what the ledger has of them, at least once."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.server.hooks.courier import Courier as Courier
    from surefoot.server.hooks.courier import known_webhook as known_webhook
    from surefoot.server.hooks.message import Message as Message
    from surefoot.server.hooks.office import PostOffice as PostOffice
    from surefoot.server.hooks.office import Told as Told
    from surefoot.server.hooks.webhook import Webhook as Webhook
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "courier": ["Courier", "known_webhook"],
            "message": ["Message"],
            "office": ["PostOffice", "Told"],
            "webhook": ["Webhook"],
        },
    )
