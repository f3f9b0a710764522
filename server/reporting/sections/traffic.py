"""What left each hospital, how much of it, and who could read it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from server.reporting.by_hospital import ByHospital, folded
from server.reporting.charts.bars import bar, row
from server.reporting.markup import Markup, table, tag
from server.reporting.records import MessageKind, Run
from server.reporting.sections.compression import compression
from server.reporting.sections.layout import MOST_ROWS, beside, figure, section
from server.reporting.summary import bytes_moved
from server.reporting.wording import capital, count, size

PROTOCOL = {
    "keys": "public keys of this round",
    "shares": "shares of secrets, each encrypted for one hospital",
    "survivors": "signatures on the list of who takes part",
    "confirm": "signatures on having read enough of those",
    "unmask": "shares that take the masks off the sum",
}
"""Messages of an aggregation's own legs, named by the leg, in both directions."""

WHAT = {
    "update": "update: how training changed the model, with its mean scores",
    "evaluation": "scores of the model",
    "description": "description: shape of a case, and those counts that the study lets a hospital tell",
    "incident": "incident number of an error",
    "model": "the shared model and what to do with it",
    "study": "the study: every setting of the run",
    "signatures": "every hospital's signature over the member list",
    "agreement": "word that all signed the member list that this hospital knows",
    **PROTOCOL,
}
SHORT = {
    "update": "updates",
    "evaluation": "scores",
    "description": "descriptions",
    "incident": "incident numbers",
    "model": "the model",
    "study": "the study",
    "agreement": "words of agreement",
}
READERS = {
    "keys": "Everybody reads public keys; they are signed, so that nobody can put others in their place.",
    "shares": "Only the hospital each is for reads it; the coordinator passes on what it cannot open.",
    "survivors": "Everybody reads who is still taking part, signed by each hospital.",
    "confirm": "Everybody reads what its witnesses signed, and signs that it did.",
    "unmask": "The coordinator reads what takes the masks off the sum, and off no single update.",
    "evaluation": "The coordinator reads each hospital's mean scores and numbers of cases.",
    "description": "The coordinator reads it, of each hospital.",
    "incident": "The coordinator reads the number alone; the error's text stays in the hospital.",
    "model": "Every hospital reads it; nothing in it is a hospital's own.",
    "study": "Every hospital reads it; nothing in it is a hospital's own.",
    "signatures": "Every hospital reads them, and verifies each with the key that it compared by telephone.",
    "agreement": "The coordinator reads it; nothing of a patient is in it.",
}
UPDATE_READERS = {
    "each": "The coordinator can read every hospital's single update.",
    "sum": "The coordinator can read only the sum over the hospitals, no single update.",
}
CAVEAT = {
    "each": "An update is computed from patients' data, and images have been rebuilt from such updates in published "
    "attacks. Where single updates are readable, trust in the coordinator is part of the protection.",
    "sum": "A sum hides a single hospital among the others, less well where few take part, and it still says "
    "something about all of them together.",
}
UNKNOWN_READER = "The run does not say who could read it: take it that the coordinator could."


def departures(run: Run) -> Markup | None:
    """None where no byte was counted."""
    moved = bytes_moved(run)
    if not moved["received"] and not moved["sent"]:
        return None
    kinds = merged(run.traffic.kinds)
    by_kind = figure("By kind of message", _bars(kinds)) if kinds else None
    by_site = _by_site(run)
    return section(
        "left",
        "What left each hospital",
        lede(run),
        beside(by_kind, by_site) if by_kind or by_site else None,
        compression(run),
        tag("h3", "Who could read it") if kinds else None,
        _table(kinds, run) if kinds else None,
        tag("p", CAVEAT[run.about.reveals if run.about.reveals == "sum" else "each"], class_="note"),
    )


def merged(kinds: Iterable[MessageKind]) -> list[MessageKind]:
    """One kind for all legs of the same content and direction; what leaves comes first, largest first."""
    found: dict[tuple[str, str], MessageKind] = {}
    for kind in kinds:
        key = (kind.direction, kind.content)
        found[key] = _sum(found[key], kind) if key in found else kind
    return sorted(found.values(), key=lambda kind: (not kind.leaves_hospital, -kind.bytes))


