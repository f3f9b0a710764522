"""What the headline score loses without something: on the same persons, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

from common.seeding import generator
from experiments.running.bootstrap import differences
from experiments.running.patient_scores import PatientScores, Person
from experiments.tuning.choice import is_lower_better

SEED = 0


@dataclass(frozen=True)
class Loss:
    """Of the headline score, above 0 where it is worse without. low, high: 95 % interval over test persons, both
    models scored on the same samples of them; None where there are too few, or no sample differs. persons: how many.
    """

    lost: float | None
    low: float | None
    high: float | None
    persons: int


@dataclass(frozen=True)
class Row:
    """One variant of one seed. before, after: the headline of all test persons. own, others: where a hospital is left
    out, the loss of its own persons and of all others'. failed: why there is none, in words. seconds: it took.
    """

    part: str
    name: str
    seed: int
    setting: str
    seconds: float
    before: float | None = None
    after: float | None = None
    loss: Loss | None = None
    own: Loss | None = None
    others: Loss | None = None
    failed: str = ""

    @classmethod
    def of(cls, table: dict[str, Any]) -> Row:
        """As it was written down."""
        parts = {name: None if table.get(name) is None else Loss(**table[name]) for name in ("loss", "own", "others")}
        return cls(**{**table, **parts})

    def table(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Summed:
    """A variant over all seeds. lost: the mean loss. deviation: over seeds; None of one. low, high: of the intervals
    over persons, each end's mean over seeds. sure: 1 where the score is worse without it in every seed, its interval
    above 0, -1 where it is better, else 0.
    """

    part: str
    name: str
    seeds: int
    lost: float | None
    deviation: float | None
    low: float | None
    high: float | None
    sure: int
    own: float | None = None
    others: float | None = None
    failed: str = ""


def loss_of(before: PatientScores, after: PatientScores, persons: Sequence[Person] | None = None) -> Loss:
    """persons: of these alone; None: of all that both have."""
    shared = set(before.persons) & set(after.persons if persons is None else persons)
    one, other = before.restricted(shared), after.restricted(shared)
    headline, sign = before.task.headline, -1.0 if not is_lower_better(before.task.headline) else 1.0
    found = differences(one, other, generator(SEED, "bootstrap")).get(headline)
    if found is not None:
        low, high = sorted((sign * found.low, sign * found.high))
        return Loss(sign * found.value, low, high, len(shared))
    whole = [scores.of_all().get(headline) for scores in (one, other)] if shared else [None, None]
    lost = None if whole[0] is None or whole[1] is None else sign * (whole[1] - whole[0])
    return Loss(lost, None, None, len(shared))


def summed(rows: Sequence[Row]) -> tuple[Summed, ...]:
    """Every variant, in the order of its first row."""
    order = list(dict.fromkeys((row.part, row.name) for row in rows))
    return tuple(_summed([row for row in rows if (row.part, row.name) == one]) for one in order)


def _summed(rows: Sequence[Row]) -> Summed:
    losses = [row.loss for row in rows if row.loss is not None and row.loss.lost is not None]
    lost = [one.lost for one in losses if one.lost is not None]
    lows, highs = [one.low for one in losses], [one.high for one in losses]
    known = bool(losses) and all(end is not None for end in (*lows, *highs))
    above = known and all(low is not None and low > 0 for low in lows)
    below = known and all(high is not None and high < 0 for high in highs)
    return Summed(
        rows[0].part,
        rows[0].name,
        len(lost),
        fmean(lost) if lost else None,
        stdev(lost) if len(lost) > 1 else None,
        fmean(one for one in lows if one is not None) if known else None,
        fmean(one for one in highs if one is not None) if known else None,
        1 if above else -1 if below else 0,
        _mean([row.own for row in rows]),
        _mean([row.others for row in rows]),
        next((row.failed for row in rows if row.failed), ""),
    )


def _mean(losses: Sequence[Loss | None]) -> float | None:
    known = [one.lost for one in losses if one is not None and one.lost is not None]
    return fmean(known) if known else None
