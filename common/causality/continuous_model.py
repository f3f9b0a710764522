"""Structural causal models with additive noise, x := f(parents) + u: samples, and exact counterfactuals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from common.causality.graph import Graph
from common.causality.mechanisms import Mechanism, graph_of
from common.errors import GraphError

Numbers = NDArray[np.float64]
Values = Mapping[str, Numbers]
"""(N,) of each variable."""


@dataclass(frozen=True)
class Additive:
    """x := function(parents) + u. draw: (rng, n) to n noises; log_density: of noises, for likelihoods."""

    parents: tuple[str, ...]
    function: Callable[..., Numbers | float]
    draw: Callable[[np.random.Generator, int], Numbers]
    log_density: Callable[[Numbers], Numbers] | None = None


def gaussian(parents: tuple[str, ...], function: Callable[..., Numbers | float], sd: float = 1.0) -> Additive:
    """A mechanism with normal noise of mean 0."""
    if not 0 < sd < np.inf:
        raise GraphError(f"the standard deviation of a noise is a positive number; this is {sd}.")

    def draw(rng: np.random.Generator, n: int) -> Numbers:
        return rng.normal(0.0, sd, n)

    def log_density(noise: Numbers) -> Numbers:
        return np.asarray(-0.5 * (noise / sd) ** 2 - np.log(sd * np.sqrt(2 * np.pi)))

    return Additive(parents, function, draw, log_density)


@dataclass(frozen=True)
class Weighted:
    """Draws with weights that add up to 1. effective: to how many equally weighted ones they amount (Kish 1965)."""

    values: Values
    weights: Numbers

    @property
    def effective(self) -> float:
        """1 over the sum of squared weights."""
        return float(1 / np.sum(self.weights**2))

    def mean(self, name: str) -> float:
        """Of one variable."""
        return float(self.weights @ self.values[name])


@dataclass(frozen=True)
class AdditiveModel:
    """Markovian: every variable has a noise of its own. Raises GraphError as `graph_of`."""

    mechanisms: Mapping[str, Additive]

    def __post_init__(self) -> None:
        _ = self.graph

    @cached_property
    def graph(self) -> Graph:
        """Its causal graph."""
        return graph_of({name: Mechanism(one.parents, (), one.function) for name, one in self.mechanisms.items()}, ())

    def sample(self, n: int, rng: np.random.Generator, do: Mapping[str, float] | None = None) -> Values:
        """Draws of the observational distribution, or of the interventional one where something is set."""
        noises = {name: self.mechanisms[name].draw(rng, n) for name in self.graph.order}
        return self.predict(noises, do or {}, n)

    def abduct(self, seen: Values) -> Values:
        """The noises of persons of whom every variable was seen, u = x - f(parents); else raises GraphError."""
        self.graph.demand(*seen)
        if missing := self.graph.sorted(self.graph.names - seen.keys()):
            raise GraphError(
                f"{missing[0]!r} was not seen; a person's noises follow exactly where every variable was, and by "
                "weighted draws otherwise (counterfactual_draws)."
            )
        given = {name: np.asarray(values, dtype=np.float64) for name, values in seen.items()}
        return {name: given[name] - self._explained(name, given) for name in self.graph.nodes}

    def predict(self, noises: Values, do: Mapping[str, float], n: int | None = None) -> Values:
        """Every variable of the mutilated model under these noises."""
        self.graph.demand(*do)
        size = n if n is not None else len(next(iter(noises.values()), np.empty(0)))
        found: dict[str, Numbers] = {}
        for name in self.graph.order:
            found[name] = (
                np.full(size, float(do[name])) if name in do else noises[name] + self._explained(name, found)
            )
        return {name: found[name] for name in self.graph.nodes}

    def counterfactual(self, seen: Values, do: Mapping[str, float]) -> Values:
        """What these persons' variables would have been: abduction, action, prediction, without any draw."""
        return self.predict(self.abduct({name: np.atleast_1d(values) for name, values in seen.items()}), do)

    def counterfactual_draws(
        self, seen: Mapping[str, float], do: Mapping[str, float], n: int, rng: np.random.Generator
    ) -> Weighted:
        """The same of one person of whom only some variables were seen: noises are drawn and weighted by likelihood.

        Raises GraphError where a seen variable's noise has no density, or nothing that was drawn agrees with it.
        """
        self.graph.demand(*seen, *do)
        noises: dict[str, Numbers] = {}
        world: dict[str, Numbers] = {}
        log_weights = np.zeros(n)
        for name in self.graph.order:
            explained = self._explained(name, world)
            if name in seen:
                noises[name] = np.broadcast_to(float(seen[name]) - explained, (n,))
                log_weights += self._log_density(name, noises[name])
            else:
                noises[name] = self.mechanisms[name].draw(rng, n)
            world[name] = noises[name] + explained
        if not np.isfinite(top := log_weights.max(initial=-np.inf)):
            raise GraphError("what was seen has no likelihood under any of the draws.")
        weights = np.exp(log_weights - top)
        return Weighted(self.predict(noises, do, n), weights / weights.sum())

    def _explained(self, name: str, world: Values) -> Numbers:
        one = self.mechanisms[name]
        return np.asarray(one.function(*(world[cause] for cause in one.parents)), dtype=np.float64)

    def _log_density(self, name: str, noise: Numbers) -> Numbers:
        density = self.mechanisms[name].log_density
        if density is None:
            raise GraphError(f"{name!r} was seen, and its noise has no density to weight draws by.")
        return density(noise)
