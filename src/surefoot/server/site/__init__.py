"""The pages behind a login, on the server that runs flows."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.server.site.application import Beside as Beside
    from surefoot.server.site.application import site_of as site_of
    from surefoot.server.site.table import BASE as BASE
    from surefoot.server.site.table import RULES as RULES
else:
    __getattr__, __dir__ = doors.lazy(
        __name__, {"application": ["Beside", "site_of"], "table": ["BASE", "RULES"]}
    )
