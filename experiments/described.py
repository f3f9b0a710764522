"""What an entry of a catalogue does and can be told: read from its docstrings and its dataclass' fields."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from common.study.options import Entry
from common.study.options import options_of as named_options

_WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false", type(None): "nothing"}


@dataclass(frozen=True)
class Option:
    """One line of the table. default: as TOML has it, or "needed". meaning: "" where no text says it."""

    name: str
    kind: str
    default: str
    meaning: str


def options_of(cls: type) -> Sequence[Option]:
    """The options of a dataclass as a study names them, in the order of its fields."""
    fields, hints = named_options(cls), get_type_hints(cls)
    meanings = meanings_of(texts_of(cls), list(fields))
    return [
        Option(name, spelled(hints[one.name]), _default(one), meanings.get(name, "")) for name, one in fields.items()
    ]


def texts_of(cls: type) -> list[str]:
    """The docstrings of a class and of the bases whose fields it takes over, its own first; none that Python made."""
    bases = [base for base in cls.__mro__ if base is cls or dataclasses.is_dataclass(base)]
    written = [vars(base).get("__doc__") or "" for base in bases]
    return [inspect.cleandoc(text) for base, text in zip(bases, written, strict=True) if _is_written(base, text)]


def meanings_of(texts: Sequence[str], names: Sequence[str]) -> Mapping[str, str]:
    """By option: what a docstring says behind `name:`, else the sentence that speaks of it. Earlier texts win."""
    lines = [" ".join(paragraph.split()) for text in texts for paragraph in re.split(r"\n\s*\n", text)]
    found: dict[str, str] = {}
    for way in (_behind_colons, _in_sentences):
        for line in lines:
            for name, meaning in way(line, names):
                found.setdefault(name, meaning)
    return found


def _behind_colons(line: str, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    one = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    group = rf"(?:^|(?<=[.;:,] ))`?(?P<group>(?:{one})(?:(?:, | and )(?:{one}))*)(?:, [^:.;]{{0,60}})?`?: "
    places = list(re.finditer(group, line))
    ends = [*(place.start() for place in places[1:]), len(line)][: len(places)]
    for place, end in zip(places, ends, strict=True):
        for name in re.split(r", | and ", place["group"]):
            yield name, line[place.end() : end].strip(" ;,")


def _in_sentences(line: str, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for sentence in re.split(r"(?<=\.) (?=\S)", line):
        for name in names:
            if not any(f"{other}: " in sentence for other in names) and re.search(
                rf"(?<![\w.{{]){re.escape(name)}(?![\w}}])", sentence
            ):
                yield name, sentence


def spelled(hint: Any) -> str:
    """A field's type in words, as a study writes it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(_toml(one) for one in arguments)
    if origin in (Union, type(int | str)):
        return " or ".join(spelled(one) for one in arguments)
    if origin is tuple:
        return f"list of {spelled(arguments[0])}"
    if hint is Entry:
        return "name, or table with a name and options"
    return _WORDS.get(hint, "table")


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return _toml(field.default)
    if field.default_factory is not dataclasses.MISSING:
        return _toml(field.default_factory())
    return "needed"


def _toml(value: Any) -> str:
    if isinstance(value, Entry):
        return f'"{value.name}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_toml, value))}]"
    if value is None:
        return "none"
    if isinstance(value, str):
        return f'"{value}"'
    return f"{value:.6g}" if isinstance(value, float) else str(value) if isinstance(value, int) else "{...}"


def _is_written(cls: type, text: str) -> bool:
    return bool(text) and not text.startswith(f"{cls.__name__}(")
