"""A span in the words of OpenTelemetry's GenAI conventions and of OpenInference: name, kind, status, attributes.

Both vocabularies are given, as no receiver reads the whole of one of them: tokens, messages and parameters are found
under `gen_ai.*`, the inputs and outputs of other spans under `input.value` and `output.value`. What neither has a word
for stands under `surefoot.*`. MLflow reads the name of a trace and the cost of a call under words of its own. Tokens
and cost are attributes of the call that they were spent on and of no span around it, since receivers add them up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import orjson

from surefoot.ledger import RunScore
from surefoot.traces.calls import BOUNDS, Call, Turn
from surefoot.traces.plain import Failure
from surefoot.traces.retrieved import Found, retrieved
from surefoot.traces.shares import shares
from surefoot.traces.spans import Span, Trace
from surefoot.values import CallFacts, Json, Money, PromptRef

Value = str | bool | int | float | tuple[str, ...]
Status = Literal["unset", "ok", "error"]

TEXT_LIMIT = 100_000
"""Characters of one text, or of the messages of one call together, that are sent; receivers refuse endless ones."""

_OPERATIONS = {
    "openai.chat": "chat",
    "openai.responses": "chat",
    "anthropic.messages": "chat",
    "openai.completions": "text_completion",
    "openai.embeddings": "embeddings",
    "google.generate_content": "generate_content",
    "google.embeddings": "embeddings",
}
_PROVIDERS = {
    "azure": "azure.ai.openai",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "x-ai": "x_ai",
}


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """What a failed span failed with: a class name, what it said, and what led to it."""

    type: str
    message: str
    causes: tuple[str, ...] = ()


# Not frozen, as one is made for each row: that would make it three times as expensive.
@dataclass(slots=True)
class Described:
    """A span as receivers understand it. `message` says why the status is `error`."""

    name: str
    attributes: Mapping[str, Value]
    is_client: bool = False
    status: Status = "unset"
    message: str = ""
    error: ErrorEvent | None = None


def describe_run(trace: Trace, standing: str) -> Described:
    """The span of the whole run. `standing` is its status, `abandoned` included."""
    run, totals = trace.run, trace.totals
    attributes: dict[str, Value] = {
        **_workflow(run.flow),
        **_payload("input", dict(trace.inputs)),
        **_payload("output", trace.output),
        **whose(trace),
        "mlflow.traceTag.mlflow.traceName": run.flow,
        "surefoot.flow": run.flow,
        "surefoot.run.status": standing,
        "surefoot.run.epoch": run.epoch,
        "surefoot.run.steps": totals.steps,
        "surefoot.run.calls": totals.calls,
        "surefoot.run.tokens.input": totals.usage.input,
        "surefoot.run.tokens.output": totals.usage.output,
        "surefoot.run.cost_usd": totals.cost.nanos / 1e9,
        "surefoot.run.is_cost_complete": totals.is_cost_complete,
        "surefoot.is_degraded": totals.is_degraded,
    }
    optional = {
        "surefoot.flow.version": run.flow_version,
        "surefoot.run.key": run.run_key,
        "surefoot.run.parent": run.parent_run,
        "surefoot.run.origin": next((one.run_id for one in trace.relatives if one.how == "origin"), None),
        "surefoot.run.init": _dumped(dict(trace.init)) if trace.init else None,
        "metadata": _dumped(dict(run.tags)) if run.tags else None,
    }
    attributes |= {name: value for name, value in optional.items() if value}
    status, message, error = _ending(standing, trace.failure, None)
    if status == "error" and error is not None:
        attributes["error.type"] = error.type
    if standing == "abandoned":
        status, message = "error", f"its process is gone; go on with it: {run.entry.resuming(run.id)}"
    return Described(f"invoke_workflow {run.flow}", attributes, status=status, message=message, error=error)


def describe_span(span: Span, owners: Mapping[str, Value], *, is_tool: bool = False) -> Described:
    """The span of a step, a nested flow or a call. `owners` is what `whose` says of its run; `is_tool`: a model had
    asked for it.
    """
    attributes: dict[str, Value] = {
        **owners,
        "surefoot.step": span.name,
        "surefoot.step.key": span.id.partition(".")[0],
        "surefoot.step.kind": span.kind,
        "surefoot.step.status": span.status,
        "surefoot.attempt": span.attempt,
        "surefoot.is_degraded": span.is_degraded,
        "surefoot.is_cached": span.is_cached,
        "surefoot.is_tried_again": span.is_tried_again,
    }
    if span.trust is not None:
        attributes["surefoot.trust"] = span.trust
    if span.decisions:
        attributes["surefoot.decisions"] = tuple(str(decision) for decision in span.decisions)
    if span.user_key is not None:
        attributes["surefoot.step.user_key"] = span.user_key
    if span.prompt is not None:
        attributes |= _prompt(span.prompt)
    name, is_client = span.name or "step", False
    if span.call is not None:
        operation = operation_of(span.call.operation)
        name, is_client = f"{operation} {span.call.facts.requested_model}".rstrip(), True
        attributes |= _call(span.call, operation)
    else:
        attributes |= {**_payload("input", span.inputs), **_payload("output", span.output)}
        if span.kind == "flow":
            name = f"invoke_workflow {name}"
            attributes |= _workflow(span.name)
        elif is_tool:
            name = f"execute_tool {name}"
            attributes |= _tool(span)
        elif found := retrieved(span.output):
            name = f"retrieval {name}"
            attributes |= _retrieval(span, found)
        else:
            attributes["openinference.span.kind"] = "CHAIN"
    status, message, error = _ending(span.status, span.failure, span.call)
    if error is not None:
        attributes["error.type"] = error.type
    return Described(name, attributes, is_client, status, message, error)


def describe_score(given: RunScore) -> dict[str, Value]:
    """A score as an event of the run's span."""
    score = given.score
    told: dict[str, Value] = {
        "gen_ai.evaluation.name": score.metric,
        "surefoot.experiment": given.experiment,
    }
    if isinstance(score.value, str):
        told["gen_ai.evaluation.score.label"] = score.value
    elif score.value is not None:
        told["gen_ai.evaluation.score.value"] = float(score.value)
    if score.reason:
        told["gen_ai.evaluation.explanation"] = _cut(score.reason)
    if score.failure:
        told["error.type"] = "_OTHER"
        told["gen_ai.evaluation.explanation"] = _cut(score.failure)
    if score.judge_run:
        told["surefoot.judge_run"] = score.judge_run
    return told


