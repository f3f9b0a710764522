"""What a release hides and what it does not, for whoever decides whether it may go out."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from typing import Any

from experiments.anonymising.conduct import Release, Wanted
from experiments.anonymising.noisy import NoisyRelease
from experiments.anonymising.table import Table
from server.reporting.charts.plane import Curve, Plane, Spot, plane
from server.reporting.markup import Child, Markup, table, tag
from server.reporting.page import document
from server.reporting.sections.layout import beside, facts, figure, section
from server.reporting.wording import count, listed, percent

TITLE = "What this release hides"


def summary_of(wanted: Wanted, release: Release) -> dict[str, Any]:
    """All of it as numbers."""
    return {
        "rows": int((release.group >= 0).sum()),
        "suppressed": release.suppressed,
        "groups": len(release.groups),
        "information_loss": release.loss,
        "achieved": dict(release.has),
        "quasi_identifiers": list(wanted.quasi),
        "sensitive": wanted.sensitive,
        "side_knowledge": dict(wanted.side or {}),
        "found": release.linked.found,
        "guessed": release.linked.guessed,
        "disclosed": release.linked.disclosed if wanted.sensitive else None,
    }


def page_of(
    source: Table,
    wanted: Wanted,
    release: Release,
    curve: Sequence[tuple[int, Release]],
    noisy: NoisyRelease | None = None,
) -> str:
    """The HTML. curve: releases of the same table with other k. noisy: one with noise, as coarse as this one."""
    head = tag("header", tag("h1", TITLE), tag("p", finding(source, wanted, release), class_="finding"))
    parts = [_hidden(source, wanted, release), _groups(wanted, release)]
    if curve:
        parts.insert(1, _found(wanted, release, curve, noisy))
    if noisy is not None:
        parts.insert(2, _noisy(wanted, release, noisy))
    return document(TITLE, tag("main", head, *parts))


def finding(source: Table, wanted: Wanted, release: Release) -> str:
    """The one sentence to take away."""
    rows = int((release.group >= 0).sum())
    if not wanted.side:
        return (
            f"Whoever knows {listed(wanted.quasi)} of a person finds a group of at least "
            f"{count(int(release.has['k']), 'row')} and no single one. Whoever knows more may: what of the other "
            "columns others may know was not said, and was not tried."
        )
    known = listed([f"{name} to within {by:g}" if by else name for name, by in wanted.side.items()])
    found = round(release.linked.found * rows)
    return (
        f"Of {rows} people {found} ({percent(release.linked.found)}) are found by whoever knows their "
        f"{listed(wanted.quasi)}, and {known} besides, although every group has {int(release.has['k'])} rows or more."
    )


def _hidden(source: Table, wanted: Wanted, release: Release) -> Markup:
    loss = f"{percent(release.loss)} of what a column may hold, on average over rows and columns"
    changed = {*wanted.quasi, *wanted.unreleased}
    pairs: list[tuple[str, Child]] = [
        ("Rows", f"{int((release.group >= 0).sum())} released, {release.suppressed} left out"),
        ("Alike in", listed(wanted.quasi)),
        ("Smallest group", f"{int(release.has['k'])} {'persons' if wanted.person else 'rows'} (k)"),
        ("A released value spans", loss),
        ("Not released", listed(wanted.unreleased) if wanted.unreleased else ""),
        ("Released as they are", listed([one for one in source.columns if one not in changed])),
    ]
    if wanted.sensitive:
        words = f"{wanted.criteria.diversity} l-diversity {release.has['l']:.3g}"
        distance = f"{wanted.criteria.distance} earth mover's distance of at most {release.has['t']:.2f} (t)"
        pairs.append((f"{wanted.sensitive}, in every group", f"{words}; {distance}"))
    if source.broken:
        pairs.append(("Not read", f"{count(source.broken, 'line')} with too few or too many cells"))
    return section(
        "hidden", "What it hides", "Rows of one group cannot be told apart by these columns.", facts(pairs)
    )


def _found(
    wanted: Wanted, release: Release, curve: Sequence[tuple[int, Release]], noisy: NoisyRelease | None
) -> Markup:
    rows = [
        (f"k = {k}", str(len(one.groups)), percent(one.loss), percent(one.linked.found), percent(one.linked.guessed))
        for k, one in curve
    ]
    if noisy is not None:
        rows.append((f"noise, epsilon {noisy.epsilon:g}", "", percent(noisy.loss), "none", "none"))
    header = ("", "groups", "information lost", "people found", "found by guessing")
    lede = (
        "Somebody who knows a person's quasi-identifiers and the columns named above, each to within a tolerance, "
        "looks for the rows that fit. Where one is left the person is found."
        if wanted.side
        else "Nothing beside the quasi-identifiers is taken to be known. Name what others may know with --side."
    )
    return section("found", "What it does not hide", lede, beside(_curve(release, curve, noisy)), table(header, rows))


def _curve(release: Release, curve: Sequence[tuple[int, Release]], noisy: NoisyRelease | None) -> Markup:
    points = sorted((one.loss, one.linked.found) for _, one in curve)
    widest = max([release.loss, *(loss for loss, _ in points), 0.01])
    spots = [
        Spot(one.loss, one.linked.found, "federated", f"k = {k}: {percent(one.linked.found)} found")
        for k, one in curve
    ]
    spots.append(Spot(release.loss, release.linked.found, "local", "this release", radius=6.0))
    if noisy is not None:
        widest = max(widest, noisy.loss)
        spots.append(Spot(noisy.loss, 0.0, "site-0", f"noise, epsilon {noisy.epsilon:g}: nobody's row is in it"))
    axes = Plane((0, widest * 1.05), (0, 1), "information lost", "share of people found")
    drawn = plane(
        axes, describe="People found against information lost", curves=[Curve(points, "federated")], spots=spots
    )
    note = "Each point is a release with another k; the large one is this release."
    if noisy is not None:
        note += " The one on the axis is a release with noise, of which no row is anybody's."
    return figure("People found against information lost", drawn, note=note)


def _noisy(wanted: Wanted, release: Release, noisy: NoisyRelease) -> Markup:
    counted = [*wanted.quasi, *([wanted.sensitive] if wanted.sensitive else [])]
    lede = (
        "Another way is to count on a grid that everybody may know, add noise to every count, and draw rows from "
        f"what comes out: of {listed(counted)} alone, since every further column has its price. Its cells are as "
        f"wide as the values above: {percent(noisy.loss)} of what a column may hold, beside {percent(release.loss)}."
    )
    pairs: list[tuple[str, Child]] = [
        ("Its promise", promise(noisy.epsilon)),
        (
            "Its price",
            f"{percent(noisy.misplaced)} of rows lie in another of its {noisy.cells} cells than the table's",
        ),
        (
            "The same search",
            f"of {percent(noisy.found)} of people exactly one row fits, and it is drawn and nobody's: whoever takes "
            "it for theirs is wrong",
        ),
    ]
    if noisy.told is not None and noisy.guessed is not None:
        pairs.append(
            (
                f"{wanted.sensitive} by it",
                f"right for {percent(noisy.told)} of all people; for the same, the most frequent value is right for "
                f"{percent(noisy.guessed)}. What is beyond that is told of the group, with the person in it or not",
            )
        )
    pairs.append(("To be released", "it must take its grid from what everybody knows; here its ends are the table's"))
    return section("noisy", "A release with noise, as coarse", lede, facts(pairs))


def promise(epsilon: float) -> str:
    """Epsilon as what somebody who suspects a person of being in the table may learn of it."""
    surest = exp(epsilon) / (1 + exp(epsilon))
    return (
        f"epsilon {epsilon:g}, whatever anybody knows besides: who thought it as likely as not that a person is in "
        f"the table, or has a value there, is at most {percent(surest)} sure of it afterwards"
    )


def _groups(wanted: Wanted, release: Release) -> Markup:
    sizes = sorted(group.rows for group in release.groups)
    lede = f"{count(len(sizes), 'group')}, of {sizes[0]} to {sizes[-1]} rows."
    if not wanted.sensitive:
        return section("groups", "Its groups", lede)
    said = f"Of {percent(release.linked.disclosed)} of people {wanted.sensitive} is known for sure, found or not."
    return section("groups", "Its groups", f"{lede} {said}")
