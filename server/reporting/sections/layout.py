"""What all sections are built of."""

from __future__ import annotations

from server.reporting.markup import Child, Markup, tag

MOST_ROWS = 12
"""With more hospitals than this, a chart shows their spread instead of a row each."""


def section(key: str, title: str, lede: Child, *content: Child) -> Markup:
    """A titled part of the page; the lede says what there is to see."""
    said = tag("p", lede, class_="lede") if lede else None
    return tag("section", tag("h2", title), said, *content, id=key)


def figure(title: str, *content: Child, note: Child = None) -> Markup:
    """A titled picture."""
    caption = tag("p", note, class_="note") if note else None
    return tag("div", tag("h3", title), *content, caption, class_="figure")


def beside(*figures: Child) -> Markup:
    """Figures beside each other where the page is wide enough."""
    return tag("div", *figures, class_="beside")


def numbers(title: str, *content: Child) -> Markup:
    """The numbers behind a picture, folded away."""
    return tag("details", tag("summary", title), *content)


def facts(pairs: list[tuple[str, Child]]) -> Markup:
    """Terms and their values."""
    rows = [tag("div", tag("dt", term), tag("dd", value)) for term, value in pairs if value]
    return tag("dl", *rows, class_="facts")
