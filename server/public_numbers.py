"""What the server takes for hospitals' sizes: what they told, or what a private study expects in its place."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from common.data.names import SiteId
from common.errors import RoundError
from common.learning.client_work import Training
from common.study.expected_patients import expected_patients
from common.study.study import Study
from common.sums.cohorts import reveals
from common.sums.mean import MOST_WEIGHT
from server.members import Member


def counts_are_told(study: Study) -> bool:
    """Whether hospitals say how many cases and patients they hold."""
    return study.privacy is None or study.federation.expected_patients is None


def training_sizes(study: Study, members: Mapping[SiteId, Member]) -> dict[SiteId, int]:
    """Largest weights by hospital: training cases, or the patients that are expected where no counts are told."""
    if counts_are_told(study):
        return {site: member.cases["train"] for site, member in members.items()}
    return {site: expected_patients(study.federation, site) or 0 for site in members}


def demand_countable(
    study: Study, members: Mapping[SiteId, Member], hospitals: int, scoring: Collection[SiteId]
) -> None:
    """Raise RoundError, before anybody trains, where a round of so many could be of more cases than a mean counts.

    Cases are counted as often as a round shows them, since each brings a loss; in whole numbers of 2^-40, so that
    sums are exact in any order. Where counts are not told weights are those of the promise, and smaller. scoring:
    whom the last evaluation asks.
    """
    if not counts_are_told(study):
        return
    weighs = reveals(study) == "sum"
    shown = sorted((_counted(study.training, one.cases["train"], weighs) for one in members.values()), reverse=True)
    asked = [one for site, one in members.items() if site in scoring]
    scored = max(sum(one.cases[split] for one in asked) for split in ("validation", "test"))
    for many, what in ((sum(shown[:hospitals]), "shown in a round of training"), (scored, "scored")):
        if many > MOST_WEIGHT:
            raise RoundError(
                f"up to {many:,} cases would be {what}; a sum over hospitals counts "
                f"{MOST_WEIGHT:,} at most, and would be lost. Fewer hospitals a round (federation.client_fraction, "
                "federation.evaluate_fraction), or fewer training.steps or training.epochs, do."
            )


def _counted(training: Training, cases: int, weighs: bool) -> int:
    """Of a hospital: the losses of its steps, or where its update's weight is added up as exactly, that if more."""
    batch = cases if training.batch_size == "full" else min(training.batch_size, cases)
    losses = training.epochs * cases if training.steps is None else training.steps * batch
    return max(cases, losses) if weighs else losses
