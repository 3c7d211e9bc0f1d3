"""Answers of models that are given again, in one process and in many."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.limits.cache.answers import AnswerCache as AnswerCache
    from surefoot.limits.cache.answers import Flight as Flight
    from surefoot.limits.cache.answers import Terms as Terms
    from surefoot.limits.cache.redis import RedisAnswers as RedisAnswers
    from surefoot.limits.cache.redis import Sealing as Sealing
    from surefoot.limits.cache.store import Sought as Sought
    from surefoot.limits.cache.store import Store as Store
    from surefoot.limits.cache.store import Taken as Taken
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "answers": ["AnswerCache", "Flight", "Terms"],
            "redis": ["RedisAnswers", "Sealing"],
            "store": ["Sought", "Store", "Taken"],
        },
    )
