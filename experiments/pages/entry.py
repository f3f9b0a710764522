"""The one page that is shown without a session: it asks for the key of the link."""

from __future__ import annotations

from experiments.pages.sheet import document
from server.reporting.markup import tag


def entry_page(fault: str = "") -> str:
    """The HTML. fault: why the last key was not taken."""
    lede = (
        "Open this page by the link that its program printed in the terminal: the key stands behind the #. It may "
        "also be pasted here."
    )
    main = tag(
        "main",
        tag("p", tag("span", "Wardround, on this machine alone", class_="kind"), class_="overline"),
        tag("h1", "This page needs its key"),
        tag("p", fault, class_="banner bad", role="alert") if fault else None,
        tag("p", lede, class_="lede"),
        tag(
            "form",
            tag("label", "Key", for_="key"),
            tag(
                "input", id="key", name="key", type="password", autocomplete="off", required=True, spellcheck="false"
            ),
            tag("button", "Open", type="submit", class_="primary"),
            method="post",
            action="/enter",
            class_="enter",
            data_enter=True,
        ),
    )
    return document("Wardround", main)
