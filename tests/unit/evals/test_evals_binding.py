"""What scorers are given: columns of the dataset by name, paths in the case and in steps, steps and experiments."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from surefoot import flow, step
from surefoot.app import App
from surefoot.errors import InvalidInput
from surefoot.evals import (
    Case,
    Dataset,
    Judged,
    OnExperiment,
    OnStep,
    Row,
    Score,
    evaluate,
    token_f1,
)


@step(pure=True)
def retrieve(query: str, top: int) -> dict[str, object]:
    return {"texts": [f"{query} {number}" for number in range(top)]}


@step(pure=True, name="fetch.page")
def fetch(query: str) -> dict[str, str]:
    return {"title": query.title()}


@flow
def answer(query: str) -> str:
    retrieve(query, 1)
    found = retrieve(query, 2)
    if query != "no page":
        fetch(query)
    return f"{query}: {len(found['texts'])}"  # type: ignore[arg-type]


@flow
def strict(
    question: str, response: str, contexts: list[str], threshold: int = 1, using: str = "none"
) -> Score:
    return Score(len(contexts) >= threshold, f"{question}|{response}|{using}")


def cases(*queries: str) -> Dataset:
    return Dataset(
        "d",
        tuple(
            Case(q, {"query": q}, {"answer": q, "page": 1}, {"language": "en", "topic": {"name": q}})
            for q in queries
        ),
    )


def test_inputs_and_metadata_of_the_dataset_are_parameters_by_their_names(app: App) -> None:
    seen: list[tuple[str, str, int]] = []

    def native(query: str, language: str, size: int = 7) -> bool:
        seen.append((query, language, size))
        return True

    assert evaluate(answer, cases("sea"), [native])["native"].value == 1.0
    assert seen == [("sea", "en", 7)]


def test_a_reading_goes_before_a_column_and_a_default_after_it(app: App) -> None:
    def told(language: str, topic: object = None) -> str:
        return f"{language} {topic}"

    found = evaluate(answer, cases("sea"), [told], reads={"language": "$inputs.query"})
    assert found["told"].labels == {"sea {'name': 'sea'}": 1}


def test_paths_begin_in_the_case_or_in_a_step_of_the_run(app: App) -> None:
    seen: dict[str, object] = {}

    def everything(  # noqa: PLR0917
        question: str, wanted: str, page: object, topic: str, contexts: list[str], title: str
    ) -> bool:
        seen.update(locals())
        return True

    reads = {
        "question": "$inputs.query",
        "wanted": "$expected.answer",
        "page": "$expected",
        "topic": "$metadata.topic.name",
        "contexts": "$steps.retrieve.texts",
        "title": "$steps.fetch.page.title",
    }
    found = evaluate(answer, cases("sea"), [everything], reads=reads)
    assert found["everything"].failures == ()
    # The newest of two steps of one name.
    assert seen["contexts"] == ["sea 0", "sea 1"]
    assert (seen["question"], seen["wanted"], seen["topic"], seen["title"]) == ("sea", "sea", "sea", "Sea")
    assert seen["page"] == {"answer": "sea", "page": 1}


def test_what_a_path_does_not_find_fails_its_row_and_says_what_there_is(app: App) -> None:
    def titled(title: str) -> bool:
        return True

    found = evaluate(answer, cases("sea", "no page"), [titled], reads={"title": "$steps.fetch.page.title"})
    [failure] = found["titled"].failures
    assert failure.case == "no page"
    assert "has completed no step 'fetch': it has retrieve" in failure.reason
    found = evaluate(answer, cases("sea"), [titled], reads={"title": "$metadata.titel"})
    assert "the case's metadata has no 'titel': it has language, topic" in found["titled"].failures[0].reason


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("$input.query", r"begins with \$inputs, \$expected"),
        ("$steps", "name the step"),
        ("$", "begins with"),
    ],
)
def test_a_path_that_begins_nowhere_is_found_before_anything_runs(path: str, message: str, app: App) -> None:
    with pytest.raises(InvalidInput, match=message):
        evaluate(answer, cases("sea"), [token_f1], reads={"response": path})
    assert app.ledger.runs() == []


def test_a_column_that_only_some_cases_have_fails_the_others(app: App) -> None:
    def ranked(rank: int) -> float:
        return rank

    data = Dataset("d", (Case("a", {"query": "a"}, None, {"rank": 3}), Case("b", {"query": "b"})))
    metric = evaluate(answer, data, [ranked])["ranked"]
    assert (metric.value, metric.n, metric.failures[0].case) == (3.0, 1, "b")
    assert "case 'b' has no 'rank'" in metric.failures[0].reason


def test_a_judge_has_constant_inputs_that_are_recorded_with_its_runs(app: App) -> None:
    judge = Judged(strict, name="grounded", inputs={"threshold": 2, "using": "local:smollm2"})
    reads = {"question": "$inputs.query", "contexts": "$steps.retrieve.texts"}
    found = evaluate(answer, cases("sea"), [judge], reads=reads)
    assert found.rows[0].scores["grounded"] == Score(True, "sea|sea: 2|local:smollm2")
    [run] = app.ledger.runs(flow="strict")
    assert '"threshold":2' in app.ledger.view(app.ledger.start(run.id).inputs)
    assert app.resume(run.id) == Score(True, "sea|sea: 2|local:smollm2")


def test_a_constant_goes_before_a_column_and_has_to_be_an_input_of_the_flow(app: App) -> None:
    judge = Judged(strict, inputs={"question": "constant", "contexts": []})
    assert evaluate(answer, cases("sea"), [judge]).rows[0].scores["strict"].value is False
    with pytest.raises(
        InvalidInput, match=r"judge 'strict' has inputs=.'treshold': .*, but its flow strict takes question"
    ):
        evaluate(answer, cases("sea"), [Judged(strict, inputs={"treshold": 2})])


def test_labelled_cases_are_judged_with_the_constants(app: App) -> None:
    labelled = Dataset("l", (Case("1", {"question": "q", "response": "r", "contexts": ["one"]}, False),))
    judge = Judged(strict, inputs={"threshold": 2}, labelled=labelled)
    reads = {"question": "$inputs.query", "contexts": "$steps.retrieve.texts"}
    agreement = evaluate(answer, cases("sea"), [judge], reads=reads)["strict"].agreement
    assert agreement is not None
    assert (agreement.right, agreement.n) == (1, 1)


def test_a_step_is_scored_by_its_own_output_and_inputs(app: App) -> None:
    seen: list[object] = []

    def enough(output: dict[str, list[str]], inputs: dict[str, object], top: int, language: str) -> bool:
        seen.append((inputs, top, language))
        return len(output["texts"]) == top

    on_page = OnStep("fetch.page", token_f1, reads={"answer": "title"}, name="title")
    found = evaluate(answer, cases("sea"), [OnStep("retrieve", enough)], reads={"response": "nowhere"})
    assert found["retrieve.enough"].value == 1.0
    assert seen == [({"query": "sea", "top": 2}, 2, "en")]
    data = Dataset("d", (Case("1", {"query": "sea"}, "sea"), Case("2", {"query": "no page"}, "page")))
    metric = evaluate(answer, data, [on_page])["title"]
    assert (metric.value, metric.n, metric.failures[0].case) == (1.0, 1, "2")
    optional = OnStep("fetch.page", token_f1, reads={"answer": "title"}, name="title", is_optional=True)
    metric = evaluate(answer, data, [optional])["title"]
    assert (metric.n, metric.applicable) == (1, 1)


def test_a_judge_of_a_step(app: App) -> None:
    judge = OnStep(
        "retrieve",
        Judged(strict, inputs={"question": "q"}),
        reads={"contexts": "texts", "response": lambda output: output["texts"][0]},
    )
    found = evaluate(answer, cases("sea"), [judge])
    assert found.rows[0].scores["retrieve.strict"] == Score(True, "q|sea 0|none")


def test_an_experiment_is_scored_once_with_all_rows(app: App) -> None:
    asked: list[int] = []

    def spread(rows: Sequence[Row]) -> float:
        asked.append(len(rows))
        lengths = [float(row.scores["length"].value) for row in rows]
        return max(lengths) - min(lengths)

    async def steady(rows: Sequence[Row]) -> bool:
        return all(row.status == "completed" for row in rows)

    def broken(rows: Sequence[Row]) -> float:
        raise KeyError("no")

    def length(output: str) -> int:
        return len(output)

    scorers = [length, OnExperiment(spread), OnExperiment(steady, name="all"), OnExperiment(broken)]
    found = evaluate(answer, cases("sea", "harbour"), scorers)
    assert asked == [2]
    assert (found["spread"].value, found["spread"].scope) == (4.0, "experiment")
    assert (found["all"].value, found["all"].kind) == (1.0, "rate")
    assert (found["broken"].value, found["broken"].failures[0].reason) == (None, "KeyError: 'no'")
    assert [line.value for line in found.table()] == ["8.000", "4.000", "yes", "none"]
    assert found.rows[0].failures == {}
    with pytest.raises(InvalidInput, match=r"'spread' takes 'trace', which nothing fills.*rows"):
        evaluate(answer, cases("sea"), {"spread": OnExperiment(lambda trace: 1)})
