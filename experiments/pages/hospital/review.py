"""One study, before somebody agrees to it: what it does and costs, what changed, what the policy says; and the two
answers."""

from __future__ import annotations

import json
from pathlib import Path

from client.approvals import approvals
from common.errors import WardroundError
from experiments.approving.agreement import Shown, show_json
from experiments.approving.changes import first_words, since
from experiments.pages.hospital.checking import Checks
from experiments.pages.hospital.studies import Known
from experiments.pages.sheet import badge, banner, bulleted, document, form, heading, live
from server.reporting.markup import Child, Markup, tag
from server.reporting.sections.layout import facts, numbers, section

ANSWERED_ON_PAGE = "on the page of the node"
"""How somebody agreed, for the record."""
LOOKS = {"waiting": "warn", "approved": "good", "approved for another program": "bad", "revoked": "bad"}


def review_page(known: Known, folder: Path, proof: str, checks: Checks, fault: str = "") -> str:
    """The HTML. fault: why the last answer was not taken."""
    shown = _shown(known, folder)
    main = tag(
        "main",
        tag("nav", tag("a", "← All of this node", href="../"), aria_label="Back"),
        live(
            "top",
            heading("A study", badge(LOOKS.get(known.state, "bad"), known.state), "../events"),
            tag("h1", known.name),
        ),
        banner("bad", fault) if fault else None,
        tag("p", _lede(known), class_="finding"),
        *_parts(known, shown, folder),
        live("data", _data(known, shown, proof, checks)),
        _answers(known, shown, proof),
        tag("footer", "Digest of the study ", tag("code", known.digest)),
    )
    return document(f"{known.name}, Wardround", main)


def _shown(known: Known, folder: Path) -> Shown | str:
    """Why it cannot be shown, where it cannot."""
    if not known.text:
        return "Nothing but its digest is kept here: its settings cannot be shown."
    try:
        return show_json(known.text, folder)
    except WardroundError as error:
        return f"It cannot be run here: {error}"


def _lede(known: Known) -> str:
    if known.state == "waiting":
        return (
            f"A coordinator asked this hospital to take part ({known.words}). Nothing of it has been done: a study "
            "that its people have not approved is refused before anything of it is built."
        )
    words = {
        "approved": "Approved",
        "approved for another program": "Approved, for another program than runs here now. The node refuses it until "
        "it is approved once more. It was approved",
        "revoked": "It was approved once;",
        "refused": "Refused",
    }
    return f"{words[known.state]} {known.words}."


def _parts(known: Known, shown: Shown | str, folder: Path) -> list[Child]:
    settings = numbers("Every setting, as it came", tag("pre", _pretty(known.text))) if known.text else None
    if isinstance(shown, str):
        return [banner("bad", shown), settings]
    return [
        _forbidden(shown),
        _changes(shown, folder),
        section(
            "does",
            "What it does, and what it costs",
            "Said by this hospital's own program, from the settings alone; names and titles are the coordinator's.",
            bulleted(shown.facts),
            _description(shown),
            settings,
        ),
    ]


def _description(shown: Shown) -> Markup | None:
    words = shown.study.description
    return facts([("In the coordinator's own words", words)]) if words else None


def _forbidden(shown: Shown) -> Markup:
    if not shown.forbidden:
        return banner("good", "This hospital's policy permits it.")
    return banner("bad", tag("b", "This hospital's policy forbids it"), bulleted(shown.forbidden))


def _changes(shown: Shown, folder: Path) -> Markup:
    if shown.before is None:
        lede = first_words([one.title for one in approvals(folder)])
        return section("changes", "What changed", lede)
    compared = f"Compared with {since(shown.before)}."
    if not shown.changed:
        return section("changes", "What changed", f"{compared} Nothing changed.")
    return section("changes", "What changed", compared, bulleted(shown.changed))


def _data(known: Known, shown: Shown | str, proof: str, checks: Checks) -> Markup | None:
    """Whether this hospital's data are fit for it: checked when somebody asks."""
    if isinstance(shown, str):
        return None
    state = checks.state_of(known.digest)
    said: dict[str, Child] = {
        "running": tag("p", "The check is under way; this page says when it is done.", role="status"),
        "done": tag("p", tag("a", "What the check found, with patients' names", href=f"{known.digest}/data")),
        "failed": banner("bad", f"It could not be checked: {checks.faults.get(known.digest, '')}"),
    }
    again = "Check once more" if state in ("done", "failed") else "Check our data for this study"
    button = form(f"{known.digest}/check", proof, tag("button", again, type="submit", id="check"))
    return section(
        "own-data",
        "Are our data fit for it?",
        "Reads every case as training would, without training. Nothing of it leaves this machine or is written down.",
        said.get(state),
        None if state == "running" else button,
    )


def _answers(known: Known, shown: Shown | str, proof: str) -> Markup:
    """Two forms side by side; where it cannot be approved, the reason in the place of one."""
    approve = _approve(known, shown, proof)
    refuse = None if known.state == "refused" else _refuse(known, proof)
    lede = "It is written into this hospital's log, with the name of who runs this page."
    return section("answer", "Your answer", lede, tag("div", approve, refuse, class_="choices"))


def _approve(known: Known, shown: Shown | str, proof: str) -> Markup:
    title = tag("h3", "Approve")
    if known.state == "approved":
        return tag("div", title, tag("p", "It is approved. To end that, refuse it."))
    if isinstance(shown, str):
        return tag("div", title, tag("p", "It cannot be approved: see above."))
    if shown.forbidden:
        return tag("div", title, tag("p", "The policy forbids it. Whoever may change policy.toml may permit it."))
    return tag(
        "div",
        title,
        form(
            f"{known.digest}/approve",
            proof,
            tag(
                "label",
                tag("input", type="checkbox", name="read", value="yes", required=True),
                tag("span", "I have read what it does and costs, and may agree to it for this hospital."),
                class_="check",
            ),
            tag("button", "Approve this study", type="submit", class_="primary", id="approve"),
        ),
        tag("p", "The node answers it from its next message on, with the program that runs here now.", class_="note"),
    )


def _refuse(known: Known, proof: str) -> Markup:
    is_approved = known.state.startswith("approved")
    return tag(
        "div",
        tag("h3", "Take the approval back" if is_approved else "Refuse"),
        form(
            f"{known.digest}/refuse",
            proof,
            tag("label", "Reason", for_="reason"),
            tag("textarea", id="reason", name="reason", rows=3, required=True, maxlength=2000),
            tag("p", "For those who come after you. It stays in this hospital.", class_="hint"),
            tag(
                "button",
                "Take the approval back" if is_approved else "Refuse this study",
                type="submit",
                class_="danger",
                id="refuse",
            ),
        ),
        tag("p", "The coordinator is told that its people declined, and not why.", class_="note"),
    )


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
