"""Limits of requests and tokens a minute, and of calls at a time, for one process and for many over Redis."""

from surefoot.limits.rates.admission import Rates, rates_of
from surefoot.limits.rates.in_process import InProcess
from surefoot.limits.rates.limit import RateLimit
from surefoot.limits.rates.permit import AdmittedPermit
from surefoot.limits.rates.shared import Shared

__all__ = ["AdmittedPermit", "InProcess", "RateLimit", "Rates", "Shared", "rates_of"]