def whose(trace: Trace) -> dict[str, Value]:
    """For whom the run was made; on every span, as receivers filter spans by it."""
    run = trace.run
    known = {
        "surefoot.run.id": run.id,
        "session.id": run.session,
        "gen_ai.conversation.id": run.session,
        "user.id": run.principal,
        "surefoot.tenant": run.tenant,
    }
    return {name: value for name, value in known.items() if value}


def tools_asked_for(spans: Iterable[Span]) -> Callable[[Span], bool]:
    """Tells whether a step is one that a model of the same run had asked for by name before it began."""
    asked: dict[str, int] = {}
    for span in spans:
        if span.call is not None and span.ended_ns is not None:
            for tool in span.call.said.tool_calls:
                asked[tool.name] = min(asked.get(tool.name, span.ended_ns), span.ended_ns)

    def is_tool(span: Span) -> bool:
        return span.kind == "step" and span.name in asked and span.started_ns >= asked[span.name]

    return is_tool


def _workflow(name: str) -> dict[str, Value]:
    return {
        "openinference.span.kind": "CHAIN",
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": name,
    }


def _tool(span: Span) -> dict[str, Value]:
    known: dict[str, Value] = {
        "openinference.span.kind": "TOOL",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": span.name,
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.arguments": _cut(_dumped(span.inputs)),
        "tool.name": span.name,
    }
    if span.output is not None:
        known["gen_ai.tool.call.result"] = _cut(_dumped(span.output))
    return known


