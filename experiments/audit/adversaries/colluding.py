"""Hospitals that collude with the coordinator, played: they say what they sent, and what is left of a sum is read.

The auditor plays the colluders: only their hospitals are opened again before the attacks. The others' are opened
afterwards, to measure how exactly their update was read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from common.data.cases import SiteId
from common.errors import StudyError
from common.sums.update import Update
from experiments.access import Access
from experiments.adversary import Adversary, View
from experiments.audit.claims import round_of_the_smallest
from experiments.audit.records import Opening
from experiments.audit.run import Run
from experiments.evidence.observing import without
from experiments.evidence.recomputed_updates import Orders, computed_update, error_bound, own_updates
from experiments.observation import Observation, Summed
from server.reporting.wording import count

SYSTEM = "operating system"
NO_SUM = "no sum of two or more hospitals was made in this run"
SECRET = (
    "what the colluders sent has noise of the operating system, which they know and the auditor cannot draw again"
)


@dataclass(frozen=True)
class Colluding:
    """It has no options."""

    who: ClassVar[str] = "the coordinator, told by other hospitals"
    condition: ClassVar[str] = "other hospitals collude with the coordinator, against which this run promised nothing"
    heading: ClassVar[str] = "If other hospitals collude?"
    share: ClassVar[float] = 0.1
    only: ClassVar[tuple[str, ...]] = ("analytic", "exact_batch", "bottleneck", "matching", "learned_prior")

    def views(self, run: Run) -> Iterator[View]:
        """All hospitals against the one of the fewest cases, in its first round; then as few as the protocol bears.

        Nothing where the coordinator reads every update alone; where nothing can be played, one that says why.
        """
        if run.claim.reveals == "each":
            return
        observed = replace(run.observed, access=Access(public=run.public))
        chosen = round_of_the_smallest(observed)
        reason = NO_SUM if chosen is None else SECRET if run.claim.noise_source == SYSTEM else ""
        if chosen is None or reason:
            yield _impossible(observed, reason)
            return
        one, victim = chosen
        others = sorted(
            (site for site in one.sites if site != victim), key=lambda site: (-observed.cases[site], site)
        )
        try:
            own = own_updates(observed.study, run.orders, others, [one.round])
            groups = dict.fromkeys((len(others), min(run.claim.opening_hospitals, len(others))))
            played = [_played(observed, run.orders, one, own, others[:many]) for many in groups if many]
        except StudyError as error:
            played = [_impossible(observed, str(error).rstrip("."))]
        yield from played


def _played(
    observed: Observation,
    orders: Orders,
    one: Summed,
    own: Mapping[tuple[int, SiteId], Update],
    colluders: Sequence[SiteId],
) -> View:
    told = {(number, site): update for (number, site), update in own.items() if site in colluders}
    seen = without(replace(observed, singles=(), sums=(one,)), told)
    read = seen.sums[0].update if seen.sums else seen.singles[0].update
    left = tuple(site for site in one.sites if site not in colluders)
    largest = max(float(np.abs(vector).max()) for vector in one.update.vectors)
    stated = error_bound(observed.study, orders[one.round, left[0]], len(one.sites), len(left), largest)
    true = [computed_update(observed.study, orders, site, one.round) for site in left]
    opening = Opening(one.round, tuple(sorted(colluders)), left, *_measured(read, true, stated))
    return View(
        seen,
        left[0] if len(left) == 1 else "",
        _knowledge(len(colluders)),
        figures=_figures(opening),
        settings={"round": one.round, "colluders": [*opening.colluders], "left": [*left]},
        condition=_condition(len(colluders), len(left)),
        opening=opening,
    )


def _knowledge(colluders: int) -> str:
    return (
        f"the models sent out, a sum of updates, what {count(colluders, 'colluding hospital')} put into it, every "
        "setting of the study"
    )


def _condition(colluders: int, left: int) -> str:
    if left == 1:
        return f"all {colluders} other hospitals collude with the coordinator, this hospital's update is open, and"
    who = f"{colluders} of {colluders + left} hospitals"
    return f"{who} collude with the coordinator, the sum of the other {left} is open, and"


def _figures(opening: Opening) -> dict[str, float]:
    return {
        "colluding_hospitals": float(len(opening.colluders)),
        "largest_error_of_opening": opening.largest_error,
        "stated_error_of_opening": opening.stated_error,
        "largest_value_of_opening": opening.largest_value,
    }


def _measured(read: Update, true: Sequence[Update], stated: float) -> tuple[float, float, float]:
    """The largest error of any number, the stated one, and the largest number."""
    sums = [
        np.sum([update.vectors[k].astype(np.float64) for update in true], axis=0) for k in range(len(read.vectors))
    ]
    error = max(float(np.abs(a - b).max()) for a, b in zip(read.vectors, sums, strict=True))
    return error, stated, max(float(np.abs(vector).max()) for vector in sums)


def _impossible(observed: Observation, reason: str) -> View:
    nothing = replace(observed, observer="colluding", singles=(), sums=())
    settings = {"round": 0, "colluders": [], "left": []}
    opening = Opening(0, (), (), 0.0, 0.0, 0.0, reason)
    return View(nothing, knowledge=_knowledge(0), reason=reason, settings=settings, opening=opening)


adversary: type[Adversary] = Colluding
