"""From a flow's name, inputs and settings to a call that can be made: checked, converted, constructed."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast, get_type_hints
from weakref import WeakKeyDictionary

import orjson

from surefoot.errors import InvalidInput, UnknownFlow
from surefoot.flows import code
from surefoot.flows.changes import Change
from surefoot.flows.entering import given_data
from surefoot.flows.flow import Flow, FlowSpec, Workflow
from surefoot.flows.options import Opaque, Target

if TYPE_CHECKING:
    from pydantic import TypeAdapter

MakeClient = Callable[[type], object | None]
"""An SDK client of a class, or None where the class is no SDK client."""

_known_adapters: WeakKeyDictionary[Any, dict[str, TypeAdapter[Any] | None]] = WeakKeyDictionary()

AnyFlow = Flow[..., Any] | Workflow | type[Workflow]


def find_spec(flow: AnyFlow | str) -> tuple[AnyFlow, FlowSpec]:
    """The flow itself and its description. Raises `UnknownFlow`."""
    found: Any = code.load_reference(flow) if isinstance(flow, str) else flow
    if not getattr(found, "is_surefoot_flow", False):
        raise UnknownFlow(
            f"{flow if isinstance(flow, str) else found!r} is no flow: decorate the function with @flow, "
            "or derive the class from Workflow"
        )
    spec = getattr(found, "spec", None)
    if not isinstance(spec, FlowSpec):
        raise UnknownFlow(f"{found!r} has no method `run`: define run(self, ...), sync or async")
    return found, spec


def target_of(
    flow: AnyFlow,
    spec: FlowSpec,
    inputs: Mapping[str, object],
    *,
    init: Mapping[str, object],
    make_client: MakeClient,
) -> Target:
    """A call of the flow; a workflow class is constructed with `init`. Raises `InvalidInput`."""
    if isinstance(flow, Flow):
        called = spec.called(lambda: spec.arguments.call(spec.function, inputs))
        return Target(spec, called, inputs)
    workflow = construct(flow, init, make_client) if isinstance(flow, type) else flow

    def body() -> Any:
        return spec.arguments.call(functools.partial(spec.function, workflow), inputs)

    return Target(spec, spec.called(body), inputs, init=given_data(workflow), workflow=workflow)


def construct(kind: type[Workflow], init: Mapping[str, object], make_client: MakeClient) -> Workflow:
    """A workflow from recorded or given settings, with SDK clients made by the constructor's annotations.

    Raises `InvalidInput` that names every parameter for which there is no value.
    """
    make = inspect.getattr_static(kind, "make", None)
    function: Any = cast("Any", kind).make if isinstance(make, staticmethod) else kind.__init__
    hints = hints_of(function)
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    values: dict[str, object] = {}
    mistakes: list[str] = []
    for parameter in parameters:
        name, given = parameter.name, init.get(parameter.name, inspect.Parameter.empty)
        hint = hints.get(name)
        if isinstance(given, Opaque):
            hint = hint if isinstance(hint, type) else _imported(given.type)
            given = inspect.Parameter.empty
        if given is not inspect.Parameter.empty:
            values[name] = given
        elif isinstance(hint, type) and (client := make_client(hint)) is not None:
            values[name] = client
        elif parameter.default is inspect.Parameter.empty and parameter.kind not in (
            inspect.Parameter.VAR_POSITIONAL,
            inspect.Parameter.VAR_KEYWORD,
        ):
            mistakes.append(name)
    if unknown := sorted(init.keys() - {parameter.name for parameter in parameters}):
        raise InvalidInput(
            f"{kind.__qualname__} takes no {', '.join(unknown)}: its parameters are {_shown(function)}"
        )
    if mistakes:
        raise InvalidInput(
            f"{kind.__qualname__}{_shown(function)} cannot be built without {', '.join(mistakes)}: give data as "
            f"--init {mistakes[0]}=VALUE, annotate a client with its SDK class (client: OpenAI), or add a "
            "static method `make` that returns the object"
        )
    bound = inspect.BoundArguments(inspect.Signature(parameters), OrderedDict(values))
    build: Any = function if isinstance(make, staticmethod) else cast("Any", kind)
    return cast("Workflow", build(*bound.args, **bound.kwargs))


def checked(spec: FlowSpec, inputs: Mapping[str, object], *, is_text: bool = False) -> dict[str, object]:
    """The inputs by the flow's signature: converted, completed with defaults. Raises `InvalidInput` with all mistakes.

    `is_text`: values come from a command line; where a parameter does not take the text, it is read as JSON.
    """
    from pydantic import ValidationError

    adapters = _adapters_of(spec.function)
    parameters = spec.arguments.signature.parameters
    values: dict[str, object] = {}
    mistakes = [
        f"{name!r} is no input of it"
        for name in inputs
        if name not in parameters and not _takes_any(parameters)
    ]
    for name, parameter in parameters.items():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            continue
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            values[name] = {key: value for key, value in inputs.items() if key not in parameters}
            continue
        if name not in inputs:
            if parameter.default is inspect.Parameter.empty:
                mistakes.append(f"{name!r} is missing")
            else:
                values[name] = parameter.default
            continue
        value, adapter = inputs[name], adapters.get(name)
        if adapter is None:
            values[name] = value
            continue
        try:
            values[name] = _converted(adapter, value, is_text=is_text)
        except ValidationError as error:
            first = error.errors()[0]
            mistakes.append(f"{name!r}: {first['msg'][:1].lower()}{first['msg'][1:]} (given {value!r:.80})")
    if mistakes:
        raise InvalidInput(f"flow {spec.name}: {'; '.join(mistakes)}. It takes {spec.arguments.signature}")
    return values


def with_inputs(
    spec: FlowSpec, recorded: Mapping[str, object], changes: Sequence[Change]
) -> dict[str, object]:
    """Inputs that were recorded, with the changed ones in their places: these are checked as those of a command line.

    Raises `InvalidInput` with all mistakes.
    """
    others = {change.name: change.to for change in changes if change.kind == "input"}
    return {**recorded, **(_checked_alone(spec, others, is_text=True) if others else {})}


def in_place(
    spec: FlowSpec, recorded: Mapping[str, object], others: Mapping[str, object]
) -> dict[str, object]:
    """Inputs that were recorded, with others in the place of some of them. Raises `InvalidInput` with all mistakes."""
    return {**recorded, **_checked_alone(spec, others, is_text=False)}


def _checked_alone(spec: FlowSpec, others: Mapping[str, object], *, is_text: bool) -> dict[str, object]:
    """Some inputs of a flow, without the rest."""
    from pydantic import ValidationError

    adapters, parameters = _adapters_of(spec.function), spec.arguments.signature.parameters
    values: dict[str, object] = {}
    mistakes: list[str] = []
    for name, value in others.items():
        if name not in parameters and not _takes_any(parameters):
            mistakes.append(f"{name!r} is no input of it")
            continue
        adapter = adapters.get(name)
        try:
            values[name] = value if adapter is None else _converted(adapter, value, is_text=is_text)
        except ValidationError as error:
            first = error.errors()[0]
            mistakes.append(f"{name!r}: {first['msg'][:1].lower()}{first['msg'][1:]} (given {value!r:.80})")
    if mistakes:
        raise InvalidInput(f"flow {spec.name}: {'; '.join(mistakes)}. It takes {spec.arguments.signature}")
    return values


def _adapters_of(function: Any) -> Mapping[str, TypeAdapter[Any] | None]:
    """What checks each annotated parameter, remembered: an evaluation checks the inputs of all of its runs."""
    try:
        known = _known_adapters.get(function)
        if known is None:
            known = _known_adapters[function] = _new_adapters(function)
    except TypeError:
        # It can be no key of a weak mapping.
        return _new_adapters(function)
    return known


def _new_adapters(function: Any) -> dict[str, TypeAdapter[Any] | None]:
    return {name: _adapter(hint) for name, hint in hints_of(function).items() if name != "return"}


def _adapter(hint: Any) -> TypeAdapter[Any] | None:
    """What checks values of a type; None for a type of the user's that says nothing of its form."""
    from pydantic import PydanticUserError, TypeAdapter

    try:
        return TypeAdapter(hint)
    except PydanticUserError:
        return None


