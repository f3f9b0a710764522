"""What a study says of a hospital to its privacy mechanism."""

from __future__ import annotations

from typing import cast

from common.catalogue import AGGREGATIONS, MECHANISMS, STRATEGIES
from common.cohorts import noise_shares
from common.privacy.mechanism import Facts, Mechanism
from common.study import Study


def mechanism_of(study: Study) -> Mechanism | None:
    """The study's mechanism with its options; None where it names none."""
    return None if study.privacy is None else cast(Mechanism, MECHANISMS.build(study.privacy))


def facts_of(study: Study, patients: int, cases: int, hospitals: int) -> Facts:
    """patients, cases: of training, in the hospital in question. hospitals: in the federation."""
    return Facts(
        patients,
        cases,
        hospitals,
        study.rounds,
        STRATEGIES.load(study.strategy.name).sends,
        study.training,
        noise_shares(study, hospitals),
        AGGREGATIONS.load(study.aggregation.name).reveals,
    )
