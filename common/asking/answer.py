"""Answer: what an analysis found, for people to read, for programs to read, and to be drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Cell = str | int | float | None
"""None: not known, or held back."""


@dataclass(frozen=True)
class Table:
    """rows: as many cells each as the header has. note: what a reader must know beside them.

    persons: of how many persons' rows each cell is, in the form of `rows`; 0: of nobody's, or of so many as need no
    hiding. It decides what is held back and is itself never shown.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    persons: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Series:
    """One line or row of a figure: y over x, low and high where there is an interval. persons: as of a table."""

    name: str
    x: tuple[float | str, ...]
    y: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    persons: tuple[int, ...] = ()


@dataclass(frozen=True)
class Figure:
    """steps: lines that stay until the next x; points: with intervals, one below the other where x are words; ratios:
    such points on a logarithmic axis, beside 1.
    """

    kind: Literal["bars", "lines", "steps", "points", "ratios"]
    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]


@dataclass(frozen=True)
class Answer:
    """numbers: all that was found, by name, as JSON can hold it. words: sentences, the most important one first."""

    numbers: Mapping[str, Any]
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    words: tuple[str, ...] = field(default=())
