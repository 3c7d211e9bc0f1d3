"""The chain of model calls as an endpoint that clients of OpenAI and Anthropic speak to."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.server.gateway.orphans import end_orphans as end_orphans
    from surefoot.server.gateway.routes import RULES as RULES
    from surefoot.server.gateway.routes import gateway_routes as gateway_routes
    from surefoot.server.gateway.translated import Translated as Translated
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "orphans": ["end_orphans"],
            "routes": ["RULES", "gateway_routes"],
            "translated": ["Translated"],
        },
    )
