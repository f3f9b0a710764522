"""How well a probe predicts: who is taken for whom, and areas under the curve, by counts over all hospitals.

A case has a score for each class. Scores are counted in bins, so that the area follows from counts; two scores in one
bin count as tied, which moves the area by at most half the share of such pairs: the answer says that bound.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from common.analyses._auc import auc_of
from common.analyses._probe import Probe, Setting, Sums, complete, words
from common.asking.analysis import Public, Query, Told
from common.asking.answer import Table
from common.asking.exact_sums import Total, counts
from common.asking.records import Records

SCORES = "scores"
SITES = "sites"
ALL = "all hospitals"
Counts = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """taken: (K, K) cases by class and prediction. above, below: (K', bins) scores of a class, and of others.

    K' is 1 for two classes: the score of the second.
    """

    FIGURES: ClassVar[tuple[str, ...]] = (
        "n", "accuracy", "balanced_accuracy", "auc", "auc_error", "auc_low", "auc_high", "auc_within", "confusion"
    )  # fmt: skip
    taken: Counts
    above: Counts
    below: Counts
    unanswered: int = 0

    @classmethod
    def exactly(cls, labels: Counts, logits: Values) -> Scored:
        """Of cases at hand, every score a bin of its own. logits: (N, K), of which a softmax makes chances."""
        size = logits.shape[1]
        taken = np.zeros((size, size), np.int64)
        np.add.at(taken, (labels, logits.argmax(axis=1)), 1)
        chances = [logits[:, 1] - logits[:, 0]] if size == 2 else list(log_softmax(logits, axis=1).T)
        places = [np.unique(one, return_inverse=True)[1] for one in chances]
        own = [labels == place + (size == 2) for place in range(len(chances))]
        above = np.stack([np.bincount(at[of], minlength=len(labels)) for at, of in zip(places, own, strict=True)])
        below = np.stack([np.bincount(at[~of], minlength=len(labels)) for at, of in zip(places, own, strict=True)])
        return cls(taken, above, below)

    def numbers(self) -> dict[str, Any]:
        """Accuracy, balanced accuracy, and the area under the curve, of several classes the mean of each against all
        others (those that there are)."""
        of_class = self.taken.sum(axis=1)
        n, right = int(of_class.sum()), np.diag(self.taken)
        recalls = [float(right[k] / of_class[k]) for k in np.flatnonzero(of_class)]
        areas = [auc_of(up, down) for up, down in zip(self.above, self.below, strict=True) if up.sum() and down.sum()]
        whole = bool(areas) and (len(self.above) == 1 or len(areas) == len(of_class))
        only = areas[0] if len(areas) == 1 else None
        return {
            "n": n,
            "accuracy": float(right.sum() / n) if n else None,
            "balanced_accuracy": float(np.mean(recalls)) if recalls else None,
            "auc": float(np.mean([one.area for one in areas])) if whole else None,
            "auc_error": only.error if only else None,
            "auc_low": only.low if only else None,
            "auc_high": only.high if only else None,
            "auc_within": max(map(_tied, self.above, self.below), default=None) if whole else None,
            "confusion": self.taken.tolist(),
        }


def scores(
    probe: Probe, public: Public, found: Setting, tells: Mapping[str, Told]
) -> Generator[Query, Total, dict[str, Scored]]:
    """One round. By name: of all hospitals, and of each where that is wanted."""
    size = len(found.classes)
    areas = 1 if size == 2 else size
    sites = tuple(public.sites) if probe.by_hospital else (ALL,)
    one, each = (None, None) if probe.whole_hospitals else (1.0, float(areas))
    parts = {
        "taken": counts(len(sites), size, size, most_by_one=one),
        "above": counts(len(sites), areas, probe.bins, most_by_one=each),
        "below": counts(len(sites), areas, probe.bins, most_by_one=each),
        "unanswered": counts(len(sites), most_by_one=one),
    }
    total = yield Query(parts, {**tells, "classes": found.classes, SITES: sites}, SCORES)
    taken, above, below = (total.count(name) for name in ("taken", "above", "below"))
    unanswered = total.count("unanswered")
    own = {
        site: Scored(taken[k], above[k], below[k], int(unanswered[k]))
        for k, site in enumerate(sites)
        if taken[k].any()
    }
    whole = Scored(taken.sum(axis=0), above.sum(axis=0), below.sum(axis=0), int(unanswered.sum()))
    return {ALL: whole, **(own if probe.by_hospital else {})}


def score_sums(query: Query, site: str, labels: Counts, score: Values, unit: Values) -> Sums:
    """The hospital's half. labels: (N,) classes by place. score: (N, K), whose largest is the prediction, -inf of a
    class that is never one and NaN of a case without an answer. unit: (N, K) in the order of scores, from 0 to 1.
    """
    parts, sites = query.parts, words(query, SITES)
    sums = {name: np.zeros(part.shape, np.int64) for name, part in parts.items()}
    own = sites.index(site) if site in sites else 0
    known = ~np.isnan(score).any(axis=1)
    sums["unanswered"][own] = np.count_nonzero(~known)
    labels, score, unit = labels[known], score[known], unit[known]
    if len(labels):
        np.add.at(sums["taken"][own], (labels, score.argmax(axis=1)), 1)
    _, areas, bins = parts["above"].shape
    for place in range(areas):
        of_class = place + (parts["taken"].shape[1] == 2)
        bin_of = np.clip((unit[:, of_class] * bins).astype(np.int64), 0, bins - 1)
        np.add.at(sums["above"][own, place], bin_of[labels == of_class], 1)
        np.add.at(sums["below"][own, place], bin_of[labels != of_class], 1)
    return dict(sums)


def tested(probe: Probe, records: Records, query: Query) -> tuple[Records, Counts]:
    """Cases that are predicted, and their classes."""
    return complete(records, probe.outcome, words(query, "classes"), probe.evaluated)


def score_table(title: str, scored: Mapping[str, Scored]) -> Table:
    """A row for all hospitals, and one for each where they are told."""
    header = ("of", "n", "AUC", "95 % from", "to", "accuracy", "balanced accuracy")
    names = ("n", "auc", "auc_low", "auc_high", "accuracy", "balanced_accuracy")
    rows = tuple((site, *(one.numbers()[name] for name in names)) for site, one in scored.items())
    return Table(title, header, rows)


def _tied(above: Counts, below: Counts) -> float:
    pairs = int(above.sum()) * int(below.sum())
    return float(above @ below) / 2 / pairs if pairs else 0.0
