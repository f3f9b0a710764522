"""The design of a regression: columns of numbers from covariates named by words, the same at every hospital.

A covariate is a column, or two joined as `age:sex`, whose products are columns then. A column of which the levels are
known is one of categories: an indicator for each level but the first, which is the reference. Nothing here looks at
patients to find the levels, nor the scales.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

from common.asking.analysis import Public, Told
from common.asking.records import Records
from common.errors import StudyError

INTERCEPT = "intercept"
JOINT, EQUALS = ":", "="
LEVELS, LEFT_OUT, SCALES = "levels of ", "columns left out", "scales"
"""What is told."""


@dataclass(frozen=True)
class Design:
    """The first column is the intercept, 1 in every row.

    terms: covariates as they were named. levels: of the columns of categories. scales: powers of two by which a
    column of numbers is divided, so that whatever its unit its squares can be added up. left_out: columns that are 0
    in every row, such as of two levels that nobody has together.
    """

    terms: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scales: Mapping[str, float] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    @classmethod
    def of(cls, covariates: tuple[str, ...], public: Public, own_levels: tuple[str, ...] = ()) -> Design:
        """From a question's words. own_levels: `sex=female|male`, before what is public. Raises StudyError."""
        _demand_sound(covariates)
        used = {column for term in covariates for column in term.split(JOINT)}
        known = {**public.levels, **levels_named(own_levels)}
        return cls(covariates, {name: known[name] for name in sorted(used) if name in known})

    @classmethod
    def told(cls, covariates: tuple[str, ...], tells: Mapping[str, Told]) -> Design:
        """As `tells` said it to a hospital."""
        levels = {name.removeprefix(LEVELS): words_of(tells, name) for name in tells if name.startswith(LEVELS)}
        plain = cls(covariates, levels, left_out=words_of(tells, LEFT_OUT))
        return replace(plain, scales=dict(zip(plain.numeric, array_of(tells, SCALES).tolist(), strict=False)))

    def tells(self) -> dict[str, Told]:
        """What hospitals must know of it beside the question's own words."""
        levels: dict[str, Told] = {f"{LEVELS}{name}": words for name, words in self.levels.items()}
        scales = np.array([self.scales.get(name, 1.0) for name in self.numeric])
        return {**levels, LEFT_OUT: self.left_out, SCALES: scales}

    @property
    def columns(self) -> tuple[str, ...]:
        """Of the records, each once, in the order of the terms."""
        return tuple(dict.fromkeys(column for term in self.terms for column in term.split(JOINT)))

    @property
    def numeric(self) -> tuple[str, ...]:
        """Those of numbers."""
        return tuple(name for name in self.columns if name not in self.levels)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the design's columns, such as intercept, age, sex=male, age:sex=male."""
        named = (JOINT.join(chosen) for term in self.terms for chosen in product(*self._parts(term)))
        return (INTERCEPT, *(name for name in named if name not in self.left_out))

    @property
    def column_scales(self) -> tuple[float, ...]:
        """By how much each of `names` was divided."""
        scaled = {INTERCEPT: 1.0}
        for term in self.terms:
            scale = prod(self.scales.get(column, 1.0) for column in term.split(JOINT))
            scaled |= {JOINT.join(chosen): scale for chosen in product(*self._parts(term))}
        return tuple(scaled[name] for name in self.names)

    def known(self, records: Records) -> NDArray[np.bool_]:
        """(N,) rows in which every column is a finite number, or a word among the levels."""
        known = np.ones(len(records), dtype=np.bool_)
        for name in self.columns:
            if name in self.levels:
                known &= np.isin(records.words(name), self.levels[name])
            else:
                known &= np.isfinite(numbers_of(records, name))
        return known

    def rows(self, records: Records) -> NDArray[np.float64]:
        """(N, p) of rows that are `known`. A row of it depends on that row alone."""
        found = {INTERCEPT: np.ones(len(records))}
        for term in self.terms:
            parts = [self._of_column(records, column) for column in term.split(JOINT)]
            for chosen in product(*(tuple(part.items()) for part in parts)):
                found[JOINT.join(name for name, _ in chosen)] = np.multiply.reduce([values for _, values in chosen])
        return np.stack([found[name] for name in self.names], axis=1)

    def without_empty_levels(self, rows: Mapping[str, tuple[int, ...]]) -> Design:
        """Without levels of 0 rows; the first one that somebody has is the reference then."""
        kept = {
            name: tuple(word for word, n in zip(words, rows[name], strict=True) if n)
            for name, words in self.levels.items()
        }
        return replace(self, levels=kept)

    def _parts(self, term: str) -> list[list[str]]:
        """Of each of a term's columns, what stands for it in the design."""
        columns = [(column, self.levels.get(column)) for column in term.split(JOINT)]
        return [
            [column] if levels is None else [f"{column}{EQUALS}{level}" for level in levels[1:]]
            for column, levels in columns
        ]

    def _of_column(self, records: Records, column: str) -> dict[str, NDArray[np.float64]]:
        levels = self.levels.get(column)
        if levels is None:
            return {column: numbers_of(records, column) / self.scales.get(column, 1.0)}
        words = records.words(column)
        return {f"{column}{EQUALS}{level}": (words == level).astype(np.float64) for level in levels[1:]}


def levels_named(texts: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Of an option such as ("sex=female|male",): the levels by column, in order."""
    return dict(_levels(text) for text in texts)


def words_of(tells: Mapping[str, Told], name: str) -> tuple[str, ...]:
    """What was told as words; none where nothing was."""
    told = tells.get(name, ())
    return told if isinstance(told, tuple) else ()


def array_of(tells: Mapping[str, Told], name: str) -> NDArray[np.float64]:
    """What was told as numbers; none where nothing was."""
    told = tells.get(name, ())
    return np.zeros(0) if isinstance(told, tuple) else np.asarray(told, dtype=np.float64)


def numbers_of(records: Records, name: str) -> NDArray[np.float64]:
    """A column of numbers. Raises StudyError for one of words, of which nobody named the levels."""
    if name in records.columns and records.columns[name].dtype != np.float64:
        raise StudyError(
            f"column {name!r} holds words, where numbers are needed: name its levels, such as "
            f"levels = [{f'{name}=first|second|third'!r}]; the first one is the reference."
        )
    return records.numbers(name)


def _levels(text: str) -> tuple[str, tuple[str, ...]]:
    name, equals, words = text.partition(EQUALS)
    levels = tuple(word.strip() for word in words.split("|"))
    if not (name and equals and len(levels) > 1 and all(levels) and len(set(levels)) == len(levels)):
        raise StudyError(f"levels are written as sex=female|male, two or more different words; not {text!r}.")
    return name, levels


def _demand_sound(covariates: tuple[str, ...]) -> None:
    for term in covariates:
        parts = term.split(JOINT)
        if not all(parts):
            raise StudyError(f"covariate {term!r} has no name; two columns are joined as age:sex.")
        lacking = [part for part in parts if len(parts) > 1 and part not in covariates]
        if lacking:
            raise StudyError(f"{term!r} needs {lacking[0]!r} among the covariates by itself as well.")
        if len(set(parts)) < len(parts):
            raise StudyError(f"covariate {term!r} joins a column with itself.")
    twice = sorted({term for term in covariates if covariates.count(term) > 1})
    if twice:
        raise StudyError(f"covariate {twice[0]!r} is named twice.")
