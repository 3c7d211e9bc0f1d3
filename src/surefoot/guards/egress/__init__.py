"""Where an answer may lead: addresses in Markdown and HTML, held against an allow-list of hosts."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.guards.egress.defanging import Defanged as Defanged
    from surefoot.guards.egress.defanging import NotDefanged as NotDefanged
    from surefoot.guards.egress.defanging import defanged as defanged
    from surefoot.guards.egress.hosts import Hosts as Hosts
else:
    __getattr__, __dir__ = doors.lazy(
        __name__, {"defanging": ["Defanged", "NotDefanged", "defanged"], "hosts": ["Hosts"]}
    )
