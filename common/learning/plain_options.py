"""Options of something that was not written as an entry: the parameters of a function or of a class's `__init__`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import field, make_dataclass
from dataclasses import fields as dataclass_fields
from inspect import Parameter, signature
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from common.errors import StudyError
from common.study.options import EXAMPLE

SIMPLE = (int, float, str, bool)
SEVERAL = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def parameters_of(made: Callable[..., Any], what: str) -> list[Parameter]:
    """What may be given to it, by name or place. Raises StudyError where it does not say."""
    try:
        found = signature(made).parameters.values()
    except (TypeError, ValueError) as error:
        raise StudyError(f"{what} does not say what it takes ({error}): wrap it in a function that does.") from error
    return [one for one in found if one.kind not in SEVERAL]


def entry_class(
    made: Callable[..., Any],
    parameters: Collection[Parameter],
    filled: Collection[str],
    methods: Mapping[str, Callable[..., Any]],
    example: str,
    again: Callable[[], type[Any] | None],
) -> type[Any]:
    """A frozen dataclass with `methods` whose options are the parameters. filled: those that need not be given, and
    are None where they are not. example: for the message where one is missing. again: makes the class once more,
    where one of its objects is unpickled."""
    hints = _hints(made)
    fields: list[tuple[str, Any, Any]] = []
    for one in parameters:
        hint = _checked(hints.get(one.name, Any))
        if one.name in filled:
            fields.append((one.name, hint if hint is Any else hint | None, field(default=None)))
        elif one.default is Parameter.empty:
            fields.append((one.name, hint, field(metadata={EXAMPLE: example.format(name=one.name)})))
        else:
            fields.append((one.name, hint, field(default_factory=_giving(one.default))))
    name = getattr(made, "__name__", "Plain")

    def reduced(self: Any) -> tuple[Any, ...]:
        return _remade, (again, {one.name: getattr(self, one.name) for one in dataclass_fields(self)})

    namespace = {**methods, "__reduce__": reduced}
    return make_dataclass(name, fields, namespace=namespace, frozen=True, kw_only=True)


def _remade(again: Callable[[], type[Any]], values: Mapping[str, Any]) -> Any:
    return again()(**values)


def called(made: Callable[..., Any], parameters: Collection[Parameter], values: Mapping[str, Any]) -> Any:
    """`made` of these values, each by name or, where it must be, by its place."""
    placed = [values[one.name] for one in parameters if one.kind is Parameter.POSITIONAL_ONLY]
    named = {one.name: values[one.name] for one in parameters if one.kind is not Parameter.POSITIONAL_ONLY}
    return made(*placed, **named)


def _giving(default: Any) -> Callable[[], Any]:
    return lambda: default


def _hints(made: Callable[..., Any]) -> Mapping[str, Any]:
    """Types of the parameters; none where an annotation cannot be read."""
    try:
        return get_type_hints(vars(made).get("__init__", made) if isinstance(made, type) else made)
    except (NameError, TypeError, AttributeError, SyntaxError):
        return {}


def _checked(hint: Any) -> Any:
    """The hint, where options can be checked by it, else Any: what comes is then what TOML holds."""
    if hint in SIMPLE or get_origin(hint) is Literal:
        return hint
    if get_origin(hint) in (Union, UnionType):
        parts = get_args(hint)
        return hint if all(part is NoneType or _checked(part) is not Any for part in parts) else Any
    inner = get_args(hint)
    if get_origin(hint) is tuple and len(inner) == 2 and inner[1] is Ellipsis and inner[0] in SIMPLE:
        return hint
    return Any
