"""Fine-tuning beside the probe, of the same few labels: a federated classifier that begins with encoder and probe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from torch import nn

from client.hospital import Hospital
from common.data.cases import concatenate
from common.learning.start import put
from common.study.study import Study
from experiments.benchmarks import _pretraining_ways as ways
from experiments.benchmarks._label_efficiency import Labelled, LabelsOf, auc, features_of

PROBED, TUNED = "of the same labels: probed", "of the same labels: fine-tuned"


def tuned(encoder: nn.Module, studies: Sequence[Study], labels_of: LabelsOf) -> Mapping[str, float]:
    """Mean AUC of a probe of features as they are, and of all of the network trained on from it.

    studies: of the classifier, of a draw of the labels each. Its last layer begins as the probe (Kumar et al. 2022,
    LP-FT): one that is drawn ruins what lies before it first.
    """
    found = [_of_draw(encoder, study, ways.hospitals_of(study), labels_of) for study in studies]
    return {name: fmean(one[name] for one in found) for name in (PROBED, TUNED)}


def _of_draw(
    encoder: nn.Module, study: Study, hospitals: Sequence[Hospital], labels_of: LabelsOf
) -> Mapping[str, float]:
    from sklearn.linear_model import LogisticRegression

    test = concatenate([one.splits["test"] for one in hospitals])
    train = features_of(encoder, concatenate([one.train for one in hospitals]), labels_of)
    probe = LogisticRegression(max_iter=2000, class_weight="balanced").fit(train.features, train.labels)
    shown: Labelled = features_of(encoder, test, labels_of)
    network = ways.drawn(study, hospitals)
    put(network, _with_last_layer(encoder, network, probe.coef_[0], float(probe.intercept_[0])))
    scores = ways.surer_of_second(ways.federated(study, hospitals, network), test)
    return {PROBED: auc(probe.decision_function(shown.features), shown.labels), TUNED: auc(scores, shown.labels)}


def _with_last_layer(
    encoder: nn.Module, network: nn.Module, weights: NDArray[np.float64], bias: float
) -> dict[str, NDArray[np.float32]]:
    """What the probe says as logits of two classes."""
    own = {name: one.numpy() for name, one in encoder.get_submodule("encoder").state_dict().items()}
    last = {name: one.ndim for name, one in network.named_parameters() if name not in own}
    half = {2: np.stack([-weights, weights]) / 2, 1: np.array([-bias, bias]) / 2}
    return {**own, **{name: half[axes].astype(np.float32) for name, axes in last.items()}}
