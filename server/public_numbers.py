"""What the server takes for hospitals' sizes: what they told, or what a private study expects in its place."""

from __future__ import annotations

from collections.abc import Mapping

from common.data.names import SiteId
from common.study.expected_patients import expected_patients
from common.study.study import Study
from server.members import Member


def counts_are_told(study: Study) -> bool:
    """Whether hospitals say how many cases and patients they hold."""
    return study.privacy is None or study.federation.expected_patients is None


def training_sizes(study: Study, members: Mapping[SiteId, Member]) -> dict[SiteId, int]:
    """Largest weights by hospital: training cases, or the patients that are expected where no counts are told."""
    if counts_are_told(study):
        return {site: member.cases["train"] for site, member in members.items()}
    return {site: expected_patients(study.federation, site) or 0 for site in members}
