"""At the top of the page: who was expected, who took part, and what was left out, with the reasons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from server.reporting.losses import LeftOutCases, Losses
from server.reporting.markup import Markup, table, tag
from server.reporting.wording import listed

MOST_LINES = 12
MOST_SITES_NAMED = 12
MOST_CASES = 20


def left_out(losses: Losses) -> Markup:
    """A sentence where nothing was; a box of what was and why."""
    lines = losses.grave
    head = _head(losses)
    if not lines and not losses.cases and not losses.removed:
        return tag("p", f"{head}. Nothing was left out.", class_="quiet", id="left-out")
    return tag(
        "div",
        tag("b", head),
        _list(lines, "rounds.jsonl and problems.jsonl"),
        _list([one.sentence for one in losses.cases], "summary.json"),
        _list(losses.removed, "summary.json"),
        _named(losses.cases),
        class_="banner warn",
        id="left-out",
    )


def _head(losses: Losses) -> str:
    named = listed(losses.took_part, MOST_SITES_NAMED)
    return f"{losses.census}: {named}" if named else losses.census


def _list(lines: Sequence[str], file: str) -> Markup | None:
    if not lines:
        return None
    more = len(lines) - MOST_LINES
    shown = [*lines[:MOST_LINES], *([f"and {more} more, in {file}"] if more > 0 else [])]
    return tag("ul", *(tag("li", line) for line in shown))


def _named(cases: Iterable[LeftOutCases]) -> Markup | None:
    """Which cases, and why, where the hospitals are simulated on this machine."""
    rows = [[one.site, name, reason] for one in cases for name, reason in one.named]
    if not rows:
        return None
    title = f"Cases that could not be used ({len(rows)})"
    title += f", the first {MOST_CASES}" if len(rows) > MOST_CASES else ""
    return tag(
        "details",
        tag("summary", title),
        table(["Hospital", "Case", "Why"], rows[:MOST_CASES], words=3),
        open=len(rows) <= MOST_CASES,
    )
