"""Made hospitals of which the effect of a treatment is known: what cover and error are measured on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.asking.analysis import Public
from common.asking.records import Records

Floats = NDArray[np.float64]
TRUTH_ROWS = 2_000_000


@dataclass(frozen=True)
class Drawn:
    """Patients with both of their possible outcomes' means."""

    covariates: Floats
    treated: Floats
    outcome: Floats
    gain: Floats


@dataclass(frozen=True)
class MadeStudy:
    """A kind of federation.

    hospitals: how many. fewest, most: patients of each. draw: patients of the hospitals named by number.
    """

    name: str
    hospitals: int
    fewest: int
    most: int
    draw: Callable[[np.random.Generator, NDArray[np.intp]], Drawn]
    binary: bool = False

    def truth(self) -> float:
        """The average effect over everybody, by drawing very many."""
        rng = np.random.default_rng(7)
        sites = rng.integers(0, self.hospitals, TRUTH_ROWS)
        return float(self.draw(rng, sites).gain.mean())

    def rows(self, seed: int) -> tuple[NDArray[np.intp], Drawn]:
        """One federation: every row's hospital by number, and the rows."""
        rng = np.random.default_rng(seed)
        sizes = rng.integers(self.fewest, self.most + 1, self.hospitals)
        sites = np.repeat(np.arange(self.hospitals), sizes)
        return sites, self.draw(rng, sites)

    def tables(self, seed: int) -> tuple[list[Records], Public]:
        """The same as hospitals hold it."""
        sites, drawn = self.rows(seed)
        names = tuple(f"hospital-{index}" for index in range(self.hospitals))
        columns = {"outcome": drawn.outcome, "treated": drawn.treated}
        columns |= {f"x{index + 1}": np.ascontiguousarray(x) for index, x in enumerate(drawn.covariates.T)}
        persons = np.array([f"p{index}" for index in range(len(sites))])
        whole = Records(columns, persons)
        parts = []
        for index, name in enumerate(names):
            part = whole.take(sites == index)
            parts.append(Records(part.columns, part.persons, name))
        return parts, Public(names)


def _chance(value: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-value)))


def _coin(rng: np.random.Generator, chance: Floats) -> Floats:
    return np.asarray(rng.random(len(chance)) < chance, dtype=np.float64)


