"""From a flow's name, inputs and settings to a call that can be made: checked, converted, constructed."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from surefoot.errors import InvalidInput, UnknownFlow
from surefoot.flows import code
from surefoot.flows.arguments import refused
from surefoot.flows.changes import Change
from surefoot.flows.declared import hints_of
from surefoot.flows.entering import given_data
from surefoot.flows.flow import Flow, FlowSpec, Workflow
from surefoot.flows.options import Opaque, Target
from surefoot.flows.signature import adapter_of, mistakes_of, with_checked_fields
from surefoot.mistakes import Mistake
from surefoot.texts import jsontext

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
    parameters = spec.arguments.signature.parameters
    mistakes: list[Mistake] = []
    given = _checked_each(spec, inputs, mistakes, is_text=is_text)
    values: dict[str, object] = {}
    for name, parameter in parameters.items():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            continue
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            values[name] = {key: value for key, value in given.items() if key not in parameters}
        elif name in given:
            values[name] = given[name]
        elif name in inputs:
            continue
        elif parameter.default is inspect.Parameter.empty:
            mistakes.append(Mistake("", "missing", f"{name!r} is missing"))
        else:
            values[name] = parameter.default
    if mistakes:
        raise refused(f"flow {spec.name}", spec.arguments.signature, mistakes)
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
    mistakes: list[Mistake] = []
    values = _checked_each(spec, others, mistakes, is_text=is_text)
    if mistakes:
        raise refused(f"flow {spec.name}", spec.arguments.signature, mistakes)
    return values


def _checked_each(
    spec: FlowSpec, inputs: Mapping[str, object], mistakes: list[Mistake], *, is_text: bool
) -> dict[str, object]:
    """Each input by what is declared of its parameter; what is wrong is added to the mistakes."""
    from pydantic import ValidationError

    adapters, parameters = _adapters_of(spec.function), spec.arguments.signature.parameters
    rest = next((p.name for p in parameters.values() if p.kind is inspect.Parameter.VAR_KEYWORD), None)
    values: dict[str, object] = {}
    for name, value in inputs.items():
        if name not in parameters and rest is None:
            mistakes.append(Mistake("", "unknown", f"{name!r} is no input of it"))
            continue
        # Of what goes into `**rest`, only rules are asked, as ever.
        declared = name if name in parameters else rest if rest in spec.arguments.rules else None
        adapter = None if declared is None else adapters.get(declared)
        try:
            values[name] = value if adapter is None else _converted(adapter, value, is_text=is_text)
        except ValidationError as error:
            mistakes += mistakes_of(error, name, value)
            continue
        rule = spec.arguments.rules.get(name)
        if rule is not None and rule.has_dataclasses:
            values[name] = with_checked_fields(values[name], name, mistakes)
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
    hints = hints_of(function, has_extras=True)
    return {name: adapter_of(hint) for name, hint in hints.items() if name != "return"}


def _converted(adapter: TypeAdapter[Any], value: object, *, is_text: bool) -> object:
    try:
        return adapter.validate_python(value)
    except ValueError:
        if not (is_text and isinstance(value, str)):
            raise
        try:
            read: object = jsontext.read(value)
        except jsontext.NoJson:
            read = value
        return adapter.validate_python(read)


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
