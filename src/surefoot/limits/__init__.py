"""Limits: rates of requests and tokens, circuit breakers and the cache, in one process and shared over Redis."""

from surefoot.limits.breakers import MODELS, Breakers, Trial, is_failure
from surefoot.limits.breakers import Rules as BreakerRules
from surefoot.limits.redis import SharedRedis

__all__ = ["MODELS", "BreakerRules", "Breakers", "SharedRedis", "Trial", "is_failure"]