def _base(rng: np.random.Generator, sites: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Two covariates whose means differ by hospital, and the hospital's own level."""
    level = 0.5 * np.sin(2.4 * sites + 1)
    x = np.stack([rng.normal(0.5 * np.cos(1.7 * sites), 1.0), _coin(rng, _chance(0.6 * np.sin(sites)))], axis=1)
    return x, level


def _linear(rng: np.random.Generator, sites: NDArray[np.intp]) -> Drawn:
    x, level = _base(rng, sites)
    a = _coin(rng, _chance(-0.2 + 0.6 * x[:, 0] + 0.5 * x[:, 1] + level))
    y = 1 + x[:, 0] + 0.8 * x[:, 1] + 2 * level + a + rng.normal(size=len(a))
    return Drawn(x, a, y, np.ones(len(a)))


def _binary(rng: np.random.Generator, sites: NDArray[np.intp]) -> Drawn:
    x, level = _base(rng, sites)
    a = _coin(rng, _chance(-0.2 + 0.6 * x[:, 0] + 0.5 * x[:, 1] + level))
    one, zero = (_chance(-0.8 + 0.8 * x[:, 0] + 0.5 * x[:, 1] + level + 0.9 * arm) for arm in (1, 0))
    return Drawn(x, a, _coin(rng, np.where(a == 1, one, zero)), one - zero)


def _heterogeneous(rng: np.random.Generator, sites: NDArray[np.intp]) -> Drawn:
    """The effect grows with a covariate, which a model without products does not know."""
    x, level = _base(rng, sites)
    a = _coin(rng, _chance(-0.2 + 0.6 * x[:, 0] + 0.5 * x[:, 1] + level))
    gain = 1 + 0.8 * x[:, 0] - 0.5 * x[:, 1]
    y = 1 + x[:, 0] + 0.8 * x[:, 1] + 2 * level + a * gain + rng.normal(size=len(a))
    return Drawn(x, a, y, gain)


def _wrong_outcome(rng: np.random.Generator, sites: NDArray[np.intp]) -> Drawn:
    """Outcome curved in a covariate, and with unequal noise; the treatment's model is right."""
    x, level = _base(rng, sites)
    a = _coin(rng, _chance(-0.2 + 0.6 * x[:, 0] + 0.5 * x[:, 1] + level))
    y = 1 + x[:, 0] + 0.4 * x[:, 0] ** 2 + level + a + rng.normal(size=len(a)) * (0.6 + 0.4 * np.abs(x[:, 0]))
    return Drawn(x, a, y, np.ones(len(a)))


def _rare(rng: np.random.Generator, sites: NDArray[np.intp]) -> Drawn:
    """A quarter treated, an outcome with long tails."""
    x, level = _base(rng, sites)
    a = _coin(rng, _chance(-1.5 + 0.5 * x[:, 0] + 0.5 * x[:, 1] + 0.5 * level))
    y = 1 + x[:, 0] + 0.8 * x[:, 1] + level + a + rng.standard_t(5, size=len(a))
    return Drawn(x, a, y, np.ones(len(a)))


def _three(rng: np.random.Generator, sites: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Three covariates, one of them skewed, and the hospital's own level."""
    level = 0.6 * np.cos(2.1 * sites)
    age, ill = rng.normal(0.4 * np.sin(1.3 * sites), 1.0), _coin(rng, _chance(-0.5 + 0.5 * np.cos(sites)))
    dose = rng.exponential(1.0, len(sites)) + 0.3 * ill
    return np.stack([age, ill, dose], axis=1), level


def _seldom(rng: np.random.Generator, sites: NDArray[np.intp]) -> Drawn:
    """An outcome that a sixth has."""
    x, level = _three(rng, sites)
    a = _coin(rng, _chance(0.1 + 0.5 * x[:, 0] - 0.4 * x[:, 1] + 0.3 * x[:, 2] + level))
    one, zero = (_chance(-2.3 + 0.5 * x[:, 0] + 0.6 * x[:, 1] + 0.5 * level + 0.8 * arm) for arm in (1, 0))
    return Drawn(x, a, _coin(rng, np.where(a == 1, one, zero)), one - zero)


def _often(rng: np.random.Generator, sites: NDArray[np.intp]) -> Drawn:
    """An outcome that half have, and an effect that grows with illness."""
    x, level = _three(rng, sites)
    a = _coin(rng, _chance(-0.4 + 0.7 * x[:, 0] + 0.5 * x[:, 1] + level))
    one, zero = (
        _chance(-0.6 + 0.7 * x[:, 0] + 0.3 * x[:, 2] + level + arm * (0.5 + 0.8 * x[:, 1])) for arm in (1, 0)
    )
    return Drawn(x, a, _coin(rng, np.where(a == 1, one, zero)), one - zero)


def _few_and_binary(rng: np.random.Generator, sites: NDArray[np.intp]) -> Drawn:
    """A fifth treated."""
    x, level = _three(rng, sites)
    a = _coin(rng, _chance(-2.2 + 0.5 * x[:, 0] + 0.5 * x[:, 1] + 0.3 * x[:, 2] + 0.4 * level))
    one, zero = (_chance(-0.5 + 0.6 * x[:, 0] + 0.5 * x[:, 1] + level + arm) for arm in (1, 0))
    return Drawn(x, a, _coin(rng, np.where(a == 1, one, zero)), one - zero)


def _skewed(rng: np.random.Generator, sites: NDArray[np.intp]) -> Drawn:
    """Costs: noise whose logarithm is normal, and more of it if treated."""
    x, level = _three(rng, sites)
    a = _coin(rng, _chance(-0.3 + 0.5 * x[:, 0] + 0.3 * x[:, 2] + level))
    noise = (np.exp(0.8 * rng.normal(size=len(a))) - np.exp(0.32)) * (0.6 + 0.6 * a)
    return Drawn(x, a, 2 + 0.7 * x[:, 0] + 0.5 * x[:, 1] + 0.4 * x[:, 2] + level + a + noise, np.ones(len(a)))


def _by_hospital(rng: np.random.Generator, sites: NDArray[np.intp]) -> Drawn:
    """The effect is each hospital's own, and noise as well."""
    x, level = _three(rng, sites)
    gain = 0.5 + 0.8 * np.sin(2.0 * sites + 0.5)
    a = _coin(rng, _chance(0.5 * x[:, 0] + 0.5 * x[:, 1] - 0.2 * x[:, 2] + level))
    noise = rng.normal(size=len(a)) * (0.6 + 0.3 * (sites % 3))
    return Drawn(x, a, 1 + x[:, 0] - 0.5 * x[:, 1] + 0.3 * x[:, 2] + level + a * gain + noise, gain)


def _bent(rng: np.random.Generator, sites: NDArray[np.intp]) -> Drawn:
    """Outcome bent in one covariate and in a product, which no model names; a third treated."""
    x, level = _three(rng, sites)
    a = _coin(rng, _chance(-1.0 + 0.4 * x[:, 0] + 0.5 * x[:, 1] + 0.2 * x[:, 2] + 0.5 * level))
    y = np.abs(x[:, 0]) + 0.5 * x[:, 1] * x[:, 2] + level + a + rng.normal(size=len(a))
    return Drawn(x, a, y, np.ones(len(a)))


SETTLED_ON = (
    MadeStudy("linear, 5 hospitals of 20 to 60", 5, 20, 60, _linear),
    MadeStudy("linear, 4 of 20", 4, 20, 20, _linear),
    MadeStudy("binary, 5 of 20 to 60", 5, 20, 60, _binary, binary=True),
    MadeStudy("binary, 4 of 20 to 40", 4, 20, 40, _binary, binary=True),
    MadeStudy("effect differs by patient, 5 of 20 to 60", 5, 20, 60, _heterogeneous),
    MadeStudy("outcome's model wrong, 5 of 20 to 60", 5, 20, 60, _wrong_outcome),
    MadeStudy("few treated, long tails, 6 of 20 to 40", 6, 20, 40, _rare),
)
"""On these the rule for intervals was found."""

FRESH = (
    MadeStudy("0/1 outcome of a sixth, 5 of 20 to 60", 5, 20, 60, _seldom, binary=True),
    MadeStudy("0/1 outcome of half, 4 of 20 to 40", 4, 20, 40, _often, binary=True),
    MadeStudy("0/1 outcome, a fifth treated, 6 of 30 to 60", 6, 30, 60, _few_and_binary, binary=True),
    MadeStudy("costs, 6 of 20 to 40", 6, 20, 40, _skewed),
    MadeStudy("hospitals' own effects, 5 of 20 to 60", 5, 20, 60, _by_hospital),
    MadeStudy("bent outcome, a third treated, 8 of 20 to 30", 8, 20, 30, _bent),
)
"""Made after the rule was settled: neither it nor a design was changed once these had been run."""

MADE = (*SETTLED_ON, *FRESH)
