"""Rows as the analyses of effects need them: outcome, treatment, covariates and hospital in numbers."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from hashlib import blake2b
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from common.analyses._design import INTERCEPT, JOINT, Design, array_of, numbers_of, words_of
from common.asking.analysis import Public, Query, Told
from common.asking.exact_sums import Integers, Part, Total, counts, exact_products, exact_sum, reals
from common.asking.records import Records
from common.causality.equations import Floats
from common.errors import AnalysisError, StudyError

SITE, SITES = "site", "sites"
FARTHEST = 2.0**20
"""Standard deviations from the mean. None of n rows can be beyond sqrt(n - 1): a query made from other rows than
these must not stop a hospital."""
POWER, POWERS = "^", tuple("23456789")


class OfOneTreatment(Protocol):
    """The options that every effect of one treatment has."""

    @property
    def outcome(self) -> str: ...
    @property
    def treatment(self) -> str: ...
    @property
    def covariates(self) -> tuple[str, ...]: ...
    @property
    def treated(self) -> str: ...
    @property
    def control(self) -> str: ...
    @property
    def event(self) -> str: ...
    @property
    def levels(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Wanted:
    """Columns of a question.

    outcome, treatment: "" where none is looked at. more_treatments: those at later times. mediator: between treatment
    and outcome. without_outcome: the hospital of which neither outcome nor treatment is looked at.
    """

    outcome: str
    treatment: str
    covariates: tuple[str, ...]
    treated: str = "1"
    control: str = ""
    event: str = ""
    sites: bool = True
    folds: int = 1
    levels: tuple[str, ...] = ()
    more_treatments: tuple[str, ...] = ()
    mediator: str = ""
    without_outcome: str = ""

    @classmethod
    def of(
        cls, asked: OfOneTreatment, sites: bool, folds: int = 1, mediator: str = "", without_outcome: str = ""
    ) -> Wanted:
        """What an effect of one treatment looks at. sites: whether hospitals' levels are adjusted for."""
        words = (asked.treated, asked.control, asked.event)
        columns = (asked.outcome, asked.treatment, asked.covariates)
        return cls(*columns, *words, sites, folds, asked.levels, (), mediator, without_outcome)


@dataclass(frozen=True)
class Ready:
    """rows: arrays by name, as equations take them. persons: every row's, with its hospital. left_out: incomplete.

    words: columns as they were written.
    """

    rows: dict[str, Floats]
    persons: NDArray[np.str_]
    left_out: int
    words: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)


@dataclass(frozen=True)
class Census:
    """What is known before the first model. tells: what every later query repeats.

    outcome: centre and scale of a continuous one, 0 and 1 of another. mediator: as well, none of one that is 0 or 1.
    """

    persons: int
    rows: int
    left_out: int
    treated: int
    target: int
    binary: bool
    outcome_means: tuple[float, float]
    outcome_sd: float
    outcome: tuple[float, float]
    mediator: tuple[float, float] | None
    tells: Mapping[str, Told]
    names: tuple[str, ...]


def ready(wanted: Wanted, records: Records, tells: Mapping[str, Told], also: tuple[str, ...] = ()) -> Ready:
    """The complete rows in numbers, their covariates centred and scaled as told. also: columns wanted as words."""
    records, sites = _prepared(wanted, records), words_of(tells, SITES)
    site = records.words(SITE)
    target = site == wanted.without_outcome if wanted.without_outcome else np.zeros(len(records), dtype=np.bool_)
    columns = {"treatment": _treatment(records, wanted, wanted.treatment, target)}
    if wanted.outcome:
        columns["outcome"] = _outcome(records, wanted, target)
    for index, name in enumerate(wanted.more_treatments):
        columns[f"treatment {index + 2}"] = _treatment(records, wanted, name, target)
    if wanted.mediator:
        columns["mediator"] = numbers_of(records, wanted.mediator)
    design = Design.told(terms_of(wanted), tells)
    known = design.known(records) & np.isin(site, sites)
    for values in columns.values():
        known &= np.isfinite(values)
    kept = records.take(known)
    persons = _persons(kept, wanted.sites)
    rows = {name: np.ascontiguousarray(values[known]) for name, values in columns.items()}
    rows["x"] = _scaled(design.rows(kept), array_of(tells, "scaling"))
    for name in ("mediator", "outcome"):
        if name in rows:
            rows[name] = _scaled(rows[name][:, None], array_of(tells, name))[:, 0]
    rows |= {"target": target[known].astype(np.float64), "fold": _folds(persons, wanted.folds)}
    rows["site"] = one_hot(site[known], sites)
    return Ready(rows, persons, int((~known).sum()), {name: kept.words(name) for name in also})


