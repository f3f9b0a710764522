"""Linear models with normal noise: every rung of the ladder as a mean and a covariance, whatever was seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from common.causality.graph import Arrow, Graph, make_graph
from common.errors import GraphError

Numbers = NDArray[np.float64]
ROUNDING = 1e-12
"""Of all variance; what is below it is none."""


@dataclass(frozen=True)
class Gaussian:
    """A normal distribution of named variables."""

    names: tuple[str, ...]
    mean: Numbers
    covariance: Numbers

    def of(self, name: str) -> tuple[float, float]:
        """Mean and variance of one."""
        place = self.names.index(name)
        return float(self.mean[place]), float(self.covariance[place, place])


@dataclass(frozen=True)
class LinearModel:
    """x := intercept + sum of weight * parent + u, with u normal of mean 0.

    intercepts: one a variable. weights: one an arrow. variances: of noises, 1 where not given, 0 for none.
    shared: covariance of two noises: a common cause that nobody measured. Raises GraphError for a cycle, or
    covariances that no noises can have.
    """

    intercepts: Mapping[str, float]
    weights: Mapping[Arrow, float]
    variances: Mapping[str, float]
    shared: Mapping[Arrow, float]

    def __post_init__(self) -> None:
        for name in [*self.variances, *(end for edge in self.weights for end in edge)]:
            if name not in self.intercepts:
                raise GraphError(f"{name!r} has no intercept in the linear model.")
        noise = self.noise
        if not np.isfinite(noise).all() or np.linalg.eigvalsh(noise).min(initial=0) < -ROUNDING * np.trace(noise):
            raise GraphError("the noises' variances and covariances are those of no distribution.")

    @cached_property
    def graph(self) -> Graph:
        """Its causal graph."""
        return make_graph(self.weights, self.shared, self.intercepts)

    @cached_property
    def noise(self) -> Numbers:
        """Covariance of the noises."""
        found = np.diag([float(self.variances.get(name, 1.0)) for name in self.graph.nodes])
        for (one, other), value in self.shared.items():
            places = [self.graph.nodes.index(one), self.graph.nodes.index(other)]
            found[places, places[::-1]] = value
        return found

    def observational(self) -> Gaussian:
        """Of all variables."""
        return self.interventional({})

    def interventional(self, do: Mapping[str, float]) -> Gaussian:
        """Of all variables where some are set; these have no variance."""
        return self._pushed(do, np.zeros(len(self.graph.nodes)), self.noise)

    def counterfactual(self, seen: Mapping[str, float], do: Mapping[str, float]) -> Gaussian:
        """Of all variables of a person of whom some were seen, had others been set.

        Abduction is conditioning the noises on what was seen, action cuts arrows, and prediction pushes the noises
        through what is left.

        Args:
            seen: values of some variables, by name.
            do: what would have been set instead.

        Returns:
            Mean and covariance of all variables.

        Raises:
            GraphError: what was seen cannot happen.
        """
        self.graph.demand(*seen)
        rows = [self.graph.nodes.index(name) for name in seen]
        push, shift = self._solved({})
        known = push[rows]
        gap = np.array(list(seen.values()), dtype=np.float64) - shift[rows]
        spread = known @ self.noise @ known.T
        gain = self.noise @ known.T @ np.linalg.pinv(spread, hermitian=True)
        if not np.allclose(spread @ np.linalg.pinv(spread, hermitian=True) @ gap, gap, rtol=1e-9, atol=1e-9):
            raise GraphError("what was seen never happens in the linear model: its noises have no such variance.")
        return self._pushed(do, gain @ gap, self.noise - gain @ known @ self.noise)

    def total_effect(self, cause: str, effect: str) -> float:
        """By how much the effect rises for each unit that the cause is set higher."""
        self.graph.demand(cause, effect)
        low, high = (self.interventional({cause: value}).of(effect)[0] for value in (0.0, 1.0))
        return high - low

    def _pushed(self, do: Mapping[str, float], mean: Numbers, covariance: Numbers) -> Gaussian:
        push, shift = self._solved(do)
        spread = push @ covariance @ push.T
        spread[np.abs(spread) < ROUNDING * np.trace(push @ self.noise @ push.T)] = 0.0
        return Gaussian(self.graph.nodes, push @ mean + shift, spread)

    def _solved(self, do: Mapping[str, float]) -> tuple[Numbers, Numbers]:
        """x = push u + shift."""
        nodes = self.graph.nodes
        self.graph.demand(*do)
        paths, listens = np.zeros((len(nodes), len(nodes))), np.array([name not in do for name in nodes], dtype=float)
        for (cause, effect), weight in self.weights.items():
            paths[nodes.index(effect), nodes.index(cause)] = weight
        start = np.array([do.get(name, self.intercepts[name]) for name in nodes], dtype=np.float64)
        solved = np.linalg.inv(np.eye(len(nodes)) - listens[:, None] * paths)
        return solved * listens, solved @ start
