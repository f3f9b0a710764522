"""Answers on a terminal: what was found, in sentences and tables, and who it is from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from server.asking.told import cell, heading, origin
from server.reporting.markup import in_a_line


def show(table: Mapping[str, Any], console: Console) -> None:
    """All answers of an answer.json."""
    for answer in table["answers"]:
        console.print(Group(*_parts(answer)))
    console.print(Text(in_a_line(str(table["sees"])), style="dim"))


def _parts(answer: Mapping[str, Any]) -> Iterator[RenderableType]:
    yield Text(in_a_line(heading(answer)), style="bold")
    for sentence in answer["words"]:
        yield Text(in_a_line(str(sentence)), style="" if answer["state"] == "answered" else "red")
    for one in answer["tables"]:
        yield _table(one)
        if one.get("note"):
            yield Text(in_a_line(str(one["note"])), style="dim")
    for sentence in origin(answer):
        yield Text(in_a_line(sentence), style="dim")
    yield Text("")


def _table(table: Mapping[str, Any]) -> Table:
    shown = Table(title=in_a_line(str(table["title"])), title_justify="left", title_style="")
    for place, name in enumerate(table["header"]):
        is_number = all(_is_number(row[place]) for row in table["rows"])
        shown.add_column(Text(in_a_line(str(name))), justify="right" if is_number else "left")
    for row in table["rows"]:
        shown.add_row(*(Text(in_a_line(cell(one))) for one in row))
    return shown


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def rows_of(answer: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
    """Of the first table, for whoever wants one."""
    return answer["tables"][0]["rows"] if answer["tables"] else ()
