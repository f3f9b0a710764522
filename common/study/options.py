"""Untyped mappings (TOML, JSON, the wire) to frozen dataclasses, strictly and with helpful errors."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from common.errors import StudyError
from common.study.spelling import unknown

T = TypeVar("T")
EXAMPLE = "example"
"""In a field's metadata: a line for the message where it is missing."""
OPTION = "option"
"""In a field's metadata: the name of its option, where a class needs the word for something else."""
LARGEST = 2**63 - 1
"""Whole numbers beyond it are none in TOML, JSON or on the wire elsewhere."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """A catalogue entry a study chose: its name, and its options as given.

    In TOML it is a bare name, `network = "mlp"`, or a table, `network = { name = "mlp", hidden = [64] }`.
    """

    name: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def options_of(cls: type[Any]) -> dict[str, dataclasses.Field[Any]]:
    """The fields of a dataclass that are options, by the names of those."""
    return {field.metadata.get(OPTION, field.name): field for field in dataclasses.fields(cls) if field.init}


def build(cls: type[T], given: Mapping[str, Any], where: str) -> T:
    """The dataclass `cls` from `given`. Unknown keys, missing keys and wrong types raise StudyError.

    `where` names the place in the study, for the message: "training", "strategy 'fedavg'".
    """
    fields = options_of(cls)
    hints = _hints(cls, fields)
    for key in given:
        if key not in fields:
            raise unknown(f"option of {where}", key, fields)
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in given:
            example = field.metadata.get(EXAMPLE) or f"{name} = {_example(hints[name])}"
            raise StudyError(f"{where}.{name} is missing: {_spell(hints[name])} is needed, such as {example}")
    converted = {key: convert(value, hints[key], f"{where}.{key}") for key, value in given.items()}
    return cls(**{fields[key].name: value for key, value in converted.items()})


def _hints(cls: type, fields: Mapping[str, dataclasses.Field[Any]]) -> dict[str, Any]:
    """The type of every option. Raises StudyError where an annotation names what its module does not know."""
    try:
        hints = _type_hints(cls)
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        raise StudyError(
            f"{cls.__qualname__}: an annotation of its fields cannot be read ({error}); import what it names at the "
            "top of the file, outside of `if TYPE_CHECKING`."
        ) from error
    return {name: hints[field.name] for name, field in fields.items()}


@lru_cache(maxsize=1024)
def _type_hints(cls: type) -> Mapping[str, Any]:
    """Kept: every message to a hospital has its study read anew, and annotations are compiled at each look."""
    return get_type_hints(cls)


def convert(value: Any, hint: Any, where: str) -> Any:
    """`value` as the annotation `hint` wants it, or StudyError naming `where`."""
    origin = get_origin(hint)
    if hint is Entry:
        return _entry(value, where)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, hint):
            return value
        return build(hint, _table(value, where), where)
    if origin in (Union, types.UnionType):
        return _union(value, get_args(hint), where)
    if origin is Literal:
        return _literal(value, get_args(hint), where)
    if origin is tuple:
        return _tuple(value, get_args(hint)[0], where)
    if origin in (dict, Mapping) or hint is Any or getattr(origin, "__name__", "") == "Mapping":
        return value
    return _scalar(value, hint, where)


def _entry(value: Any, where: str) -> Entry:
    if isinstance(value, Entry):
        return value
    if isinstance(value, str):
        return Entry(value)
    table = dict(_table(value, where))
    name = table.pop("name", None)
    if not isinstance(name, str):
        raise StudyError(f'{where}.name is missing: a word is needed, such as {where}.name = "...".')
    return Entry(name, table)


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise StudyError(f"{where} must be a table of options; it is {value!r}.")
    return value


def _union(value: Any, hints: tuple[Any, ...], where: str) -> Any:
    if value is None and type(None) in hints:
        return None
    errors = []
    for hint in hints:
        if hint is type(None):
            continue
        try:
            return convert(value, hint, where)
        except StudyError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    raise StudyError(f"{where} must be {' or '.join(map(_spell, hints))}; it is {value!r}.")


def _literal(value: Any, choices: tuple[Any, ...], where: str) -> Any:
    if value in choices and type(value) is type(choices[choices.index(value)]):
        return value
    if isinstance(value, str):
        raise unknown(where, value, [str(choice) for choice in choices])
    raise StudyError(f"{where} must be one of {', '.join(map(repr, choices))}; it is {value!r}.")


def _tuple(value: Any, hint: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise StudyError(f"{where} must be a list; it is {value!r}.")
    return tuple(convert(item, hint, f"{where}[{index}]") for index, item in enumerate(value))


def _scalar(value: Any, hint: Any, where: str) -> Any:
    if type(value) is int and abs(value) > LARGEST:
        raise StudyError(f"{where} must lie between -2^63 and 2^63; it has {len(hex(value)) - 2} hexadecimal digits.")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise StudyError(f"{where} must be {_spell(hint)}; it is {value!r}.")
    return value


_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "a word",
    bool: "true or false",
    type(None): "nothing",
}


def _spell(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, get_args(hint)))
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(_spell(part) for part in get_args(hint))
    return _WORDS.get(hint) or ("a list" if get_origin(hint) is tuple else "a table of options")


def _example(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return f'"{get_args(hint)[0]}"'
    if get_origin(hint) in (Union, types.UnionType):
        return _example(get_args(hint)[0])
    return {int: "4", float: "0.5", str: '"word"', bool: "true"}.get(
        hint, "[...]" if get_origin(hint) is tuple else "{ ... }"
    )
