"""What is told of a reversal: numbers, tables, a figure, and the sentences that a reader needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from common.analyses._reversal import Aggregate, Arm, Difference, Reversal, beyond_chance, crossing_p_value
from common.analyses._words import chance
from common.asking.answer import Answer, Figure, Series, Table

DIGITS = 4
"""In tables; `numbers` has all."""
MANY = 6
"""Names in a sentence."""


@dataclass(frozen=True)
class Names:
    """outcome: a column; event: its word that is counted, "" of numbers. first, second: levels of the exposure."""

    outcome: str
    event: str
    exposure: str
    first: str
    second: str
    strata: str

    @property
    def stratum(self) -> str:
        """What one is called."""
        return "hospital" if self.strata == "site" else f"level of {self.strata}"

    @property
    def plural(self) -> str:
        """What several are called."""
        return "hospitals" if self.strata == "site" else f"levels of {self.strata}"

    @property
    def counted(self) -> str:
        """What is more or less frequent, or higher or lower."""
        return f"{self.outcome} = {self.event}" if self.event else self.outcome

    def group(self, level: str) -> str:
        """A side of the comparison."""
        return f"{self.exposure} = {level}"

    def amount(self, difference: float) -> str:
        """Such as "4.3 percentage points less often"."""
        if self.event:
            return f"{abs(100 * difference):.1f} percentage points {'more' if difference > 0 else 'less'} often"
        return f"{abs(difference):.3g} {'higher' if difference > 0 else 'lower'}"

    def level(self, mean: float) -> str:
        """A share, or a mean."""
        return f"{100 * mean:.1f} %" if self.event else f"{mean:.4g}"


@dataclass(frozen=True)
class Stratum:
    """difference: None where an arm has no rows."""

    name: str
    first: Arm
    second: Arm
    difference: Difference | None


@dataclass(frozen=True)
class Compared:
    """strata: where their numbers are known. signs: else, how many hospitals have which."""

    aggregate: Aggregate
    reversal: Reversal
    left_out: int
    strata: tuple[Stratum, ...] = ()
    signs: Mapping[str, int] = field(default_factory=dict)


def answer_of(names: Names, found: Compared) -> Answer:
    """All of it."""
    return Answer(_numbers(names, found), _tables(names, found), _figures(names, found), _words(names, found))


def _numbers(names: Names, found: Compared) -> dict[str, Any]:
    reversal = found.reversal
    known = [one.difference for one in found.strata if one.difference is not None]
    numbers: dict[str, Any] = {
        "verdict": reversal.verdict,
        "found": reversal.found,
        "n": {names.first: found.aggregate.first.n, names.second: found.aggregate.second.n},
        "left_out": found.left_out,
        "means": {names.first: found.aggregate.first.mean, names.second: found.aggregate.second.mean},
        "aggregate": _plain(reversal.aggregate),
        "adjusted": _plain(reversal.adjusted),
        "signs_differ": reversal.turned,
        "p_same_sign": reversal.same_sign,
        "p_no_confounding": reversal.confounded,
    }
    if found.signs:
        return numbers | {"signs": dict(found.signs)}
    sure = beyond_chance([one.difference for one in found.strata])
    return numbers | {
        "strata": {
            one.name: {"n": [one.first.n, one.second.n], "means": _means(one), "beyond_chance": certain}
            | (_plain(one.difference) or {"difference": None})
            for one, certain in zip(found.strata, sure, strict=True)
        },
        "against_aggregate": [one.name for one in _against(found)],
        "every_stratum_against": bool(known) and len(_against(found)) == len(known),
        "p_one_sign": crossing_p_value(known) if known else None,
    }


def _plain(one: Difference | None) -> dict[str, Any] | None:
    if one is None:
        return None
    low, high = one.interval
    return {"difference": one.value, "standard_error": one.error, "low": low, "high": high}


def _means(one: Stratum) -> list[float | None]:
    return [arm.mean if arm.n else None for arm in (one.first, one.second)]


def _against(found: Compared) -> list[Stratum]:
    """Strata whose sign is not that of the aggregate."""
    whole = found.reversal.aggregate.value
    return [one for one in found.strata if one.difference is not None and one.difference.value * whole < 0]


def _tables(names: Names, found: Compared) -> tuple[Table, ...]:
    rows_of = (f"n, {names.group(names.first)}", f"n, {names.group(names.second)}")
    header = (names.stratum, *rows_of, names.first, names.second, "difference", "95 % from", "to")
    whole = Stratum("all together", found.aggregate.first, found.aggregate.second, found.reversal.aggregate)
    rows = [_row(one) for one in (*found.strata, whole)]
    if (adjusted := found.reversal.adjusted) is not None:
        rows.append((f"adjusted for {names.strata}", None, None, None, None, *_shown(adjusted)))
    title = f"{names.counted}, {names.group(names.second)} less {names.group(names.first)}"
    note = f"Adjusted: differences within {names.plural}, each weighted by its rows."
    if found.left_out:
        note += f" {found.left_out} rows lack one of the columns and are left out."
    tables = (Table(title, header, tuple(rows), note),)
    if not found.signs:
        return tables
    signs = tuple((name, count) for name, count in found.signs.items())
    return (*tables, Table(f"Signs of hospitals, {title}", ("sign", "hospitals"), signs))


def _row(one: Stratum) -> tuple[str | int | float | None, ...]:
    means = [None if mean is None else _rounded(mean) for mean in _means(one)]
    return (one.name, one.first.n, one.second.n, *means, *_shown(one.difference))


def _shown(one: Difference | None) -> tuple[float | None, ...]:
    """With its interval."""
    if one is None:
        return None, None, None
    return tuple(_rounded(value) for value in (one.value, *one.interval))


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _figures(names: Names, found: Compared) -> tuple[Figure, ...]:
    rows: list[tuple[str, Difference]] = [
        (one.name, one.difference) for one in found.strata if one.difference is not None
    ]
    rows.append(("all together", found.reversal.aggregate))
    if found.reversal.adjusted is not None:
        rows.append((f"adjusted for {names.strata}", found.reversal.adjusted))
    low, high = zip(*(one.interval for _, one in rows), strict=True)
    x, y = tuple(name for name, _ in rows), tuple(one.value for _, one in rows)
    label = f"{names.group(names.second)} less {names.group(names.first)}"
    return (
        Figure("points", f"Difference of {names.counted}", names.stratum, label, (Series(label, x, y, low, high),)),
    )


def _words(names: Names, found: Compared) -> tuple[str, ...]:
    sentences = [_headline(names, found), _of_strata(names, found)]
    if found.reversal.confounded is not None and found.reversal.verdict != "none":
        sentences += [_why(names, found), _reading(names)]
    return tuple(sentence for sentence in sentences if sentence)


def _headline(names: Names, found: Compared) -> str:
    reversal, adjusted = found.reversal, found.reversal.adjusted
    first, second = (names.level(arm.mean) for arm in (found.aggregate.first, found.aggregate.second))
    whole = (
        f"Of all {names.plural} together, {names.counted} is {names.amount(reversal.aggregate.value)} with "
        f"{names.group(names.second)} than with {names.group(names.first)} ({second} against {first})"
    )
    if adjusted is None:
        return f"{whole}; no {names.stratum} has both groups, so nothing is known of the difference within one."
    within = f"within {names.plural} it is {names.amount(adjusted.value)}"
    match reversal.verdict:
        case "paradox":
            p_value = _chance(reversal.same_sign)
            return f"Simpson's paradox: {_lowered(whole)}, and yet {within}; chance does not explain it ({p_value})."
        case "probable paradox":
            p_value = _chance(reversal.same_sign)
            return (
                f"Probably Simpson's paradox: {_lowered(whole)}, and yet {within}; so it is in these patients, and "
                f"chance might have turned one of the two signs ({p_value})."
            )
        case "confounded":
            p_value = _chance(reversal.confounded)
            return (
                f"No reversal that is beyond chance, but {_lowered(whole)}, and {within}: which {names.stratum} "
                f"somebody belongs to explains the rest ({p_value})."
            )
    return f"No sign of Simpson's paradox: {_lowered(whole)}, and {within}."


def _of_strata(names: Names, found: Compared) -> str:
    if found.signs:
        parts = ", ".join(f"{name} in {count}" for name, count in found.signs.items() if count)
        return (
            f"Hospital by hospital, {names.counted} with {names.group(names.second)} is: {parts}; which hospitals "
            "these are is not revealed."
        )
    known = [one for one in found.strata if one.difference is not None]
    against = _against(found)
    if not known or not against:
        return f"All {len(known)} {names.plural} with both groups point as the aggregate does." if known else ""
    sure = beyond_chance([one.difference for one in known])
    beyond = [one.name for one, certain in zip(known, sure, strict=True) if certain and one in against]
    listed = _listed([one.name for one in against])
    certain = f"; of {_listed(beyond)} that is beyond chance" if beyond else "; of none of them is that beyond chance"
    number = (
        ("both" if len(known) == 2 else f"all {len(known)}")
        if len(against) == len(known)
        else f"{len(against)} of {len(known)}"
    )
    return f"Against the aggregate point {number} {names.plural} ({listed}){certain}."


def _why(names: Names, found: Compared) -> str:
    """Where the second group is frequent, is the outcome so as well?"""
    known = [one for one in found.strata if one.first.n + one.second.n]
    if not known:
        return ""
    rows = [one.first.n + one.second.n for one in known]
    shares = [one.second.n / n for one, n in zip(known, rows, strict=True)]
    means = [_whole_mean(one) for one in known]
    centre = [sum(n * value for n, value in zip(rows, values, strict=True)) / sum(rows) for values in (shares, means)]
    together = sum(
        n * (share - centre[0]) * (mean - centre[1]) for n, share, mean in zip(rows, shares, means, strict=True)
    )
    if not together:
        return ""
    more = ("more frequent" if names.event else "higher") if together > 0 else ("rarer" if names.event else "lower")
    return (
        f"The reason: {names.group(names.second)} is most common in {names.plural} where {names.counted} is {more} "
        "for everybody, and the aggregate takes that for a difference between the groups."
    )


def _whole_mean(one: Stratum) -> float:
    return (one.first.n * one.first.mean + one.second.n * one.second.mean) / (one.first.n + one.second.n)


def _reading(names: Names) -> str:
    where = f"which {names.stratum} somebody belongs to"
    return (
        f"Read the adjusted difference if {where} was settled before {names.exposure} could act; if {names.exposure} "
        "decides it, adjusting takes part of the effect away (`wardround causal` says which, from a graph)."
    )


def _listed(names: list[str]) -> str:
    if len(names) > MANY:
        return f"{', '.join(names[:MANY])} and {len(names) - MANY} more"
    return ", ".join(names)


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _chance(p_value: float | None) -> str:
    return "p not known" if p_value is None else chance(p_value)
