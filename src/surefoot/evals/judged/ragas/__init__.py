"""ragas 0.4.3 number for number: the questions that its metrics ask, and what they make of the answers.

`compat="ragas"` is `ragas.metrics.collections`, `compat="ragas-legacy"` is `ragas.metrics`, which `evaluate()` takes.
Everything here is as ragas has it, its oddities included; NaN too, which is a failure for whoever evaluates. The
metrics of this package without the option are in `strict`.
"""

from surefoot.evals.judged.ragas.metrics import conversation, is_known
from surefoot.evals.judged.ragas.sample import Api, RagasSample

__all__ = ["Api", "RagasSample", "conversation", "is_known"]
