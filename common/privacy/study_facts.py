"""What a study says of a hospital to its privacy mechanism."""

from __future__ import annotations

from typing import cast

from common.data.names import SiteId
from common.privacy.mechanism import Facts, Mechanism
from common.study.catalogue import AGGREGATIONS, MECHANISMS, STRATEGIES
from common.study.expected_patients import expected_patients
from common.study.study import Study
from common.sums.cohorts import noise_shares_in_sum


def mechanism_of(study: Study) -> Mechanism | None:
    """The study's mechanism with its options; None where it names none."""
    return None if study.privacy is None else cast(Mechanism, MECHANISMS.build(study.privacy))


def facts_of(study: Study, patients: int, cases: int, hospitals: int, site: SiteId | None = None) -> Facts:
    """patients, cases: of training, in the hospital in question. hospitals: in the federation.

    site: its name, for what the study expects of it to take the place of both counts; None: they are taken as given.
    """
    expected = None if site is None else expected_patients(study.federation, site)
    if expected is not None:
        patients = cases = expected
    return Facts(
        patients,
        cases,
        hospitals,
        study.rounds,
        STRATEGIES.load(study.strategy.name).sends,
        study.training,
        noise_shares_in_sum(study, hospitals),
        AGGREGATIONS.load(study.aggregation.name).reveals,
    )
