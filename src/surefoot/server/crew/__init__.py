"""One server of several processes: who begins them and keeps them, and what they share."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.server.crew.crew import Crew as Crew
    from surefoot.server.crew.member import Member as Member
    from surefoot.server.crew.parts import parts_of as parts_of
    from surefoot.server.crew.rates import SharedRates as SharedRates
    from surefoot.server.crew.tally import Tally as Tally
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "crew": ["Crew"],
            "member": ["Member"],
            "parts": ["parts_of"],
            "rates": ["SharedRates"],
            "tally": ["Tally"],
        },
    )
