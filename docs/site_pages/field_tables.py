"""Fields of dataclasses as a table: what a docstring says as "name: meaning" in a paragraph is read one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import griffe

RAISES = re.compile(r"(?<=\.) (?=Raises [A-Z])")


class FieldTables(griffe.Extension):
    """Google's `Attributes:` of every dataclass, from the house's shorter form; what else is said stays before it."""

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """Rewrite the docstring of a class whose fields are explained in it."""
        is_dataclass = any("dataclass" in str(one.value) for one in cls.decorators)
        if cls.docstring is not None and is_dataclass and "\nAttributes:" not in cls.docstring.value:
            cls.docstring.value = with_attributes(cls.docstring.value, [*cls.members])


def with_attributes(text: str, names: Sequence[str]) -> str:
    """The docstring with an `Attributes:` of those names that it explains.

    Args:
        text: a docstring, its indentation taken away.
        names: of the fields.
    """
    prose: list[str] = []
    raised: list[str] = []
    told: dict[str, str] = {}
    for paragraph in re.split(r"\n\s*\n", text):
        if re.search(r"^(    |- |\| |>>> |[A-Z]\w+:$)", paragraph, re.MULTILINE):
            prose.append(paragraph)
            continue
        line = " ".join(paragraph.split())
        said, *errors = RAISES.split(line)
        before, fields = _parted(said, names)
        told |= dict(fields)
        prose += [before] if before else []
        raised += errors
    rows = "\n".join(f"    {name}: {meaning}" for name, meaning in told.items())
    return "\n\n".join([*prose, f"Attributes:\n{rows}", *raised]) if told else text


def _parted(line: str, names: Sequence[str]) -> tuple[str, list[tuple[str, str]]]:
    """What stands before the first field, and each field with its meaning; several may share one."""
    one = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    places = list(re.finditer(rf"(?:^|(?<=[.;] ))((?:{one})(?:(?:, | and )(?:{one}))*): ", line)) if names else []
    if not places:
        return line, []
    ends = [*(place.start() for place in places[1:]), len(line)]
    return line[: places[0].start()].strip(), list(_each(line, places, ends))


def _each(line: str, places: Sequence[re.Match[str]], ends: Sequence[int]) -> Iterator[tuple[str, str]]:
    for place, end in zip(places, ends, strict=True):
        for name in re.split(r", | and ", place[1]):
            yield name, line[place.end() : end].strip(" ;")
