"""The run's main figure: the federated model beside models that were not federated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from common.data.names import SiteId
from server.reporting.records import Run, SiteScores, SplitScores

LEVEL = 0.0005
"""Scores nearer than this are shown alike, so they count as level."""

TOGETHER = "all patients together"
"""Stands for a hospital where only sums are revealed, and so no hospital's own score is known."""

BySite = Mapping[SiteId, float]


@dataclass(frozen=True)
class Comparison:
    """One score on one split, hospital by hospital.

    split: "test", or "validation" where no test was made; "" where nothing was evaluated. of_round: the model's
    round. federated, local, pooled: the score by hospital; local and pooled are empty where no such model was
    trained, or where the split is another than theirs.
    """

    score: str
    split: str = ""
    of_round: int = 0
    federated: BySite = field(default_factory=dict)
    local: BySite = field(default_factory=dict)
    pooled: BySite = field(default_factory=dict)

    @property
    def models(self) -> dict[str, BySite]:
        """The models that have any score, by their key, in the order they are shown in."""
        every = {"local": self.local, "federated": self.federated, "pooled": self.pooled}
        return {name: scores for name, scores in every.items() if scores}

    @property
    def shared(self) -> tuple[SiteId, ...]:
        """Hospitals for which every model has a score: means are taken over these alone, so that they compare."""
        return tuple(site for site in self.federated if all(site in scores for scores in self.models.values()))

    def mean(self, model: str) -> float | None:
        """The mean over the shared hospitals, each counted once."""
        scores = self.models.get(model, {})
        values = [scores[site] for site in self.shared if site in scores]
        return sum(values) / len(values) if values else None

    @property
    def gains(self) -> dict[SiteId, float]:
        """Federated minus local, where a hospital has both."""
        return {site: score - self.local[site] for site, score in self.federated.items() if site in self.local}

    @property
    def better(self) -> tuple[SiteId, ...]:
        """Hospitals whose own model the federated one beats, visibly."""
        return tuple(site for site, gain in self.gains.items() if gain >= LEVEL)

    @property
    def worse(self) -> tuple[SiteId, ...]:
        """Hospitals better off alone, the worst first."""
        return tuple(
            sorted((site for site, gain in self.gains.items() if gain <= -LEVEL), key=self.gains.__getitem__)
        )


def compare(run: Run) -> Comparison:
    """The best comparison that the run's files allow: test, else validation, else the last round's evaluation."""
    score = run.about.headline or "loss"
    for split in ("test", "validation"):
        federated = known(run.final[split], score) if split in run.final else {}
        if federated:
            return Comparison(
                score, split, run.model_round, federated, *_baselines(run, score, split, TOGETHER in federated)
            )
    for one in reversed(run.rounds):
        if one.evaluation is None:
            continue
        if scores := known(SplitScores(one.evaluation.sites, one.evaluation.pooled), score):
            return Comparison(score, one.evaluation.split, one.evaluation.of_round, scores)
    return Comparison(score)


def known(scores: SplitScores, name: str) -> dict[SiteId, float]:
    """One score by hospital, or of all together where no single one is revealed."""
    found = column(scores.sites, name)
    return found or ({TOGETHER: scores.pooled[name]} if name in scores.pooled and not scores.sites else {})


def column(scores: SiteScores, name: str) -> dict[SiteId, float]:
    """One score of every hospital that has it."""
    return {site: one[name] for site, one in scores.items() if name in one}


def _baselines(run: Run, score: str, split: str, together: bool) -> tuple[BySite, BySite]:
    if split != "test" or score == "loss" or run.baselines is None:
        return {}, {}
    if together:
        both = (run.baselines.local.pooled, run.baselines.pooled.pooled)
        local, pooled = ({TOGETHER: scores[score]} if score in scores else {} for scores in both)
        return local, pooled
    return column(run.baselines.local.sites, score), column(run.baselines.pooled.sites, score)
