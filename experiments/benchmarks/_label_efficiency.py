"""How far labels go on frozen features: AUC of a logistic regression on shares of the labels, drawn by class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from client.hospital import Hospital
from common.data.cases import Cases, concatenate
from common.seeding import generator

DRAWS = {0.01: 20, 0.1: 5, 1.0: 1}
"""How often a share of the labels is drawn: the fewer labels, the more depends on which."""
SHARES = tuple(DRAWS)
STANDARDISED = "standardised: "
CASES_A_BATCH = 256
Labels = NDArray[np.int64]
LabelsOf = Callable[[Cases], Labels]


@dataclass(frozen=True)
class Labelled:
    """features: (N, F) float64; labels: (N,) of 0 and 1."""

    features: NDArray[np.float64]
    labels: Labels


def name_of(share: float) -> str:
    """Of a column."""
    return f"AUC at {share:.0%}"


def features_of(network: nn.Module, cases: Cases, labels_of: LabelsOf) -> Labelled:
    """Of an encoder that answers features."""
    network.eval()
    parts = []
    with torch.no_grad():
        for start in range(0, len(cases), CASES_A_BATCH):
            batch = cases.batch(slice(start, start + CASES_A_BATCH))
            parts.append(network(batch.inputs).double().numpy())
    return Labelled(np.concatenate(parts), labels_of(cases))


def efficiency(
    network: nn.Module, hospitals: Sequence[Hospital], labels_of: LabelsOf, seed: int
) -> Mapping[str, float]:
    """Mean AUC over draws, on the test cases of all hospitals, by share of all hospitals' training labels.

    Of features as they are, and once more of features less their mean, divided by their spread (`STANDARDISED`):
    which of them flatters depends on the encoder, the untrained one above all.
    """
    train = features_of(network, concatenate([one.train for one in hospitals]), labels_of)
    test = features_of(network, concatenate([one.splits["test"] for one in hospitals]), labels_of)
    mean, spread = train.features.mean(0), train.features.std(0)
    scaled = [Labelled((one.features - mean) / np.where(spread > 0, spread, 1), one.labels) for one in (train, test)]
    return {
        before + name_of(share): fmean(
            _auc(of_train, of_test, drawn_by_class(of_train.labels, share, seed, draw)) for draw in range(draws)
        )
        for before, (of_train, of_test) in {"": (train, test), STANDARDISED: scaled}.items()
        for share, draws in DRAWS.items()
    }


def drawn_by_class(labels: Labels, share: float, seed: int, draw: int) -> Labels:
    """Indices of a share of all cases, equally many of every class as far as there are; all where share is 1."""
    if share == 1:
        return np.arange(len(labels))
    rng = generator(seed, "labels", draw)
    classes = np.unique(labels)
    each = max(2, round(share * len(labels) / len(classes)))
    return np.sort(np.concatenate([rng.permutation(np.flatnonzero(labels == label))[:each] for label in classes]))


def auc(scores: NDArray[np.float64], labels: Labels) -> float:
    """Area under the ROC curve."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, scores))


def _auc(train: Labelled, test: Labelled, chosen: Labels) -> float:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=2000, class_weight="balanced")
    model.fit(train.features[chosen], train.labels[chosen])
    return auc(model.decision_function(test.features), test.labels)
