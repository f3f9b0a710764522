"""One quantile of a column by a few rounds of noisy balances, each where it is believed to be: for strong privacy."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from math import log, sqrt
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.analyses._bounds import bounds_of, missing
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Integers, Total, counts, exact_sum, reals
from common.asking.records import Records
from common.errors import StudyError
from common.study.checks import sized

LEVEL = 0.95
MOST_ROUNDS = 30
PLACES = 501
SPREADS, SIZES = 2.0 ** -np.arange(1, 10), 2.0 ** np.arange(3, 24)
"""Of what is believed: how widely values are spread, in parts of the range, and how many there are."""
MISFIT = 0.3
"""How far values may be from the logistic curve that is believed: a balance far from the quantile says little more
than its sign."""
EXACT = 0.5


@dataclass(frozen=True)
class PrivateQuantile:
    """column: of numbers; rows in which it is missing are counted and left out. low, high: between which it lies.

    share: of rows below the quantile; 0.5 is the median. rounds: fewer have less noise each, more come closer where
    there is little.
    """

    discloses: ClassVar[str] = "For each of a few values, how many more rows lie above it than below it, weighed."
    column: str
    low: float | None = None
    high: float | None = None
    share: float = 0.5
    rounds: int = 5

    def __post_init__(self) -> None:
        bounds_of("private_quantile", self.low, self.high)
        sized("analysis", MOST_ROUNDS, rounds=self.rounds)
        if not 0 < self.share < 1:
            raise StudyError(f"analysis.share must be above 0 and below 1; it is {self.share!r}.")

    @property
    def most_rounds(self) -> int:
        """A first one asks for nothing but a balance as well."""
        return self.rounds

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """Each round asks where the quantile is as likely below as above (after Ben-Or and Hassidim 2008)."""
        believed = _Belief(*bounds_of("private_quantile", self.low, self.high), self.share)
        most, unknown = max(self.share, 1 - self.share), 0
        for number in range(self.rounds):
            parts = {"balance": reals(most_by_one=most)} | ({} if number else {"missing": counts()})
            place = believed.middle
            either = tuple(parts) if number == 0 else ()
            total = yield Query(parts, {"place": np.array([place])}, "first" if number == 0 else "next", either)
            unknown = unknown if number else int(total.count("missing"))
            margin = total.noise_margin("balance", 1 - (1 - LEVEL) / self.rounds)
            believed.learn(place, float(total["balance"]), sqrt(total.noise_variance("balance") / 2), margin)
        return self._answer(believed, unknown)

    def _answer(self, believed: _Belief, unknown: int) -> Answer:
        numbers = {
            "quantile": believed.middle,
            "low": believed.surely_above,
            "high": believed.surely_below,
            "share": self.share,
            "missing": unknown,
            "rounds": self.rounds,
        }
        row = (self.column, self.share, believed.middle, believed.surely_above, believed.surely_below)
        note = "The interval holds the quantile of these rows, whatever their values are; it counts the noise alone."
        table = Table(f"Quantile of {self.column}", ("column", "share", "quantile", "95 % from", "to"), (row,), note)
        return Answer(numbers, (table,))

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Of rows below the place 1 - share each, of those above it -share each."""
        (place,) = np.asarray(query.tells["place"], np.float64).tolist()
        values = records.numbers(self.column)
        weights = np.where(values < place, 1 - self.share, 0.0) - np.where(values > place, self.share, 0.0)
        sums: dict[str, NDArray[np.integer] | Integers] = {"balance": exact_sum(weights)}
        return sums | ({"missing": np.array(missing(records, self.column))} if query.step == "first" else {})


@dataclass
class _Belief:
    """Chances of where the quantile is, of how spread values are and how many: a logistic curve, loosely."""

    low: float
    high: float
    share: float
    surely_above: float = field(init=False)
    surely_below: float = field(init=False)

    def __post_init__(self) -> None:
        self.places = np.linspace(self.low, self.high, PLACES)
        self._log_chances = np.zeros((PLACES, SPREADS.size, SIZES.size))
        self.surely_above, self.surely_below = self.low, self.high

    @property
    def middle(self) -> float:
        """As likely above the quantile as below, among places that no balance has ruled out."""
        inside = (self.surely_above <= self.places) & (self.places <= self.surely_below)
        possible = np.where(inside[:, None, None], self._log_chances, -np.inf)
        chances = np.exp(possible - possible.max()).sum(axis=(1, 2))
        whole = np.cumsum(chances)
        return float(self.places[np.searchsorted(whole, whole[-1] / 2)])

    def learn(self, place: float, balance: float, scale: float, margin: float) -> None:
        """scale: of noise that is spread like Laplace's. margin: how much of a balance can be noise."""
        spreads = (self.high - self.low) * SPREADS
        logits = (place - self.places[:, None]) / spreads + log(self.share / (1 - self.share))
        share = 1 / (1 + np.exp(-np.clip(logits, -40, 40)))
        expected = (share - self.share)[:, :, None] * SIZES
        doubt = max(scale, EXACT) + MISFIT * np.abs(expected)
        self._log_chances = self._log_chances - np.abs(balance - expected) / doubt - np.log(doubt)
        if balance > margin:
            self.surely_below = max(min(self.surely_below, place), self.surely_above)
        if balance < -margin:
            self.surely_above = min(max(self.surely_above, place), self.surely_below)


analysis: type[Analysis] = PrivateQuantile
