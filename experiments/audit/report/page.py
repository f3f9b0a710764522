"""`audit.html`: one file, no network, for a privacy officer; `audit.json` has the same figures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common.files import access as files
from experiments.audit.records import Report
from experiments.audit.report.cheating import cheated
from experiments.audit.report.details import details, readable, untried
from experiments.audit.report.findings import measured, rebuilt, told
from experiments.audit.report.summary import opening, promised, tried
from experiments.audit.report.verdict_page import judged
from server.reporting.markup import Markup, tag
from server.reporting.page import document

SCHEMA = Path(__file__).with_name("schema.json")


def page_of(report: Report) -> str:
    """The HTML of an audit."""
    parts = {
        "Promised": ("promised", promised(report)),
        "Tried": ("tried", tried(report)),
        "Verdict": ("verdict", judged(report)),
        "Rebuilt data": ("rebuilt", rebuilt(report)),
        "A cheating coordinator": ("cheated", cheated(report)),
        "Members": ("told", told(report)),
        "Epsilon": ("measured", measured(report)),
        "Who reads what": ("read", readable(report)),
        "Not tried": ("untried", untried(report)),
        "Details": ("details", details(report)),
    }
    shown = {word: pair for word, pair in parts.items() if pair[1] is not None}
    links = [tag("a", word, href=f"#{key}") for word, (key, _) in shown.items()]
    sections: list[Markup | None] = [part for _, part in shown.values()]
    foot = tag("footer", "Figures for machines are in ", tag("code", "audit.json"), ".")
    body = tag("main", opening(report), tag("nav", *links, aria_label="Sections"), *sections, foot)
    return document(f"{report.title or report.study}, privacy audit report", body)


def json_of(report: Report) -> str:
    """Against `schema.json`. Pictures stay out; what is not a number is null."""
    table = asdict(report)
    for trial in table["trials"]:
        for one in trial["rebuilt"]:
            del one["original"], one["rebuilt"]
    return json.dumps(_plain(table), indent=1, allow_nan=False) + "\n"


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
