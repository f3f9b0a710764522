"""The page around what is shown: the style of the reports, one script, and a policy that allows nothing else."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256

from experiments.pages.script import SCRIPT
from experiments.pages.style import MORE
from server.reporting.markup import Child, Markup, joined, tag
from server.reporting.style import STYLE

SHEET = STYLE + MORE


def document(title: str, *body: Child) -> str:
    """The HTML of a whole page."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Markup(SHEET)),
    )
    whole = tag("html", head, tag("body", *body, tag("script", Markup(SCRIPT))), lang="en")
    return f"<!doctype html>\n{whole}\n"


@cache
def policy() -> str:
    """Content-Security-Policy: our style and script by hash, our own address for events and forms, no frames."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_hash(SHEET)}'; script-src '{_hash(SCRIPT)}'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def connection(events: str) -> Markup:
    """Whether the page follows what happens; without the script, how to see what is new. events: their address."""
    return tag(
        "span",
        "as it was when it was loaded; load it again to see what is new",
        id="connection",
        role="status",
        data_events=events,
    )


def live(key: str, *content: Child) -> Markup:
    """A part of the page that is put in anew when something changed."""
    return tag("div", *content, id=key, data_live=True)


def banner(look: str, *content: Child) -> Markup:
    """A remark that stands out. look: good, warn or bad."""
    return tag("div", *content, class_=f"banner {look}", role="alert" if look == "bad" else None)


def bulleted(sentences: list[str] | tuple[str, ...]) -> Markup | None:
    """Sentences as a list; None where there are none."""
    return tag("ul", *(tag("li", one) for one in sentences), class_="plain") if sentences else None


def tiles(*pairs: tuple[str, str]) -> Markup:
    """Key figures: (figure, what it is of)."""
    shown = [tag("div", tag("b", figure), tag("span", words), class_="tile") for figure, words in pairs]
    return tag("div", *shown, class_="tiles")


def badge(look: str, words: str) -> Markup:
    """A word in its colour, with a sign for who cannot tell colours."""
    sign = {"good": "✓", "warn": "!", "bad": "✕"}.get(look, "·")
    return tag("span", f"{sign} {words}", class_=f"badge {look}")


def heading(kind: str, mark: Child, events: str) -> Markup:
    """The line above the title: what page this is, how things are, whether it follows."""
    return tag("div", tag("span", kind, class_="kind"), mark, connection(events), class_="overline")


def contents(*links: tuple[str, str]) -> Markup:
    """The page's own contents: (words, key of the section)."""
    return tag("nav", *(tag("a", words, href=f"#{key}") for words, key in links), aria_label="Sections")


def form(action: str, proof: str, *content: Child, **attributes: str) -> Markup:
    """A form that counts: it brings its session's proof."""
    hidden = tag("input", type="hidden", name="proof", value=proof)
    return tag("form", hidden, *content, method="post", action=action, **attributes)


def prose(*paragraphs: str) -> Markup:
    """One paragraph each."""
    return joined(tag("p", one, class_="lede") for one in paragraphs)
