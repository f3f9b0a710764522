"""`audit.html`: one file, no network, for a privacy officer; `audit.json` has the same figures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from common.files import access as files
from experiments.audit.cast import cast_of_report
from experiments.audit.dossier.first_page import front
from experiments.audit.plan import failure
from experiments.audit.records import Report
from experiments.audit.report.details import details, readable, untried
from experiments.audit.report.summary import opening, promised, tried
from experiments.audit.report.verdict_page import judged
from experiments.audit.report.words import spoken
from server.reporting.markup import Markup, tag
from server.reporting.page import document

SCHEMA = Path(__file__).with_name("schema.json")


def page_of(report: Report) -> str:
    """The HTML of an audit."""
    parts = [
        *front(report),
        ("Promised", "promised", promised(report)),
        ("Tried", "tried", tried(report)),
        ("Verdict", "verdict", judged(report)),
        *_figures(report),
        ("Who reads what", "read", readable(report)),
        ("Not tried", "untried", untried(report)),
        ("Details", "details", details(report)),
    ]
    links = [tag("a", word, href=f"#{key}") for word, key, _ in parts]
    sections: list[Markup | None] = [part for _, _, part in parts]
    foot = tag("footer", "Figures for machines are in ", tag("code", "audit.json"), ".")
    body = tag("main", opening(report), tag("nav", *links, aria_label="Sections"), *sections, foot)
    return document(f"{report.title or report.study}, privacy audit", body)


def _figures(report: Report) -> list[tuple[str, str, Markup]]:
    """Of every question, and of every adversary, that has one to show."""
    cast, report = cast_of_report(report), spoken(report)
    shown: list[tuple[str, str, Markup]] = []
    for word, key, one in [(q.title, name, q) for name, q in cast.in_order()] + [
        (a.heading or a.who, name, a) for name, a in cast.adversaries.items()
    ]:
        if (made := _figure(one, report)) is not None:
            shown.append((word, f"figure-{key}", tag("div", made, id=f"figure-{key}")))
    return shown


def _figure(one: object, report: Report) -> Markup | None:
    if not hasattr(one, "figure"):
        return None
    try:
        made = one.figure(report)
    except BaseException as error:  # noqa: BLE001 - a stranger's
        return tag("p", f"A figure of {type(one).__name__} came to no end: {failure(error)}.", class_="note")
    return made if isinstance(made, Markup) else None


def json_of(report: Report) -> str:
    """Against `schema.json`. Pictures stay out; what is not a number is null."""
    table = asdict(report)
    for trial in table["trials"]:
        for one in trial["rebuilt"]:
            del one["original"], one["rebuilt"]
    return json.dumps(_plain(table), indent=1, allow_nan=False) + "\n"


def without_pictures(report: Report) -> Report:
    """The report without patients' data, for the file."""
    trials = [
        replace(trial, rebuilt=[replace(one, original="", rebuilt="") for one in trial.rebuilt])
        for trial in report.trials
    ]
    return replace(report, trials=trials)


def write(report: Report, folder: Path) -> Path:
    """Both files beside the run's report; the path of the page."""
    for name, text in (("audit.json", json_of(report)), ("audit.html", page_of(report))):
        files.write(folder, name, text)
    return folder / "audit.html"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
