"""Limits of requests and tokens a minute, and of calls at a time, for one process and for many over Redis."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.limits.rates.admission import Rates as Rates
    from surefoot.limits.rates.admission import rates_of as rates_of
    from surefoot.limits.rates.in_process import InProcess as InProcess
    from surefoot.limits.rates.limit import RateLimit as RateLimit
    from surefoot.limits.rates.permit import AdmittedPermit as AdmittedPermit
    from surefoot.limits.rates.shared import Shared as Shared
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "admission": ["Rates", "rates_of"],
            "in_process": ["InProcess"],
            "limit": ["RateLimit"],
            "permit": ["AdmittedPermit"],
            "shared": ["Shared"],
        },
    )
