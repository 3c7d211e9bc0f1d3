"""What Phoenix is told of traces beside their spans: scores, as annotations of the run's span."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

import orjson

from surefoot.errors import ExportError
from surefoot.ledger import RunScore
from surefoot.models.chain.retries import Retries
from surefoot.models.posting import Posted
from surefoot.traces.asking import NOT_TAKEN, ask, asked_to_wait, printable, why_unreachable
from surefoot.traces.remarks import Remark, left
from surefoot.values import Json

_PATH = "/v1/span_annotations"
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Annotations:
    """Tells a Phoenix server at `url` of scores. An experiment has one annotation of a metric, which the next replaces.

    Phoenix stores them after it has answered, as it does spans, and keeps them for spans that are on their way.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    def tell(self, said: Sequence[Remark], *, patience: Retries, timeout: float) -> None:
        """See `surefoot.traces.remarks.Remarks`."""
        made = [(one, given) for one in said for given in one.scores]
        waiting = deque(made[begin : begin + _AT_ONCE] for begin in range(0, len(made), _AT_ONCE))
        while waiting:
            some = waiting.popleft()
            try:
                self._post([_annotation(one.span, given) for one, given in some], patience, timeout)
            except ExportError as error:
                if error.status in NOT_TAKEN and len(some) > 1:
                    # It takes all or none: one that it does not take keeps no others away.
                    middle = len(some) // 2
                    waiting.extendleft((some[middle:], some[:middle]))
                    continue
                left(error, _left(some))

    def _post(self, made: Sequence[Json], patience: Retries, timeout: float) -> None:
        def unreachable(error: OSError | None) -> ExportError:
            return ExportError(f"{self.url} cannot be reached: {why_unreachable(error, timeout)}")

        ask(
            "POST",
            self.url + _PATH,
            orjson.dumps({"data": list(made)}),
            headers={
                "user-agent": f"surefoot/{version('surefoot')}",
                **self.headers,
                "content-type": "application/json",
            },
            timeout=timeout,
            patience=patience,
            refused=self._refused,
            unreachable=unreachable,
        )

    def _refused(self, answer: Posted) -> ExportError:
        said = printable(answer.body.decode("utf-8", "replace"))
        advice = "it did not take the annotations"
        if answer.status in (401, 403):
            advice = "its key is missing or wrong: set PHOENIX_API_KEY, or key in [traces.NAME]"
        message = f"{self.url} answered with {answer.status}{f' ({said})' if said else ''}: {advice}"
        return ExportError(message, status=answer.status, retry_after=asked_to_wait(answer))


def _left(some: Sequence[tuple[Remark, RunScore]]) -> str:
    if len(some) > 1:
        return "scores of runs are not at their spans in Phoenix"
    [(one, given)] = some
    return f"the score {given.score.metric!r} of run {one.run} is not at its span in Phoenix"


def _annotation(span: str, given: RunScore) -> Json:
    score = given.score
    result: dict[str, Json] = {}
    if isinstance(score.value, str):
        result["label"] = score.value
    elif isinstance(score.value, bool):
        result |= {"label": "pass" if score.value else "fail", "score": float(score.value)}
    elif score.value is not None:
        result["score"] = score.value
    if explanation := score.reason or score.failure:
        result["explanation"] = explanation
    metadata: dict[str, Json] = {"surefoot.experiment": given.experiment}
    if score.judge_run:
        metadata["surefoot.judge_run"] = score.judge_run
    return {
        "span_id": span,
        "name": score.metric,
        "annotator_kind": "LLM" if score.judge_run else "CODE",
        "result": result,
        "metadata": metadata,
        "identifier": f"surefoot:{given.experiment}",
    }
