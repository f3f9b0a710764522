"""Probability tables with named axes, and the value of an expression on them: doubles, or fractions without error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.causality.expression import Expression, Probability, Product, Quotient, Sum
from common.errors import GraphError
from common.study.spelling import unknown

Cells = NDArray[Any]
LARGEST_TABLE = 1 << 24


@dataclass(frozen=True)
class Table:
    """cells: an axis a variable, in the order of `names`; NaN where a condition never occurs."""

    names: tuple[str, ...]
    cells: Cells

    @property
    def levels(self) -> dict[str, int]:
        """How many values each variable has."""
        return dict(zip(self.names, self.cells.shape, strict=True))

    def marginal(self, kept: Iterable[str]) -> Table:
        """Summed over all other variables; axes in the order of `kept`."""
        names = tuple(kept)
        gone = tuple(axis for axis, name in enumerate(self.names) if name not in names)
        left = [name for name in self.names if name in names]
        cells = self.cells.sum(axis=gone) if gone else self.cells
        return Table(names, np.transpose(cells, [left.index(name) for name in names]))

    def at(self, values: Mapping[str, int]) -> Table:
        """At the places of some variables' values, which are axes no more."""
        where = tuple(values.get(name, slice(None)) for name in self.names)
        return Table(tuple(name for name in self.names if name not in values), self.cells[where])


def joint_table(names: Iterable[str], cells: NDArray[Any]) -> Table:
    """A joint distribution, of probabilities or of counts, which are divided by their sum.

    Raises GraphError where names and axes differ, or cells are negative, not finite, or all zero.
    """
    axes, array = tuple(names), np.asarray(cells)
    if array.ndim != len(axes) or len(set(axes)) != len(axes):
        raise GraphError(f"a table of {', '.join(axes)} has an axis for each; this one has {array.ndim}.")
    if array.dtype != object:
        array = array.astype(np.float64)
    total = array.sum()
    if not (array >= 0).all() or not 0 < total < np.inf:
        raise GraphError("a table of probabilities holds finite numbers from 0 on, and not only zeros.")
    return Table(axes, array / total)


def evaluate(expression: Expression, observed: Table) -> Table:
    """The value of an expression at every value of the variables on which it depends, in the table's order.

    NaN where it needs what was never observed (no positivity). Raises UnknownNameError where the table lacks a
    variable, and GraphError where there would be more than 2^24 cells.
    """
    for name in sorted(expression.free):
        if name not in observed.names:
            raise unknown("variable of the table", name, observed.names)
    known: dict[Expression, Table] = {}
    found = _value(expression, observed, known)
    return found.marginal(name for name in observed.names if name in found.names)


def effect_table(expression: Expression, observed: Table, arguments: Iterable[str]) -> Table:
    """`evaluate` with axes for `arguments` alone, in their order.

    On others an identified effect does not depend, although its expression names them: it is averaged over those,
    each weighted by how often it was observed.
    """
    wanted = tuple(arguments)
    found = evaluate(expression, observed)
    idle = tuple(name for name in found.names if name not in wanted)
    if idle:
        weights = observed.marginal(idle)
        found = _times([found, weights]).marginal(name for name in found.names if name not in idle)
    return _spread(found, wanted, observed.levels)


def _value(expression: Expression, observed: Table, known: dict[Expression, Table]) -> Table:
    if expression not in known:
        known[expression] = _computed(expression, observed, known)
    return known[expression]


def _computed(expression: Expression, observed: Table, known: dict[Expression, Table]) -> Table:
    match expression:
        case Probability(of, given):
            joint = observed.marginal((*of, *given))
            return _divided(joint, observed.marginal(given)) if given else joint
        case Product(factors):
            return _times([_value(factor, observed, known) for factor in factors])
        case Sum(over, of):
            inner = _value(of, observed, known)
            constant = prod(observed.levels[name] for name in over if name not in inner.names)
            kept = inner.marginal(name for name in inner.names if name not in over)
            return Table(kept.names, kept.cells * constant)
        case Quotient(numerator, denominator):
            return _divided(_value(numerator, observed, known), _value(denominator, observed, known))


def _times(factors: list[Table]) -> Table:
    """A factor that is zero makes the product so, also where another is not known."""
    levels = {name: size for factor in factors for name, size in factor.levels.items()}
    if prod(levels.values()) > LARGEST_TABLE:
        raise GraphError(f"the effect needs a table of {prod(levels.values())} cells; at most 2^24 are made.")
    names = tuple(levels)
    cells: Cells = np.ones((), dtype=factors[0].cells.dtype if factors else np.float64)
    for factor in factors:
        more = _spread(factor, names, levels, broadcast=False).cells
        cells = np.where((cells == 0) | (more == 0), _zero(cells), cells * more)
    return Table(names, cells)


def _divided(numerator: Table, denominator: Table) -> Table:
    names = tuple(dict.fromkeys((*numerator.names, *denominator.names)))
    levels = numerator.levels | denominator.levels
    above = _spread(numerator, names, levels, broadcast=False).cells
    below = _spread(denominator, names, levels, broadcast=False).cells
    never = below == 0
    cells = np.where(never, np.nan, above / np.where(never, 1, below))
    return Table(names, cells)


def _spread(table: Table, names: tuple[str, ...], levels: Mapping[str, int], broadcast: bool = True) -> Table:
    """Axes for all of `names`, which hold the table's; of size 1, or as `levels` says, where it has none."""
    ordered = table.marginal(name for name in names if name in table.names)
    shape = [levels[name] if name in table.names else 1 for name in names]
    cells = ordered.cells.reshape(shape)
    return Table(names, np.broadcast_to(cells, [levels[name] for name in names]) if broadcast else cells)


def _zero(cells: Cells) -> Any:
    return Fraction(0) if cells.dtype == object else 0.0
