"""Structural causal models M = (X, U, F) of few values: all three rungs of the ladder, exactly, by enumeration."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import product
from math import prod

import numpy as np

from common.causality.graph import Graph
from common.causality.mechanisms import Mechanism, graph_of
from common.causality.tables import Table
from common.errors import GraphError
from common.study.spelling import unknown

Value = Hashable
World = Mapping[str, Value]
"""A value of every variable."""
Event = Mapping[str, Value]
"""Values of some variables."""
MOST_CASES = 1 << 20


@dataclass(frozen=True)
class Distribution:
    """Worlds of a positive probability, as tuples of values in the order of `names`; probabilities add up to 1."""

    names: tuple[str, ...]
    chances: Mapping[tuple[Value, ...], Fraction]

    def probability(self, event: Event) -> Fraction:
        """Of all worlds in which the event holds."""
        places = self._places(event)
        return sum(
            (
                chance
                for values, chance in self.chances.items()
                if all(values[place] == value for place, value in places)
            ),
            Fraction(0),
        )

    def marginal(self, *names: str) -> Distribution:
        """Of some variables alone."""
        places = [self._place(name) for name in names]
        found: dict[tuple[Value, ...], Fraction] = {}
        for values, chance in self.chances.items():
            kept = tuple(values[place] for place in places)
            found[kept] = found.get(kept, Fraction(0)) + chance
        return Distribution(names, found)

    def given(self, event: Event) -> Distribution:
        """Among the worlds in which the event holds. Raises GraphError where there are none."""
        total, places = self.probability(event), self._places(event)
        if not total:
            raise GraphError(f"{_said(event)} never happens in the model, so nothing can be said given it.")
        kept = {v: p / total for v, p in self.chances.items() if all(v[place] == value for place, value in places)}
        return Distribution(self.names, kept)

    def table(self, domains: Mapping[str, tuple[Value, ...]]) -> Table:
        """Fractions with an axis a variable, its values in the order of its domain."""
        cells = np.full([len(domains[name]) for name in self.names], Fraction(0), dtype=object)
        for values, chance in self.chances.items():
            cells[tuple(domains[name].index(value) for name, value in zip(self.names, values, strict=True))] = chance
        return Table(self.names, cells)

    def _place(self, name: str) -> int:
        if name not in self.names:
            raise unknown("variable", name, self.names)
        return self.names.index(name)

    def _places(self, event: Event) -> list[tuple[int, Value]]:
        return [(self._place(name), value) for name, value in event.items()]


@dataclass(frozen=True)
class DiscreteModel:
    """noises: of every exogenous variable, its values' probabilities; they are independent of each other.

    Raises GraphError for probabilities that do not add up to 1, for what `graph_of` refuses, and for more than 2^20
    combinations of noises.
    """

    mechanisms: Mapping[str, Mechanism]
    noises: Mapping[str, Mapping[Value, Fraction]]

    def __post_init__(self) -> None:
        for name, chances in self.noises.items():
            if sum(chances.values()) != 1 or min(chances.values(), default=-1) < 0:
                raise GraphError(f"the probabilities of noise {name!r} are not from 0 on, or do not add up to 1.")
        if (cases := prod(len(chances) for chances in self.noises.values())) > MOST_CASES:
            raise GraphError(f"the model's noises have {cases} combinations; at most 2^20 are enumerated.")
        _ = self.graph

    @cached_property
    def graph(self) -> Graph:
        """Its causal graph; noises that two mechanisms share are double arrows."""
        return graph_of(self.mechanisms, self.noises)

    @cached_property
    def is_markovian(self) -> bool:
        """Whether no two mechanisms share a noise; then P(X) is the product of P(x_k | pa_k)."""
        return not self.graph.pairs

    def observational(self) -> Distribution:
        """P(X): association."""
        return self.interventional({})

    def interventional(self, do: Event) -> Distribution:
        """P(X | do(...)): what is set no longer listens to its causes."""
        return self._distributed({}, do)

    def counterfactual(self, seen: Event, do: Event) -> Distribution:
        """P(X had `do` been, given that `seen` was): abduction of the noises, action, prediction.

        Args:
            seen: values of some variables, by name.
            do: what would have been set instead.

        Returns:
            Of all variables together.

        Raises:
            GraphError: what was seen cannot happen.
        """
        return self._distributed(seen, do)

    def across(self, events: tuple[tuple[Event, Event], ...]) -> Fraction:
        """The probability that several things hold together, each an (event, do) in a world of its own.

        Such as necessity and sufficiency, `(({"y": 1}, {"x": 1}), ({"y": 0}, {"x": 0}))` (Pearl 1999). Divide two of
        them for a conditional one.

        Args:
            events: what holds, and in the world of which action.

        Returns:
            Exactly, from 0 to 1.
        """
        total = Fraction(0)
        for noise, chance in self._noises():
            if all(self._holds(event, self._world(noise, do)) for event, do in events):
                total += chance
        return total

    def domain(self, name: str) -> tuple[Value, ...]:
        """The values that a variable can have unless it is set, sorted where they can be."""
        self.graph.demand(name)
        found = list({self._world(noise, {})[name]: None for noise, _ in self._noises()})
        try:
            return tuple(sorted(found))  # type: ignore[type-var]
        except TypeError:
            return tuple(found)

    def _distributed(self, seen: Event, do: Event) -> Distribution:
        """Of the world in which `do` was done, over all noises under which `seen` holds where nothing was."""
        self.graph.demand(*seen, *do)
        found: dict[tuple[Value, ...], Fraction] = {}
        for noise, chance in self._noises():
            if not seen or self._holds(seen, self._world(noise, {})):
                values = tuple(self._world(noise, do).values())
                found[values] = found.get(values, Fraction(0)) + chance
        if not found:
            raise GraphError(f"{_said(seen)} never happens in the model, so it says nothing of the noises.")
        total = sum(found.values(), Fraction(0))
        in_order = Distribution(self.graph.order, {values: chance / total for values, chance in found.items()})
        return in_order.marginal(*self.graph.nodes)

    def _noises(self) -> Iterator[tuple[World, Fraction]]:
        names = tuple(self.noises)
        for combination in product(*(self.noises[name].items() for name in names)):
            chance = prod((one for _, one in combination), start=Fraction(1))
            if chance:
                yield dict(zip(names, (value for value, _ in combination), strict=True)), chance

    def _world(self, noise: World, do: Event) -> World:
        world: dict[str, Value] = {}
        for name in self.graph.order:
            if name in do:
                world[name] = do[name]
                continue
            one = self.mechanisms[name]
            arguments = [*(world[cause] for cause in one.parents), *(noise[u] for u in one.noises)]
            world[name] = one.function(*arguments)
        return world

    @staticmethod
    def _holds(event: Event, world: World) -> bool:
        return all(world[name] == value for name, value in event.items())


def _said(event: Event) -> str:
    return ", ".join(f"{name} = {value}" for name, value in event.items()) or "what was seen"
