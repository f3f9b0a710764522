"""k nearest neighbours of a hospital's own by cosine of features, weighted (Wu et al. 2018): hits summed."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.analyses import _probe as probing
from common.analyses._probe import Probe, Values
from common.analyses._probe_answer import probe_answer
from common.analyses._probe_scores import SCORES, score_sums, scores, tested
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer
from common.asking.exact_sums import Integers, Total
from common.asking.features import features_of
from common.asking.records import Records
from common.study.checks import positive

CASES_AT_ONCE = 256
NEAR = 2.0**40
"""Cosines are rounded to 1 / NEAR, whatever arithmetic did; of equal ones the person's name decides."""


@dataclass(frozen=True)
class ProbeKnn(Probe):
    """neighbours: so many cases of the same hospital whose labels are used, all of them where it has fewer (the paper
    has 200, section 3.4). temperature: each votes for its class with exp(cosine / temperature).
    """

    discloses: ClassVar[str] = (
        "How many cases of each class are taken for which by their nearest neighbours in the same hospital, and the "
        "neighbours' votes in bins; no feature and no neighbour leaves it."
    )
    neighbours: int = 200
    temperature: float = 0.07

    @property
    def whole_hospitals(self) -> bool:
        """Neighbours are of the same hospital."""
        return True

    def __post_init__(self) -> None:
        super().__post_init__()
        positive("probe_knn", neighbours=self.neighbours, temperature=self.temperature)

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """A round for how many there are, and one for the votes."""
        found = yield from probing.setting(self, public, fewest=1)
        scored = yield from scores(self, public, found, {"present": np.array(found.present, np.float64)})
        own = {"neighbours": self.neighbours, "temperature": self.temperature}
        return probe_answer("Nearest neighbours within hospitals", self, found, scored, own)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Sizes, or who is taken for whom."""
        if query.step != SCORES:
            return probing.setting_sums(self, records, query)
        classes = probing.words(query, "classes")
        drawn, labels = self.drawn(records, classes)
        order = np.argsort(drawn.persons, kind="stable")
        kept, truth = tested(self, records, query)
        votes = self._votes(
            _unit(features_of(kept)), _unit(features_of(drawn.take(order))), labels[order], len(classes)
        )
        return score_sums(query, records.site, truth, votes, np.nan_to_num(votes))

    def _votes(self, asked: Values, known: Values, labels: NDArray[np.int64], size: int) -> Values:
        """(N, K) shares of all votes; NaN where the hospital has no label."""
        found = np.full((len(asked), size), np.nan)
        if not len(known):
            return found
        hot = np.eye(size)[labels]
        for begin in range(0, len(asked), CASES_AT_ONCE):
            rows = slice(begin, begin + CASES_AT_ONCE)
            cosines = np.rint(asked[rows] @ known.T * NEAR) / NEAR
            nearest = np.argsort(-cosines, axis=1, kind="stable")[:, : self.neighbours]
            own = np.take_along_axis(cosines, nearest, axis=1)
            votes = np.exp((own - own.max(axis=1, keepdims=True)) / self.temperature)
            found[rows] = np.einsum("nk,nkc->nc", votes / votes.sum(axis=1, keepdims=True), hot[nearest])
        return found


def _unit(features: Values) -> Values:
    """Of length 1; what is 0 stays 0."""
    largest = np.abs(features).max(axis=1, keepdims=True, initial=0.0)
    scaled = features / np.where(largest > 0, largest, 1.0)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.asarray(scaled / np.where(length > 0, length, 1.0))


analysis: type[Analysis] = ProbeKnn