def terms_of(wanted: Wanted) -> tuple[str, ...]:
    """What the design is made of."""
    return (*wanted.covariates, *((SITE,) if wanted.sites and SITE not in wanted.covariates else ()))


def census(wanted: Wanted, public: Public) -> Generator[Query, Total, Census]:
    """The first round: who is there, whether the outcome is only 0 and 1, and the scale of every covariate."""
    public = replace(public, levels={**public.levels, SITE: public.sites})
    design = Design.of(terms_of(wanted), public, wanted.levels)
    tells = {SITES: public.sites, **design.tells()}
    total = yield Query(_census_parts(len(design.names)), tells, "census")
    rows, treated, target = (int(total.count(name)) for name in ("rows", "treated", "target"))
    _demand_both_arms(wanted, rows - target, treated, int(total.count("left_out")))
    sums = {name: (first, second) for name, first, second in zip(design.names, *total.exact("x"), strict=True)}
    design = _without_empty(design, {name: first for name, (first, _) in sums.items()}, rows)
    scaling = np.array([_centre_and_scale(name, *sums[name], rows) for name in design.names])
    mediator = _scale_of_mediator(wanted, total, rows)
    y, y_treated, squares = total.exact("y")
    here = rows - target
    binary = bool(wanted.outcome) and int(total.count("beyond_01")) == 0
    outcome = (0.0, 1.0) if binary or not wanted.outcome else _centre_and_scale(wanted.outcome, y, squares, here)
    return Census(
        persons=int(total.count("persons")),
        rows=rows,
        left_out=int(total.count("left_out")),
        treated=treated,
        target=target,
        binary=binary,
        outcome_means=(float(y_treated / treated), float((y - y_treated) / (here - treated))),
        outcome_sd=float(np.sqrt(float((squares - y * y / here) / max(here - 1, 1)))),
        outcome=outcome,
        mediator=mediator,
        tells={
            SITES: public.sites,
            **design.tells(),
            "scaling": scaling.T.ravel(),
            "outcome": np.array(outcome),
            "mediator": np.zeros(0) if mediator is None else np.array(mediator),
        },
        names=design.names,
    )


def _demand_both_arms(wanted: Wanted, rows: int, treated: int, left_out: int) -> None:
    if 0 < treated < rows:
        return
    hint = "" if treated else f" Option treated says which word of {wanted.treatment!r} is theirs."
    raise AnalysisError(
        f"of {rows} complete rows {treated} have {wanted.treatment!r} = {wanted.treated!r}; a comparison needs some "
        f"with it and some without. {left_out} rows were left out as incomplete.{hint}"
    )


def _scale_of_mediator(wanted: Wanted, total: Total, rows: int) -> tuple[float, float] | None:
    """Its mean and standard deviation, or none where it is only 0 and 1."""
    if not wanted.mediator or int(total.count("mediator_beyond_01")) == 0:
        return None
    first, second = total.exact("mediator")
    return _centre_and_scale(wanted.mediator, first, second, rows)


def _census_parts(columns: int) -> dict[str, Part]:
    words = ("rows", "persons", "left_out", "treated", "target", "beyond_01", "mediator_beyond_01")
    return {**{name: counts() for name in words}, "x": reals(2, columns), "y": reals(3), "mediator": reals(2)}


def _without_empty(design: Design, totals: Mapping[str, Fraction], rows: int) -> Design:
    """Without levels that nobody has; of a column's levels the first that somebody has is the reference."""
    held = {}
    for column, levels in design.levels.items():
        others = [int(totals[f"{column}={level}"]) for level in levels[1:]]
        held[column] = (rows - sum(others), *others)
    return design.without_empty_levels(held)


def _centre_and_scale(name: str, first: Fraction, second: Fraction, rows: int) -> tuple[float, float]:
    """Mean and standard deviation; the intercept stays."""
    if name == INTERCEPT:
        return 0.0, 1.0
    mean = first / rows
    return float(mean), float(np.sqrt(float(second / rows - mean * mean))) or 1.0