def _retrieval(span: Span, found: Sequence[Found]) -> dict[str, Value]:
    known: dict[str, Value] = {
        "openinference.span.kind": "RETRIEVER",
        "gen_ai.operation.name": "retrieval",
        "gen_ai.retrieval.documents": _cut(_dumped([{"id": one.name, "score": one.score} for one in found])),
    }
    given = span.inputs if isinstance(span.inputs, dict) else {}
    if query := next((value for value in given.values() if isinstance(value, str)), ""):
        known["gen_ai.retrieval.query.text"] = _cut(query)
    room = TEXT_LIMIT
    for n, one in enumerate(found):
        place = f"retrieval.documents.{n}.document"
        known[f"{place}.content"] = one.text[:room]
        room = max(0, room - len(one.text))
        if one.name:
            known[f"{place}.id"] = one.name
        if one.score is not None:
            known[f"{place}.score"] = one.score
        if one.rest:
            known[f"{place}.metadata"] = _cut(_dumped(dict(one.rest)))
    return known


def _prompt(prompt: PromptRef) -> dict[str, Value]:
    return {
        "gen_ai.prompt.name": prompt.name,
        "surefoot.prompt.name": prompt.name,
        "surefoot.prompt.version": prompt.version,
        "surefoot.prompt.digest": prompt.digest,
    }


def operation_of(name: str) -> str:
    """What the conventions call the operation of a call of that name."""
    return _OPERATIONS.get(name, "chat")


def provider_of(facts: CallFacts) -> str:
    """What the conventions call the provider of a call."""
    return _PROVIDERS.get(facts.provider, facts.provider)


def _call(call: Call, operation: str) -> dict[str, Value]:
    facts, usage = call.facts, call.facts.usage
    provider = provider_of(facts)
    is_embedding = operation == "embeddings"
    found: dict[str, Value] = {
        "openinference.span.kind": "EMBEDDING" if is_embedding else "LLM",
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": facts.requested_model,
        "gen_ai.usage.input_tokens": usage.input,
        "gen_ai.usage.output_tokens": usage.output,
        "llm.provider": provider,
        "llm.invocation_parameters": _cut(_dumped(dict(call.parameters))),
        "llm.token_count.prompt": usage.input,
        "llm.token_count.completion": usage.output,
        "llm.token_count.total": usage.total,
        **_parameters(call.parameters),
        **_payload("input", call.request),
    }
    if facts.served_model:
        found["gen_ai.response.model"] = facts.served_model
        found["embedding.model_name" if is_embedding else "llm.model_name"] = facts.served_model
    if usage.cached:
        found["gen_ai.usage.cache_read.input_tokens"] = usage.cached
        found["llm.token_count.prompt_details.cache_read"] = usage.cached
    if usage.reasoning:
        found["gen_ai.usage.reasoning.output_tokens"] = usage.reasoning
        found["llm.token_count.completion_details.reasoning"] = usage.reasoning
    if facts.cost is not None:
        cost = found["llm.cost.total"] = found["gen_ai.usage.cost"] = facts.cost.nanos / 1e9
        # It shows none where the shares are missing.
        read, written = shares(facts) or (Money(0), Money(0))
        told = {"input_cost": read.nanos / 1e9, "output_cost": written.nanos / 1e9, "total_cost": cost}
        found["mlflow.llm.cost"] = _dumped({**told})
    if facts.first_token_ns is not None:
        found["gen_ai.response.time_to_first_chunk"] = facts.first_token_ns / 1e9
    if call.status is not None:
        found["http.response.status_code"] = call.status
    if call.is_closed_early:
        found["surefoot.is_closed_early"] = True
    return found | _conversation(call, is_embedding=is_embedding)


def _conversation(call: Call, *, is_embedding: bool) -> dict[str, Value]:
    """What was said, and the answer as a whole."""
    found: dict[str, Value] = {}
    request = call.request if isinstance(call.request, dict) else {}
    if not is_embedding:
        apart = sum(1 for key in ("system", "instructions") if request.get(key))
        if apart:
            found["gen_ai.system_instructions"] = _dumped(
                [_text_part(turn.text) for turn in call.messages[:apart]]
            )
        found["gen_ai.input.messages"] = _dumped(list(_bounded(call.messages[apart:])))
    if tools := request.get("tools"):
        found["gen_ai.tool.definitions"] = _cut(_dumped(tools))
    if call.problem:
        return found | _payload("output", call.response)
    if call.said.finish:
        found["gen_ai.response.finish_reasons"] = tuple(call.said.finish.split(", "))
    if isinstance(call.response, dict) and isinstance(answer_id := call.response.get("id"), str):
        found["gen_ai.response.id"] = answer_id
    if not is_embedding:
        found["gen_ai.output.messages"] = _dumped([_answer(call)])
    # A stream's text says more to people than its events do, and nobody reads vectors.
    is_whole = isinstance(call.response, dict) and not is_embedding
    return found | _payload("output", call.response if is_whole else call.said.text)


