"""Judges: strict verdicts, agreement with labels, and what must not be shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot import Workflow, flow
from surefoot.app import App
from surefoot.errors import MalformedResponse
from surefoot.evals import Case, Dataset, Judged, Score, agreement_of, evaluate, yes_or_no
from surefoot.evals.experiments.trusting import withheld_for_others, withheld_without_labels

LABELLED = Dataset(
    "labelled",
    tuple(
        Case(f"j{n}", {"response": text, "context": ["the pager rings"]}, expected)
        for n, (text, expected) in enumerate(
            [("rings", True), ("is silent", False), ("rings", True), ("burns", False)]
        )
    ),
)


@flow
def tell(query: str) -> dict[str, object]:
    return {"said": query, "seen": ["the pager rings"]}


@flow
def careful(response: str, context: list[str]) -> Score:
    return Score(all(word in " ".join(context) for word in response.split()), "word by word")


@flow
def blind(response: str, context: list[str]) -> bool:
    return True


@flow
def moody(response: str, context: list[str]) -> bool:
    if response == "burns":
        raise ValueError("no mood for it")
    return response == "rings"


def over(judge: Judged, *texts: str) -> tuple[object, ...]:
    cases = tuple(Case(text, {"query": text}) for text in texts)
    experiment = evaluate(
        tell, Dataset("d", cases), [judge], reads={"response": "said", "context": "seen"}, concurrency=2
    )
    metric = experiment.metrics[0]
    return experiment, metric, metric.agreement


@pytest.mark.parametrize(
    ("text", "value"), [("Yes", True), (" yes, it is", True), ("**No**.", False), ("NO\nbecause", False)]
)
def test_yes_or_no(text: str, value: bool) -> None:
    assert yes_or_no(text) == Score(value, text.strip())


@pytest.mark.parametrize("text", ["", "Perhaps", "Notably, yes", "The answer is yes"])
def test_an_answer_that_is_neither_is_an_error(text: str) -> None:
    with pytest.raises(MalformedResponse, match="neither yes nor no"):
        yes_or_no(text)


def test_kappa_by_hand() -> None:
    # 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: observed 0.7, by chance 0.5, so 0.4 (Cohen 1960's arithmetic).
    pairs = [(True, True)] * 20 + [(True, False)] * 5 + [(False, True)] * 10 + [(False, False)] * 15
    agreement = agreement_of(pairs)
    assert agreement.accuracy == 0.7
    assert agreement.kappa == pytest.approx(0.4)
    assert not agreement.is_near_chance
    assert (agreement.true_positive, agreement.false_negative) == (20, 5)
    assert (agreement.false_positive, agreement.true_negative) == (10, 15)


def test_a_failed_verdict_agrees_with_nothing() -> None:
    agreement = agreement_of([(True, True), (False, False), (True, None), (False, None)])
    assert (agreement.right, agreement.failed, agreement.accuracy) == (2, 2, 0.5)
    # By chance: P(yes) 2/4 * 1/4 + P(no) 2/4 * 1/4 = 1/4.
    assert agreement.kappa == pytest.approx((0.5 - 0.25) / (1 - 0.25))


def test_a_judge_that_always_says_the_same_is_near_chance() -> None:
    agreement = agreement_of([(True, True), (False, True)] * 20)
    assert agreement.kappa == pytest.approx(0)
    assert agreement.is_near_chance
    assert "near chance: do not rely on this judge" in str(agreement)


def test_where_chance_alone_agrees_always_kappa_is_undefined_and_nothing_is_proven() -> None:
    agreement = agreement_of([(True, True)] * 5)
    assert agreement.kappa is None
    assert agreement.is_near_chance


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_kappa_is_at_most_1_which_only_full_agreement_reaches(pairs: list[tuple[bool, bool | None]]) -> None:
    agreement = agreement_of(pairs)
    if agreement.kappa is not None:
        assert -1 <= agreement.kappa <= 1
        assert (agreement.kappa == 1) == all(label == verdict for label, verdict in pairs)


def test_a_judge_is_shown_beside_its_agreement(app: App) -> None:
    experiment, metric, agreement = over(Judged(careful, labelled=LABELLED), "rings", "burns")
    assert metric.kind == "rate"
    assert (metric.value, metric.n) == (0.5, 2)
    assert (agreement.right, agreement.n, agreement.kappa) == (4, 4, 1.0)
    assert experiment.rows[0].scores["careful"] == Score(True, "word by word")
    assert "agrees with 4 of 4" in experiment.table()[0].note
    assert len(app.ledger.runs(flow="careful", limit=None)) == 2 + 4


def test_agreement_is_measured_once_for_the_same_judge(app: App) -> None:
    judge = Judged(careful, labelled=LABELLED)
    _, _, first = over(judge, "rings")
    _, _, second = over(judge, "rings", "burns")
    assert second == first
    assert len(app.ledger.runs(flow="careful", tags={"experiment": first.experiment}, limit=None)) == 4


def test_a_judge_that_fails_on_labels_counts_against_it(app: App) -> None:
    _, metric, agreement = over(Judged(moody, labelled=LABELLED), "rings", "burns")
    assert (agreement.right, agreement.failed) == (3, 1)
    assert (metric.n, metric.coverage) == (1, 0.5)
    assert metric.failures[0].reason.endswith("ValueError: no mood for it")


def test_what_is_judged_nearly_by_chance_does_not_rank_the_cases(app: App) -> None:
    experiment, metric, agreement = over(Judged(blind, labelled=LABELLED), "rings", "burns")
    assert agreement.is_near_chance
    assert metric.value == 1.0
    assert experiment.worst() == []


def test_a_judge_is_not_asked_where_it_does_not_apply(app: App) -> None:
    judged = Judged(careful, name="faithful", applies=lambda response: response != "burns")
    experiment, metric, agreement = over(judged, "rings", "burns")
    assert (metric.name, metric.n, metric.coverage) == ("faithful", 1, 1.0)
    assert agreement is None
    assert len(app.ledger.runs(flow="careful", limit=None)) == 1
    assert experiment.rows[1].scores == {}


def test_an_embedded_model_is_withheld_without_labels() -> None:
    assert "too small to judge" in withheld_without_labels(["local:smollm2"])
    assert withheld_without_labels(["gpt-4o-2024-11-20"]) == ""
    assert withheld_without_labels([]) == ""


def test_an_agreement_of_another_model_does_not_count() -> None:
    assert "measured with gpt-4o" in withheld_for_others(["local:smollm2"], ["gpt-4o"])
    assert withheld_for_others(["gpt-4o"], ["gpt-4o"]) == ""


def test_verdicts_of_the_embedded_model_are_withheld_until_its_agreement_is_known(app: App) -> None:
    from openai import OpenAI

    class Small(Workflow, name="small"):
        def __init__(self, client: object) -> None:
            super().__init__()
            self.client = client

        def run(self, response: str) -> bool:
            said = self.client.chat.completions.create(  # type: ignore[attr-defined]
                model="local:smollm2",
                messages=[{"role": "user", "content": f"Is it true that {response}? yes or no"}],
                temperature=0,
                max_tokens=2,
            )
            return bool(said.choices[0].message.content)

    small = Small(OpenAI(api_key="none", max_retries=0))
    experiment, metric, _ = over(Judged(small), "it rings")
    assert metric.value is None
    assert "local:smollm2" in metric.withheld
    assert experiment.table()[0].value == "withheld"
    assert experiment.judging.calls == 1

    labelled = Dataset("two", tuple(Case(str(n), {"response": "it rings"}, bool(n)) for n in range(2)))
    experiment, metric, agreement = over(Judged(small, labelled=labelled), "it rings")
    assert (metric.value, metric.withheld) == (1.0, ""), (metric.failures, agreement)
    assert agreement.models == ("local:smollm2",)
    assert agreement.is_near_chance
    assert experiment.judging.calls == 1 + 2