def census_sums(wanted: Wanted, records: Records, query: Query) -> dict[str, NDArray[np.integer] | Integers]:
    """The hospital's half of the first round."""
    found = ready(wanted, records, query.tells)
    x, a, target = (found.rows[name] for name in ("x", "treatment", "target"))
    one, nothing = np.ones(len(a)), np.zeros(len(a))
    y, m = found.rows.get("outcome", nothing), found.rows.get("mediator", nothing)
    return {
        "rows": np.array(len(a)),
        "persons": np.array(len(np.unique(found.persons))),
        "left_out": np.array(found.left_out),
        "treated": np.array(int(a.sum())),
        "target": np.array(int(target.sum())),
        "beyond_01": np.array(int(((target == 0) & (y != 0) & (y != 1)).sum())),
        "mediator_beyond_01": np.array(int(((m != 0) & (m != 1)).sum())),
        "x": np.stack([exact_sum(x), exact_products(x, x)]),
        "y": exact_products(np.stack([y, y * a, y], axis=1), np.stack([one, one, y], axis=1)),
        "mediator": exact_products(np.stack([m, m], axis=1), np.stack([one, m], axis=1)),
    }


def _prepared(wanted: Wanted, records: Records) -> Records:
    """With a column of every row's hospital, unless the table holds several and says so, and with powers: `age^2`."""
    columns = {SITE: np.full(len(records), records.site), **records.columns}
    for name in dict.fromkeys(part for term in wanted.covariates for part in term.split(JOINT)):
        base, mark, power = name.partition(POWER)
        if mark and name not in columns:
            if power not in POWERS:
                raise StudyError(f"covariate {name!r}: a power is a whole number from 2 to 9, such as {base}^2.")
            columns[name] = np.prod([numbers_of(records, base)] * int(power), axis=0)
    return replace(records, columns=columns)


def _persons(records: Records, with_site: bool) -> NDArray[np.str_]:
    """Names, with the hospital where it matters anyway: hospitals may both have a patient 1."""
    if not with_site:
        return records.persons
    pairs = zip(records.words(SITE).tolist(), records.persons.tolist(), strict=True)
    return np.array([f"{site}|{person}" for site, person in pairs], dtype=np.str_)


def _binary(records: Records, name: str, one: str, zero: str) -> Floats:
    """1 where a column says `one`, 0 where it says `zero`, or anything else where that is not named; else missing."""
    words = records.words(name)
    no = words == zero if zero else words != ""
    return np.where(words == one, 1.0, np.where(no, 0.0, np.nan))


def _treatment(records: Records, wanted: Wanted, name: str, target: NDArray[np.bool_]) -> Floats:
    if len(target) and target.all():
        return np.zeros(len(target))
    return np.where(target, 0.0, _binary(records, name, wanted.treated, wanted.control))


def _outcome(records: Records, wanted: Wanted, target: NDArray[np.bool_]) -> Floats:
    """The outcome in numbers; 0 in the hospital whose outcomes are not looked at, whatever stands there."""
    if len(target) and target.all():
        return np.zeros(len(target))
    event = wanted.event
    values = _binary(records, wanted.outcome, event, "") if event else numbers_of(records, wanted.outcome)
    return np.where(target, 0.0, values)


def _scaled(values: Floats, scaling: Floats) -> Floats:
    """(N, q) less centres, by scales, as they were told one after the other; as they are where nothing was."""
    if not scaling.size:
        return np.ascontiguousarray(values)
    centre, scale = scaling.reshape(2, -1)
    return np.ascontiguousarray(np.clip((values - centre) / scale, -FARTHEST, FARTHEST))


def _folds(persons: NDArray[np.str_], folds: int) -> Floats:
    """Every person's fold, from the person's name alone: it does not depend on who else is there, nor on order."""
    if folds == 1:
        return np.zeros(len(persons))
    drawn = [int.from_bytes(blake2b(person.encode(), digest_size=8).digest(), "big") for person in persons.tolist()]
    return np.array([value % folds for value in drawn], dtype=np.float64)


def one_hot(words: NDArray[np.str_], levels: tuple[str, ...]) -> Floats:
    """(N, levels): 1 where a word is that level."""
    return np.ascontiguousarray((words[:, None] == np.array(levels, dtype=np.str_)[None, :]).astype(np.float64))
