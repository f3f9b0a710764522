"""What several hospitals' data show beside each other, and what all of them lack. No verdict: hospitals do differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from common.data.cases import SiteId
from experiments.data_check.duplicates import Twins, almost_identical, identical
from experiments.data_check.finding import EVERYWHERE, Finding
from experiments.data_check.holding import Holding
from experiments.data_check.names import alike
from server.reporting.wording import count, listed, percent

LEAST_HOSPITALS = 3
"""Of fewer nobody can say which is the unusual one."""
FAR_FACTOR = 1.5
FAR_SHARE = 0.25
FAR_LEVEL = 0.5
"""Of the width of the others' values between 1 % and 99 %."""
SEVERAL = (
    "The folder names several hospitals, and all are looked at; a hospital's own node takes only what is under the "
    "hospital's own name, as --site NAME would show it."
)
FEW_FEATURES = 16
"""Rows of no more numbers may well agree by chance."""


def between(holdings: Sequence[Holding], is_own: bool) -> Iterator[Finding]:
    """All findings of several hospitals, in a fixed order. is_own: a single hospital's own folder."""
    there = [holding for holding in holdings if len(holding)]
    if is_own and len(holdings) > 1:
        yield Finding("note", "several hospitals", EVERYWHERE, SEVERAL)
    yield from unlike_hospitals(there)
    yield from shared_persons(there)
    yield from persons_alike(there)
    yield from duplicates(there)
    yield from suspicions(there)
    yield from classes_without_a_case(there, is_own)
    yield from unusual(there)


def unlike_hospitals(holdings: Sequence[Holding]) -> Iterator[Finding]:
    """Hospitals whose classes, channels or axes differ cannot train one model."""
    kinds: dict[str, list[SiteId]] = {}
    for holding in holdings:
        channels, *sides = holding.rows["shape"][0].tolist()
        said = f"{channels} channels and {len(sides)} axes" if sides else f"{channels} numbers"
        kinds.setdefault(f"{said}, classes {', '.join(holding.classes) or 'none'}", []).append(holding.site)
    if len(kinds) > 1:
        names = tuple(f"{listed(sites)}: {said}" for said, sites in kinds.items())
        words = "Hospitals' cases do not fit together: one network cannot be shown them all."
        yield Finding("error", "unlike hospitals", EVERYWHERE, words, names)


def shared_persons(holdings: Sequence[Holding]) -> Iterator[Finding]:
    """The same word at two hospitals is the same person."""
    places: dict[str, dict[SiteId, str]] = {}
    for holding in holdings:
        for person, split in zip(holding.patients.tolist(), holding.rows["split"].tolist(), strict=True):
            places.setdefault(person, {})[holding.site] = split
    shared = {person: where for person, where in sorted(places.items()) if len(where) > 1}
    leaking = {person: where for person, where in shared.items() if len(set(where.values())) > 1}
    harmless = {person: where for person, where in shared.items() if person not in leaking}
    if leaking:
        words = (
            f"{count(len(leaking), 'person')} at two hospitals, in different splits: the model is scored on whom it "
            "was trained on. If they are different people, name them differently; if not, split.assignment = "
            "'independent' gives each one place everywhere."
        )
        yield Finding("error", "two splits", EVERYWHERE, words, _places(leaking))
    if harmless:
        words = f"{count(len(harmless), 'person')} at two hospitals, under the same name and in the same split."
        yield Finding("warning", "two hospitals", EVERYWHERE, words, _places(harmless))


def _places(persons: Mapping[str, Mapping[SiteId, str]]) -> tuple[str, ...]:
    return tuple(
        f"{person}: {', '.join(f'{site} ({split})' for site, split in where.items())}"
        for person, where in persons.items()
    )


def persons_alike(holdings: Sequence[Holding]) -> Iterator[Finding]:
    """Names at different hospitals that read the same; within one hospital its own rule finds them."""
    homes: dict[str, list[SiteId]] = {}
    for holding in holdings:
        for person in holding.persons:
            homes.setdefault(person, []).append(holding.site)
    groups = [group for group in alike(homes) if len({site for name in group for site in homes[name]}) > 1]
    if groups:
        names = tuple(" and ".join(f"“{name}” ({', '.join(homes[name])})" for name in group) for group in groups)
        words = (
            f"{count(len(groups), 'group')} of persons at different hospitals whose names read the same: one person?"
        )
        yield Finding("warning", "persons alike", EVERYWHERE, words, names)


def duplicates(holdings: Sequence[Holding]) -> Iterator[Finding]:
    """Equal inputs: across splits, hospitals, persons; and where the same input has different truths."""
    twins = identical(holdings)
    of_chance = bool(holdings) and not any(holding.is_image for holding in holdings)
    few = of_chance and max(int(holding.rows["shape"][0, 0]) for holding in holdings) <= FEW_FEATURES
    what = "rows of a table" if of_chance else "inputs"
    leaking = [one for one in twins if one.leaks]
    if leaking:
        words = (
            f"{count(len(leaking), 'group')} of identical {what} in training and in validation or test: {_leak(few)}"
        )
        yield Finding("warning" if few else "error", "duplicates in two splits", *_told(leaking, words))
    across = [one for one in twins if not one.leaks and len(one.sites) > 1]
    if across:
        words = f"{count(len(across), 'group')} of identical {what} at several hospitals."
        yield Finding("warning", "duplicates in two hospitals", *_told(across, words))
    persons = [one for one in twins if not one.leaks and len(one.sites) == 1 and len(one.persons) > 1]
    if persons:
        words = f"{count(len(persons), 'group')} of identical {what} under different persons' names."
        yield Finding("note" if few else "warning", "duplicates of two persons", *_told(persons, words))
    own = [one for one in twins if not one.leaks and len(one.persons) == 1 and len(one.sites) == 1]
    if own:
        words = f"{count(len(own), 'group')} of identical {what} of one person: they count several times."
        yield Finding("note", "duplicates of one person", *_told(own, words))
    contrary = [one for one in twins if len({case.label for case in one.cases}) > 1]
    if contrary:
        words = f"{count(len(contrary), 'group')} of identical {what} whose truths differ: at least one is wrong."
        words = words if not few else f"{words.partition(':')[0]}, which rows of few numbers may."
        yield Finding("note" if few else "warning", "contrary truths", *_told(contrary, words))