def _converted(adapter: TypeAdapter[Any], value: object, *, is_text: bool) -> object:
    try:
        return adapter.validate_python(value)
    except ValueError:
        if not (is_text and isinstance(value, str)):
            raise
        try:
            read = orjson.loads(value)
        except orjson.JSONDecodeError:
            read = value
        return adapter.validate_python(read)


def _takes_any(parameters: Mapping[str, inspect.Parameter]) -> bool:
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())


def hints_of(function: Any) -> dict[str, Any]:
    """The annotations of a function by parameter, and that of its result as `return`, as far as they can be read."""
    try:
        return get_type_hints(function)
    except (NameError, TypeError):
        # A name that is imported for typing only: that parameter is taken as it comes, the others are not.
        found: dict[str, Any] = {}
        names = getattr(inspect.unwrap(function), "__globals__", {})
        for name, hint in getattr(function, "__annotations__", {}).items():
            with suppress(NameError, TypeError):
                found |= get_type_hints(type("One", (), {"__annotations__": {name: hint}}), globalns=names)
        return found


def _imported(reference: str) -> type | None:
    """The class of an SDK client that a record names. Only packages of known SDKs are imported for data."""
    module, _, qualname = reference.partition(":")
    if module.partition(".")[0] not in ("openai", "anthropic"):
        return None
    try:
        found = getattr(importlib.import_module(module), qualname, None)
    except ImportError:
        return None
    return found if isinstance(found, type) else None


def _shown(function: Any) -> str:
    signature = inspect.signature(function)
    return str(signature.replace(parameters=[p for p in signature.parameters.values() if p.name != "self"]))
