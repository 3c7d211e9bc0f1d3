"""Limits: rates of requests and tokens, circuit breakers and the cache, in one process and shared over Redis."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.limits.breakers import MODELS as MODELS
    from surefoot.limits.breakers import Breakers as Breakers
    from surefoot.limits.breakers import Trial as Trial
    from surefoot.limits.breakers import is_failure as is_failure
    from surefoot.limits.cache import AnswerCache as AnswerCache
    from surefoot.limits.cache import RedisAnswers as RedisAnswers
    from surefoot.limits.cache import Sealing as Sealing
    from surefoot.limits.redis import SharedRedis as SharedRedis
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "breakers": ["MODELS", "Breakers", "Trial", "is_failure"],
            "cache": ["AnswerCache", "RedisAnswers", "Sealing"],
            "redis": ["SharedRedis"],
        },
    )
