"""Each test has a policy of its own, and a database or a ledger on each engine if it asks for one."""

from engines import ledger, other, place
from policies import own_policy
from postgres import postgres_server, postgres_url

__all__ = ["ledger", "other", "own_policy", "place", "postgres_server", "postgres_url"]
