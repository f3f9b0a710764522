"""Bars in rows: a name, a bar that fills its column, a value at its end. Widths are shares, so pages may narrow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from server.reporting.markup import Child, Markup, joined, tag
from server.reporting.wording import percent

LABELLED_FROM = 0.09
"""A part of a stacked bar this wide or wider says its share itself."""


@dataclass(frozen=True)
class Part:
    """A part of a stacked bar. words: its value as the tip writes it."""

    label: str
    value: float
    look: str
    words: str


def row(name: str, *content: Child, strong: bool = False, note: str = "") -> Markup:
    """A named row of whatever is drawn beside the name."""
    label = tag(
        "div", tag("span", name, class_="site"), tag("span", note, class_="note") if note else None, class_="name"
    )
    return tag("div", label, tag("div", *content, class_="content"), class_="row strong" if strong else "row")


def bar(share: float, words: str, look: str, tip: str = "") -> Markup:
    """A bar that fills `share` of its column, its value in words at its end."""
    width = f"{100 * min(max(share, 0.0), 1.0):.2f}%"
    title = tag("title", tip) if tip else None
    return tag(
        "svg",
        tag("rect", width="100%", y=3, height=12, rx=2, class_="track"),
        tag("rect", title, width=width, y=3, height=12, rx=2, class_=f"fill {look} hit"),
        tag("text", words, x=width, dx=6, y=13, class_="value"),
        class_="bar",
        role="img",
        aria_label=tip or words,
    )


def stacked_bar(parts: Sequence[Part], total: float | None = None, shares: bool = True) -> Markup:
    """Parts side by side; together they fill the column, or their share of `total` of it."""
    whole = total if total is not None else sum(part.value for part in parts)
    drawn, start = [], 0.0
    for part in parts:
        share = part.value / whole if whole > 0 else 0.0
        if share > 0:
            drawn.append(_part(part, start, share, shares))
        start += share
    words = ", ".join(f"{part.label} {part.words}" for part in parts)
    return tag("svg", *drawn, class_="stack", role="img", aria_label=words)


def _part(part: Part, start: float, share: float, shares: bool) -> Markup:
    title = tag("title", f"{part.label}: {part.words}")
    rect = tag("rect", title, x=_percent(start), width=_percent(share), height="100%", class_=f"fill {part.look} hit")
    if share < LABELLED_FROM:
        return rect
    text = percent(share) if shares else part.words
    middle = _percent(start + share / 2)
    return joined([rect, tag("text", text, x=middle, y="50%", text_anchor="middle", class_=f"on {part.look}")])


def _percent(share: float) -> str:
    return f"{100 * share:.3f}%"


def legend(entries: Iterable[tuple[str, str]]) -> Markup:
    """(label, look) pairs."""
    keys = (tag("li", tag("i", class_=f"key {look}"), label) for label, look in entries)
    return tag("ul", *keys, class_="legend")