def _sum(one: MessageKind, other: MessageKind) -> MessageKind:
    leg = ", ".join(dict.fromkeys([*one.leg.split(", "), other.leg]))
    return replace(one, leg=leg, messages=one.messages + other.messages, bytes=one.bytes + other.bytes)


def lede(run: Run) -> str:
    """Sizes in both directions, and the one fact a privacy officer asks for first."""
    moved = bytes_moved(run)
    start = f"{size(moved['received'])} left the hospitals and {size(moved['sent'])} came to them."
    known = run.traffic.kinds and all(kind.content in WHAT for kind in run.traffic.kinds)
    kept = "No message carries an image or a patient's label." if known else ""
    return f"{start} {kept} {UPDATE_READERS.get(run.about.reveals, UNKNOWN_READER)}"


def _bars(kinds: list[MessageKind]) -> Markup:
    largest = max(kind.bytes for kind in kinds) or 1
    return tag("div", *(_bar(kind, largest) for kind in kinds), class_="rows wide-names")


def _bar(kind: MessageKind, largest: int) -> Markup:
    look = "out" if kind.leaves_hospital else "in"
    tip = f"{kind.content}, {kind.leg}, {kind.direction}: {kind.bytes:,} bytes in {count(kind.messages, 'message')}"
    arrow = "leaves" if kind.leaves_hospital else "arrives"
    return row(
        SHORT.get(kind.content, kind.content or "unknown"),
        bar(kind.bytes / largest, size(kind.bytes), look, tip),
        note=arrow,
    )


def _table(kinds: list[MessageKind], run: Run) -> Markup:
    rows = [
        [
            WHAT.get(kind.content, kind.content or "unknown"),
            "out of the hospital" if kind.leaves_hospital else "into the hospital",
            kind.leg,
            reader(kind, run.about.reveals, run.about.readers),
            f"{kind.messages:,}",
            size(kind.bytes),
        ]
        for kind in kinds
    ]
    return table(["What", "Direction", "Legs", "Who could read it", "Messages", "Bytes"], rows, words=4)


def reader(kind: MessageKind, reveals: str, readers: str = "") -> str:
    """Who could read a kind of message, given what the aggregation reveals and says of its readers."""
    if kind.content == "update":
        return capital(readers) or UPDATE_READERS.get(reveals, UNKNOWN_READER)
    return READERS.get(kind.content, UNKNOWN_READER)


def _by_site(run: Run) -> Markup | None:
    left = {site: moved.get("received", 0) for site, moved in run.traffic.sites.items()}
    if not left:
        return None
    largest = max(left.values()) or 1
    order = sorted(left, key=lambda site: (-left[site], site))
    found = moved(run)
    every = None if found is None else folded(run, found, "Every hospital", order, "who sent most and who sent least")
    if len(left) > MOST_ROWS:
        low, middle, high = np.quantile(list(left.values()), [0, 0.5, 1])
        words = f"Each hospital sent {size(low)} to {size(high)}; half of them sent {size(middle)} or less."
        return figure("By hospital", tag("p", words), every)
    tips = {site: f"{site}: {left[site]:,} bytes left, {_sent(run, site):,} came" for site in order}
    rows = [row(site, bar(left[site] / largest, size(left[site]), "out", tips[site])) for site in order]
    return figure("By hospital, bytes that left", tag("div", *rows, class_="rows"), every)


def _sent(run: Run, site: str) -> int:
    return run.traffic.sites[site].get("sent", 0)


def moved(run: Run) -> ByHospital | None:
    """Bytes of every hospital, who sent most first; None where none were counted."""
    sites = run.traffic.sites
    order = sorted(sites, key=lambda site: (-sites[site].get("received", 0), site))
    rows = {site: [size(sites[site].get("received", 0)), size(_sent(run, site))] for site in order}
    return ByHospital("bytes", "Bytes", ["Left it", "Came to it"], rows) if rows else None
