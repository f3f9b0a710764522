"""The difference to a clean model: does a map find a mark only where the network learned it?

An edge filter finds a bright mark nearly always and has never asked a network. That a map finds what is there says
nothing of the network, unless the same method does not find it in a network that never saw the mark.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from common.attribution.faithfulness.check import Check, Finding
from common.attribution.faithfulness.evidence import interval, mean_of, not_measured, spelled, with_spread
from common.attribution.faithfulness.pointing import WINDOW_PX, hits, summed
from common.attribution.faithfulness.trial import Trial
from common.study.checks import between
from common.sums.mean import Mean, Statistics


@dataclass(frozen=True)
class CleanModel:
    """least: how much more often the mark must be hit in the network that learned it, as a share of all cases."""

    name: ClassVar[str] = "clean"
    question: ClassVar[str] = "Does it find a mark only in the network that learned the mark?"
    source: ClassVar[str] = (
        "Adebayo et al. 2020, Debugging tests for model explanations (NeurIPS), section 4; Yang and Kim 2019, "
        "Benchmarking attribution methods with relative feature importance"
    )

    least: float = 0.5

    def __post_init__(self) -> None:
        between("clean", 0, 1, least=self.least)

    def measured(self, trial: Trial) -> dict[str, Mean]:
        """Hits of the same cases' maps by the clean network, and what the other has beyond them."""
        if trial.masks is None or trial.clean is None:
            return {}
        maps = trial.maps_of(trial.clean)
        clean = hits(maps, trial.masks)
        return {
            **with_spread("clean_window", hits(summed(maps, WINDOW_PX), trial.masks)),
            **with_spread("clean_hit", clean),
            **with_spread("clean_more", hits(trial.maps, trial.masks) - clean),
        }

    def found(self, sums: Statistics) -> Finding:
        """Passed where the difference is at least so much, doubt included."""
        absent = not_measured(sums, "clean_more", "There is no network to compare with that never saw the mark.")
        if absent:
            return absent
        passed = interval(sums, "clean_more")[0] >= self.least
        clean, more = mean_of(sums, "clean_hit"), mean_of(sums, "clean_more")
        shares = f"{spelled(clean)} of cases, the one that learned it in {spelled(clean + more)}"
        missed = (
            "It misses the mark" if clean + more < self.least else "It finds the mark whether or not it was learned"
        )
        first = "It tells the two apart" if passed else missed
        return Finding("passed" if passed else "failed", f"{first}: a network that never saw it hits it in {shares}.")


check: type[Check] = CleanModel
