"""Each test has a policy of its own."""

from policies import own_policy

__all__ = ["own_policy"]