def _answer(call: Call) -> Json:
    parts: list[Json] = []
    if call.said.text:
        parts.append(_text_part(call.said.text))
    parts.extend(
        {"type": "tool_call", "name": tool.name, "arguments": _cut(tool.arguments)}
        for tool in call.said.tool_calls
    )
    return {"role": "assistant", "parts": parts, "finish_reason": call.said.finish}


def _bounded(turns: Iterable[Turn]) -> Iterator[Json]:
    """The messages, the oldest left out where all of them are too much."""
    kept: list[Json] = []
    room, rest = TEXT_LIMIT, list(turns)
    while rest and (not kept or len(rest[-1].text) <= room):
        turn = rest.pop()
        room -= len(turn.text)
        kept.append({"role": turn.role, "parts": [_text_part(turn.text)]})
    if rest:
        yield {"role": "system", "parts": [_text_part(f"[{len(rest)} earlier messages are not sent]")]}
    yield from reversed(kept)


def _text_part(text: str) -> Json:
    return {"type": "text", "content": _cut(text)}


def _parameters(sent: Mapping[str, Json]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for name in ("temperature", "top_p", "frequency_penalty", "presence_penalty"):
        if (number := _number(sent.get(name))) is not None:
            found[f"gen_ai.request.{name}"] = float(number)
    bound = next((name for name in BOUNDS if name in sent), "")
    for name, key in (("max_tokens", bound), ("top_k", "top_k"), ("seed", "seed"), ("choice.count", "n")):
        if isinstance(number := _number(sent.get(key)), int):
            found[f"gen_ai.request.{name}"] = number
    stop = sent.get("stop", sent.get("stop_sequences"))
    if stops := tuple(str(item) for item in (stop if isinstance(stop, list) else [stop]) if item):
        found["gen_ai.request.stop_sequences"] = stops
    if sent.get("stream") is True:
        found["gen_ai.request.stream"] = True
    form = sent.get("response_format")
    if isinstance(form, dict) and isinstance(kind := form.get("type"), str):
        found["gen_ai.output.type"] = "json" if kind.startswith("json") else kind
    return found


def _number(value: Json) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _payload(side: Literal["input", "output"], value: Json) -> dict[str, Value]:
    """A value with its mime type; nothing for None. JSON that had to be cut is JSON no more."""
    if value is None:
        return {}
    text = value if isinstance(value, str) else _dumped(value)
    is_json = not isinstance(value, str) and len(text) <= TEXT_LIMIT
    return {
        f"{side}.value": _cut(text),
        f"{side}.mime_type": "application/json" if is_json else "text/plain",
    }


def _ending(
    standing: str, failure: Failure | None, call: Call | None
) -> tuple[Status, str, ErrorEvent | None]:
    if standing == "completed":
        return "ok", "", None
    error: ErrorEvent | None = None
    if failure is not None:
        causes: list[str] = []
        cause = failure.cause
        while cause is not None:
            causes.append(str(cause))
            cause = cause.cause
        error = ErrorEvent(
            failure.type.removeprefix("builtins:").replace(":", "."), failure.message, tuple(causes)
        )
    elif call is not None and call.problem:
        status = call.status
        error = ErrorEvent("_OTHER" if status is None else str(status), call.problem)
    if standing == "failed":
        return "error", str(failure or (call.problem if call else "")), error
    if standing == "in_doubt":
        return "error", "it is not known whether it was done", error
    return "unset", "", error


def _dumped(value: Json) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # Integers of any size, halves of characters, and much depth, as recorded values may have them.
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _cut(text: str) -> str:
    if len(text) <= TEXT_LIMIT:
        return text
    return f"{text[:TEXT_LIMIT]}… [{len(text) - TEXT_LIMIT:,} more characters are in the ledger]"
