"""Small tables of patients for inherited tests of analyses, and everything awkward that can happen to one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from common.asking.records import Records, Values

Tables = tuple[Records, ...]
LEVELS: Mapping[str, tuple[str, ...]] = {
    "sex": ("female", "male"),
    "ward": ("surgery", "medicine", "intensive"),
    "treated": ("0", "1"),
    "disease": ("0", "1"),
    "died": ("0", "1"),
}
"""Of the columns of `tiny_records` that hold categories."""


def tiny_records() -> Tables:
    """Three hospitals, 27 rows of 24 persons, some values missing.

    age, weight, before, after: numbers. pain: whole numbers with ties. treated, disease, died: 0 or 1. months: how
    long until `died` says how it ended. sex, ward: words.
    """
    rng = np.random.default_rng(16)
    return tuple(_hospital(site, rows, rng) for site, rows in (("north", 11), ("south", 9), ("west", 7)))


def _hospital(site: str, rows: int, rng: np.random.Generator) -> Records:
    age = np.round(rng.normal(58, 9, rows), 1)
    before = np.round(rng.normal(140, 12, rows))
    treated = (rng.random(rows) < 0.5).astype(np.float64)
    disease = (rng.random(rows) < 1 / (1 + np.exp(-(age - 58) / 9))).astype(np.float64)
    columns: dict[str, Values] = {
        "age": age,
        "weight": np.round(0.3 * age + rng.normal(60, 8, rows), 2),
        "before": before,
        "after": before - 6 * treated + np.round(rng.normal(0, 5, rows)),
        "pain": rng.integers(0, 5, rows).astype(np.float64),
        "treated": treated,
        "disease": disease,
        "months": np.round(rng.exponential(20, rows), 1) + 0.5,
        "died": (rng.random(rows) < 0.6).astype(np.float64),
        "sex": np.where(rng.random(rows) < 0.5, "female", "male").astype(np.str_),
        "ward": rng.choice(LEVELS["ward"], rows).astype(np.str_),
    }
    for name in ("age", "pain", "ward"):
        columns[name][int(rng.integers(rows))] = "" if name == "ward" else np.nan
    persons = np.array([f"{site}-{max(row, 1)}" for row in range(rows)])  # the first two rows are of one person
    return Records(columns, persons, site)


def joined(tables: Tables, site: str = "all") -> Records:
    """All rows as of one hospital."""
    first = tables[0]
    columns = {name: np.concatenate([one.columns[name] for one in tables]) for name in first.columns}
    return Records(columns, np.concatenate([one.persons for one in tables]), site)


def parted(records: Records, pieces: int, rng: np.random.Generator) -> Tables:
    """The rows in tables of the same hospital, some of nobody, the rows of a person together, in another order."""
    names, owner = np.unique(records.persons, return_inverse=True)
    piece = rng.integers(pieces, size=len(names))[owner]
    order = rng.permutation(len(records))
    return tuple(records.take(order[piece[order] == index]) for index in range(pieces))


def moved(tables: Tables, rng: np.random.Generator) -> Tables:
    """All rows divided anew among the hospitals, and one more that has none."""
    pieces = parted(joined(tables), len(tables), rng)
    named = tuple(replace(piece, site=table.site) for piece, table in zip(pieces, tables, strict=True))
    return (*named, replace(named[0].take(np.arange(0)), site="of-nobody"))


def awkward(tables: Tables) -> Iterator[tuple[str, Tables]]:
    """What hospitals' data can be, each by its name, from tables that are as they should be."""
    yield "as given", tables
    yield "with gaps", _changed(tables, _with_gaps)
    yield "with a hospital of nobody", (tables[0].take(np.arange(0)), *tables[1:])
    yield "without any value", _changed(tables, lambda values, _: _emptied(values, np.ones(len(values), np.bool_)))
    yield "one row", (tables[0].take(np.arange(1)), *(one.take(np.arange(0)) for one in tables[1:]))
    yield (
        "two rows",
        (*(one.take(np.arange(1)) for one in tables[:2]), *(one.take(np.arange(0)) for one in tables[2:])),
    )
    yield "nobody", tuple(one.take(np.arange(0)) for one in tables)
    yield "all alike", tuple(_repeated(tables[0], one) for one in tables)
    yield "negative and far from zero", _changed(tables, lambda values, _: _scaled(values, -1.0, 1e9))
    yield "huge", _changed(tables, lambda values, _: _scaled(values, 1e12, 0.0))
    yield "minute", _changed(tables, lambda values, _: _scaled(values, 1e-9, 0.0))
    yield "with words that nobody declared", _changed(tables, _with_strange_words)


def _repeated(first: Records, table: Records) -> Records:
    """The first row, as often as the table has rows."""
    return replace(first.take(np.zeros(len(table), np.int64)), persons=table.persons, site=table.site)


def _changed(tables: Tables, change: Callable[[Values, np.random.Generator], Values]) -> Tables:
    rng = np.random.default_rng(5)
    return tuple(
        replace(one, columns={name: change(values.copy(), rng) for name, values in one.columns.items()})
        for one in tables
    )


def _with_gaps(values: Values, rng: np.random.Generator) -> Values:
    return _emptied(values, rng.random(len(values)) < 0.2)


def _emptied(values: Values, rows: NDArray[np.bool_]) -> Values:
    values[rows] = np.nan if values.dtype == np.float64 else ""
    return values


def _scaled(values: Values, factor: float, offset: float) -> Values:
    """Of what is 0 or 1 it would make another kind of column."""
    if values.dtype != np.float64 or np.isin(values[~np.isnan(values.astype(np.float64))], (0.0, 1.0)).all():
        return values
    return np.asarray(values.astype(np.float64) * factor + offset)


def _with_strange_words(values: Values, rng: np.random.Generator) -> Values:
    if values.dtype == np.float64:
        return values
    return np.where(rng.random(len(values)) < 0.2, "zzz", values).astype(np.str_)