def _leak(few: bool) -> str:
    if few:
        return "rows of so few numbers may agree by chance; if they are one patient's, name the person."
    return "the model is scored on what it was trained on. Remove one of each, or give both one person's name."


def _told(twins: Sequence[Twins], words: str) -> tuple[SiteId, str, tuple[str, ...]]:
    """Where it is, what, and which."""
    sites = {site for one in twins for site in one.sites}
    return (next(iter(sites)) if len(sites) == 1 else EVERYWHERE, words, tuple(one.words for one in twins))


def suspicions(holdings: Sequence[Holding]) -> Iterator[Finding]:
    """Images of different persons that are almost the same."""
    found = almost_identical(holdings)
    if found.pairs:
        many = "More than " if found.cut else ""
        leaks = sum(pair.leaks for pair in found.pairs)
        words = (
            f"{many}{count(len(found.pairs), 'pair')} of almost identical images of different persons, the same "
            f"after rescaling, mirroring or a change of brightness; {leaks:,} of them in training and in "
            "validation or test: look at them."
        )
        yield Finding("warning" if leaks else "note", "almost identical", *_told(found.pairs, words))
    if not found.of_all:
        words = (
            "There are too many images to compare every two: almost identical ones were looked for only among those "
            "of one pattern of dark and bright."
        )
        yield Finding("note", "not all compared", EVERYWHERE, words)


def classes_without_a_case(holdings: Sequence[Holding], is_own: bool) -> Iterator[Finding]:
    """Classes that no hospital has; in a hospital alone its own rule has said it."""
    if is_own or not holdings or not holdings[0].classes:
        return
    totals = {name: sum(holding.class_totals.get(name, 0) for holding in holdings) for name in holdings[0].classes}
    absent = tuple(name for name, total in totals.items() if not total)
    if absent:
        words = f"Class{'es' if len(absent) > 1 else ''} {listed(absent)}: no case at any hospital."
        yield Finding("warning", "absent class", EVERYWHERE, words, absent)


def unusual(holdings: Sequence[Holding]) -> Iterator[Finding]:
    """Spacing, brightness or labels far from the other hospitals' median."""
    if len(holdings) < LEAST_HOSPITALS:
        return
    for holding in holdings:
        others = [other for other in holdings if other is not holding]
        said = [
            *_unusual_spacing(holding, others),
            *_unusual_values(holding, others),
            *_unusual_labels(holding, others),
        ]
        yield from (Finding("note", "unusual", holding.site, words) for words in said)


def _unusual_spacing(holding: Holding, others: Sequence[Holding]) -> Iterator[str]:
    known = [other.rows["spacing_mm"] for other in others if "spacing_mm" in other.rows]
    if "spacing_mm" not in holding.rows or not known or len({rows.shape[1] for rows in known}) > 1:
        return
    own = np.median(holding.rows["spacing_mm"], axis=0)
    usual = np.median([np.median(rows, axis=0) for rows in known], axis=0)
    if own.shape == usual.shape and (np.maximum(own / usual, usual / own) > FAR_FACTOR).any():
        yield f"Spacing is {_mm(own)} here in the median, and {_mm(usual)} elsewhere."


def _mm(spacing: NDArray[np.float64]) -> str:
    return " x ".join(f"{value:.4g}" for value in spacing.tolist()) + " mm"


def _unusual_values(holding: Holding, others: Sequence[Holding]) -> Iterator[str]:
    if not holding.levels or not all(other.levels for other in others):
        return
    low, middle, high = np.array([one.levels[1:4] for one in others]).T
    width = float(np.median(high) - np.median(low))
    own, usual = holding.levels[1:4], float(np.median(middle))
    wide = (own[2] - own[0]) / width if width > 0 else 1.0
    if abs(own[1] - usual) > FAR_LEVEL * width or not 1 / (2 * FAR_FACTOR) < wide < 2 * FAR_FACTOR:
        yield (
            f"Values lie around {own[1]:.4g} here ({own[0]:.4g} to {own[2]:.4g} without the outer 1 %), and around "
            f"{usual:.4g} elsewhere ({np.median(low):.4g} to {np.median(high):.4g})."
        )


def _unusual_labels(holding: Holding, others: Sequence[Holding]) -> Iterator[str]:
    if not holding.classes or any(other.classes != holding.classes for other in others):
        return
    own, elsewhere = shares_of(holding), [shares_of(other) for other in others]
    usual = {name: float(np.median([one[name] for one in elsewhere])) for name in own}
    far = [name for name in own if abs(own[name] - usual[name]) > FAR_SHARE]
    if far:
        what = f"marked {holding.counted}" if holding.has_masks else "cases"
        said = listed(
            [f"{name}: {percent(own[name])} (in the median elsewhere {percent(usual[name])})" for name in far]
        )
        yield f"Unusual shares of {what}: {said}."


def shares_of(holding: Holding) -> dict[str, float]:
    """Of each class; of masks without the first, the background, which would hide all others."""
    totals = list(holding.class_totals.items())[1 if holding.has_masks and len(holding.classes) > 2 else 0 :]
    whole = sum(total for _, total in totals)
    return {name: total / whole if whole else 0.0 for name, total in totals}
