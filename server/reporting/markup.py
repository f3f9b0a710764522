"""HTML that is escaped by construction: text becomes markup only by passing through here.

Names of hospitals and reasons of failures come over the wire, so they may hold anything.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable, Sequence

VOID = frozenset({"br", "img", "input", "meta"})
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class Markup(str):
    """Text that is already HTML."""

    __slots__ = ()


Child = str | None


def escaped(text: str) -> Markup:
    """Text as HTML. Control characters and those that turn the direction of writing become U+FFFD."""
    return text if isinstance(text, Markup) else Markup(html.escape(visible(text), quote=True))


def visible(text: str) -> str:
    """Text without characters that cannot be seen and could make it read as something else."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in "\n\t" or unicodedata.category(c) not in _INVISIBLE else "\ufffd" for c in text)


def in_a_line(text: str) -> str:
    """`visible`, without line breaks: what somebody else wrote does not begin a line that looks like ours."""
    return " ".join(visible(text).split())


def joined(children: Iterable[Child]) -> Markup:
    """Children one after the other; None adds nothing."""
    return Markup("".join(escaped(child) for child in children if child is not None))


def tag(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """One element. `class_` is class, `stroke_width` is stroke-width; an attribute of None or False is left out."""
    opened = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    return Markup(opened if name in VOID else f"{opened}{joined(children)}</{name}>")


def _attribute(key: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return f' {name}="{escaped(text)}"'


def table(head: Sequence[str], rows: Iterable[Iterable[Child]], words: int = 1) -> Markup:
    """A table that scrolls by itself where it is wide. The first `words` columns hold words, the others numbers.

    On a narrow screen a row of many words becomes a paragraph, each cell after its column's name.
    """
    head_cells = [tag("th", cell, scope="col", class_=_kind(k, words)) for k, cell in enumerate(head)]
    labels = head if words > 1 else [None] * len(head)
    body = [tag("tr", *(_cell(k, cell, words, labels[k]) for k, cell in enumerate(row))) for row in rows]
    whole = tag("table", tag("thead", tag("tr", *head_cells)), tag("tbody", *body))
    return tag("div", whole, class_="scroll wordy" if words > 1 else "scroll", tabindex="0")


def _cell(position: int, content: Child, words: int, label: str | None) -> Markup:
    if position == 0:
        return tag("th", content, scope="row")
    return tag("td", content, class_=_kind(position, words), data_label=label or None)


def _kind(position: int, words: int) -> str | None:
    return None if position < words else "number"
