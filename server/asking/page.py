"""`answers.html`: the answers in a folder as one page that needs no network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.files.access import write
from common.files.json_files import read_table
from server.asking.drawn import drawn
from server.asking.told import cell, heading, origin
from server.reporting.markup import Markup, table, tag
from server.reporting.page import document
from server.reporting.sections.layout import beside, facts, figure, section

PAGE, ANSWERS = "answers.html", "answer.json"


def write_page(folder: Path) -> Path:
    """The page of the answers in a folder. Raises FileError where they are damaged."""
    return write(folder, PAGE, page_of(read_table(folder, ANSWERS, required=True)))


def page_of(answers: Mapping[str, Any]) -> str:
    """The HTML."""
    title = str(answers["title"] or answers["study"])
    head = tag(
        "header",
        tag("p", tag("span", "Questions to hospitals", class_="kind"), class_="overline"),
        tag("h1", title),
        tag("p", str(answers["sees"]), class_="finding"),
    )
    parts = [_answer(one, place) for place, one in enumerate(answers["answers"], 1)]
    foot = tag(
        "footer",
        "Every number of this page is in ",
        tag("code", ANSWERS),
        ", every query with the total that was opened in ",
        tag("code", "queries.jsonl"),
        f"; aggregation {answers['aggregation']}.",
    )
    return document(f"{title}: answers", tag("main", head, _contents(answers), *parts, foot))


def _contents(answers: Mapping[str, Any]) -> Markup | None:
    if len(answers["answers"]) < 2:
        return None
    links = (tag("a", heading(one), href=f"#answer-{at}") for at, one in enumerate(answers["answers"], 1))
    return tag("nav", *links, aria_label="Answers")


def _answer(answer: Mapping[str, Any], place: int) -> Markup:
    has_one = answer["state"] == "answered"
    badge = tag("span", "answered" if has_one else "no answer", class_=f"badge {'good' if has_one else 'warn'}")
    words = [tag("p", str(sentence), class_="lede") for sentence in answer["words"]]
    pictures = [figure(one["title"], drawn(one)) for one in answer["figures"]]
    tables = [
        figure(
            one["title"],
            table(one["header"], [[cell(value) for value in row] for row in one["rows"]], _words_in(one)),
            note=one.get("note") or None,
        )
        for one in answer["tables"]
    ]
    asked = answer["question"]
    about = facts(
        [
            ("Analysis", str(asked["name"])),
            ("Options", ", ".join(f"{name} = {_option(value)}" for name, value in asked["options"].items())),
            ("Only rows where", " and ".join(asked["where"])),
            ("In groups of", str(asked["by"])),
        ]
    )
    where_from = tag("ul", *(tag("li", sentence) for sentence in origin(answer)), class_="plain note")
    shown = [beside(*pictures)] if len(pictures) > 1 else pictures
    return section(
        f"answer-{place}", heading(answer), None, tag("p", badge), *words, *shown, *tables, about, where_from
    )


def _words_in(one: Mapping[str, Any]) -> int:
    """How many columns from the left hold words."""
    many = 0
    for place in range(len(one["header"])):
        if not any(isinstance(row[place], str) for row in one["rows"]):
            break
        many += 1
    return max(many, 1)


def _option(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
