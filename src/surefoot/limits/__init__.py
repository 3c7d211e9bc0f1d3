"""Limits: rates of requests and tokens, circuit breakers and the cache, in one process and shared over Redis."""

from surefoot.limits.breakers import MODELS, Breakers, Trial, is_failure
from surefoot.limits.breakers import Rules as BreakerRules
from surefoot.limits.cache import AnswerCache, RedisAnswers, Sealing
from surefoot.limits.cache import Store as AnswerStore
from surefoot.limits.cache import Terms as CacheTerms
from surefoot.limits.redis import SharedRedis

__all__ = [
    "MODELS",
    "AnswerCache",
    "AnswerStore",
    "BreakerRules",
    "Breakers",
    "CacheTerms",
    "RedisAnswers",
    "Sealing",
    "SharedRedis",
    "Trial",
    "is_failure",
]
