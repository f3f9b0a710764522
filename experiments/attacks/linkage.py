"""Looks for people in a release by what is known of them from elsewhere, until one row alone fits.

Sweeney 2002, k-anonymity (linkage); Machanavajjhala et al. 2007, l-diversity (homogeneity: where all rows that fit
have one diagnosis it is known, although the row is not); Narayanan and Shmatikov 2008 (side knowledge in other
columns, each to within a tolerance).
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from experiments.access import Need
from experiments.attack import Attack, Finding, Links, Per, Sees
from experiments.evidence.releases import Released, fitting
from experiments.observation import Observation

MOST_PAIRS = 1 << 22
"""Of a person and a row that are compared at a time."""


@dataclass(frozen=True)
class Linkage:
    """It has no options."""

    sees: ClassVar[Sees] = "model"
    uses: ClassVar[Sees] = "model"
    source: ClassVar[str] = "Sweeney 2002, k-anonymity; Narayanan and Shmatikov 2008, Robust de-anonymization (S&P)"
    question: ClassVar[str] = "linkage"
    needs: ClassVar[tuple[Need, ...]] = ("release",)
    per: ClassVar[Per] = "run"
    words: ClassVar[str] = "looks for people in a release by what is known of them from elsewhere"

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """A row for everybody whom one alone fits, and a value where all rows that fit have one."""
        released = observed.access.release
        if released is None:
            return Finding("linkage", observed.observer, False, "no release was named")
        begin = perf_counter()
        links = links_of(released)
        settings = {"quasi": list(released.quasi), "side": dict(released.side), "sensitive": released.sensitive}
        return Finding("linkage", observed.observer, True, "", perf_counter() - begin, {}, settings, claims=(links,))


def links_of(released: Released) -> Links:
    """Groups are gone through one by one: rows that are alike in all quasi-identifiers fit the same people."""
    people = released.people
    alike, fits, row = np.zeros(people, np.int64), np.zeros(people, np.int64), np.full(people, -1)
    values, value = _values(released)
    least, most = np.full(people, len(values)), np.full(people, -1)
    group, said = _groups(released)
    by_column = [
        {text: fitting(text, released.known[name]) for text in np.unique(released.rows[name]).tolist()}
        for name in released.quasi
    ]
    order = np.argsort(group, kind="stable")
    side = {name: _numbers(released, name) for name in released.side}
    for texts, rows in zip(said, np.split(order, np.cumsum(np.bincount(group))[:-1]), strict=True):
        inside = np.ones(people, np.bool_)
        for text, masks in zip(texts, by_column, strict=True):
            inside &= masks[text]
        every = np.flatnonzero(inside)
        for begin in range(0, len(every), block := max(1, MOST_PAIRS // len(rows))):
            who = every[begin : begin + block]
            alike[who] += len(rows)
            fit = np.ones((len(who), len(rows)), np.bool_)
            for name, (known, told) in side.items():
                fit &= ~(np.abs(known[who, None] - told[None, rows]) > released.side[name])
            fits[who] += fit.sum(axis=1)
            row[who] = np.where(fit.any(axis=1), rows[fit.argmax(axis=1)], row[who])
            least[who] = np.minimum(least[who], np.where(fit, value[rows], len(values)).min(axis=1))
            most[who] = np.maximum(most[who], np.where(fit, value[rows], -1).max(axis=1))
    sure = (least == most) if released.sensitive else np.zeros(people, np.bool_)
    told_value = tuple(values[at] if known else "" for at, known in zip(most.tolist(), sure.tolist(), strict=True))
    return Links(np.where(fits == 1, row, -1), told_value, alike)


def _groups(released: Released) -> tuple[NDArray[np.int64], list[tuple[str, ...]]]:
    said: dict[tuple[str, ...], int] = {}
    texts = zip(*(released.rows[name].tolist() for name in released.quasi), strict=True)
    group = np.array([said.setdefault(text, len(said)) for text in texts], dtype=np.int64)
    return group, list(said)


def _values(released: Released) -> tuple[list[str], NDArray[np.int64]]:
    if not released.sensitive:
        return [""], np.zeros(len(released), np.int64)
    values, codes = np.unique(released.rows[released.sensitive], return_inverse=True)
    return values.tolist(), codes.reshape(-1)


def _numbers(released: Released, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What is known of people and what is released, NaN for what is not there; words by their place among all."""
    known, rows = released.known[name], released.rows[name]
    if known.dtype == np.float64:
        return known.astype(np.float64), np.array([_number(text) for text in rows.tolist()])
    place = {word: float(at) for at, word in enumerate(np.unique(np.concatenate([known, rows])).tolist()) if word}
    return tuple(np.array([place.get(word, np.nan) for word in one.tolist()]) for one in (known, rows))  # type: ignore[return-value]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


attack: type[Attack] = Linkage
