"""The noise of a question in a study: the same on both sides, by what all approved, and what a total tells of it."""

from __future__ import annotations

from collections.abc import Callable

from common.asking.analysis import Query
from common.asking.exact_sums import Total
from common.asking.noise import SumNoise
from common.asking.question import Question
from common.study.catalogue import AGGREGATIONS
from common.study.study import Study
from common.sums.abilities import colluding_of
from common.sums.cohorts import noise_shares, reveals

Telling = Callable[[Query, Total], Total]
"""A total with the law of the noise in it."""


def noise_of(question: Question, study: Study, hospitals: int) -> SumNoise | None:
    """None where it is answered as it is. Raises StudyError for noise that cannot be.

    A share is given again to whoever asks again. Where sums of any hospitals are opened, with one more and without,
    their difference would hold that one's share alone: there each adds all of the noise.
    """
    noise = question.noise()
    if noise is None or (reveals(study) == "sum" and study.federation.groups == "off"):
        return noise
    colluding = colluding_of(AGGREGATIONS.build(study.aggregation))
    return noise.of_shares(reveals(study), noise_shares(study, hospitals), colluding)


def telling(noise: SumNoise | None, hospitals: int) -> Telling:
    """What an analysis is told. hospitals: of the study.

    Where fewer of them contribute there is less noise than is told: so both sides know the same law, whoever is lost.
    """
    return lambda query, total: total if noise is None else noise.told(query, total, hospitals)
