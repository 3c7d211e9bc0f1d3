"""Two verdicts on the same cases: McNemar's test, exact, by its mid-p value."""

from __future__ import annotations

import math

from surefoot.errors import InvalidInput


def mcnemar_p(only_first: int, only_second: int) -> float:
    """How surprising it is that so many cases passed in one arm only, and so many in the other only; two-sided.

    only_first, only_second: numbers of cases. Those with the same verdict in both arms tell nothing.

    Were the arms alike, `only_first` would be binomial with one half. The mid-p counts what was observed by half:
    P(X <= k) * 2 - P(X = k), k the smaller number; 1 where both are the same. McNemar, "Note on the Sampling Error of
    the Difference Between Correlated Proportions or Percentages", Psychometrika 12 (1947); Fagerland, Lydersen and
    Laake, "The McNemar test for binary matched-pairs data: mid-p and asymptotic are better than exact conditional", BMC
    Medical Research Methodology 13 (2013).

    Raises `InvalidInput` for numbers below 0.
    """
    if only_first < 0 or only_second < 0:
        raise InvalidInput(f"{only_first} and {only_second} are no numbers of cases")
    fewer, changed = min(only_first, only_second), only_first + only_second
    if only_first == only_second:
        return 1.0
    # Terms by their logarithms: a half to the power of thousands is no number.
    logs = [_log_half(changed, k) for k in range(fewer + 1)]
    below = math.fsum(math.exp(each) for each in logs)
    return min(1.0, 2 * below - math.exp(logs[-1]))


def _log_half(count: int, successes: int) -> float:
    """The logarithm of the probability of so many successes, each with one half."""
    return (
        math.lgamma(count + 1)
        - math.lgamma(successes + 1)
        - math.lgamma(count - successes + 1)
        - count * math.log(2)
    )
