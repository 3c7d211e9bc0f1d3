"""Answers of models that are given again, in one process and in many."""

from surefoot.limits.cache.answers import AnswerCache, Flight, Terms
from surefoot.limits.cache.redis import RedisAnswers, Sealing
from surefoot.limits.cache.store import Sought, Store, Taken

__all__ = ["AnswerCache", "Flight", "RedisAnswers", "Sealing", "Sought", "Store", "Taken", "Terms"]
