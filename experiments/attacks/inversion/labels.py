"""Labels of the cases behind a gradient, read from the gradient of the last layer."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from common.data.cases import Shape
from common.learning.parameters import trainable
from experiments.attacks.inversion.differentiable_client import Parts
from experiments.attacks.inversion.layers import layers_in_order

PROBES = 64


def class_evidence(network: nn.Module, shape: Shape, gradient: Parts) -> NDArray[np.float64] | None:
    """(classes,) the gradient of the loss by each logit, averaged over the cases: probability minus truth.

    It is the gradient of the last layer's bias; where it has none, the sum of the gradient of its weights, which
    has the same sign where what the layer sees is not negative. None where the last layer is not one of classes.
    """
    parts = dict(zip((name for name, _ in trainable(network)), gradient, strict=True))
    last = layers_in_order(network, shape)[-1]
    if f"{last.name}.bias" in parts:
        evidence = parts[f"{last.name}.bias"].cpu().double().numpy()
    elif f"{last.name}.weight" in parts:
        evidence = parts[f"{last.name}.weight"].cpu().double().flatten(1).sum(1).numpy()
    else:
        return None
    return evidence if evidence.shape == (shape.classes,) else None


def label_of_one(evidence: NDArray[np.float64]) -> int:
    """Of a single case: the one class whose probability has to rise (Zhao et al. 2020, iDLG, equation 4)."""
    return int(evidence.argmin())


def label_counts(evidence: NDArray[np.float64], probabilities: NDArray[np.float64], cases: int) -> NDArray[np.int64]:
    """(classes,) how many of the cases are of each class; they add up to `cases`.

    evidence: as `class_evidence`, mean over cases of probability minus truth. probabilities: (classes,) mean of what
    the network answers, which an adversary estimates by inputs of its own. After Wainakh et al. 2022, Label Leakage
    from Gradients, for the bias: counts = cases * (probabilities - evidence), rounded to whole cases.
    """
    if cases == 1:
        return np.bincount([label_of_one(evidence)], minlength=len(evidence))
    expected = np.maximum(cases * (probabilities - evidence), 0)
    total = expected.sum()
    expected = expected * cases / total if total > 0 else np.full(len(evidence), cases / len(evidence))
    counts = np.floor(expected).astype(np.int64)
    missing = cases - int(counts.sum())
    counts[np.argsort(counts - expected, kind="stable")[:missing]] += 1
    return np.asarray(counts)


def unweighted(
    evidence: NDArray[np.float64],
    answers: NDArray[np.float64],
    class_weights: tuple[float, ...] | None,
    label_smoothing: float = 0.0,
) -> NDArray[np.float64]:
    """The evidence as it would be if every class weighed 1 and labels were not smoothed.

    With shares t of the classes, weights w, S = sum of w t, answers p and smoothing s over K classes the evidence is
    e = S (p - s/K) - (1 - s) w t; that the shares add up to 1 gives S, and then t. A class of weight 0 is not seen.
    """
    if class_weights is None:
        return evidence
    weights = np.array(class_weights)
    seen = weights > 0
    inverse = np.where(seen, 1 / np.where(seen, weights, 1), 0.0)
    spread, kept = answers - label_smoothing / len(answers), 1 - label_smoothing
    total = (kept + (evidence * inverse).sum()) / (spread * inverse).sum()
    return np.asarray(answers - (total * spread - evidence) * inverse / kept)


def mean_answer(network: nn.Module, shape: Shape, generator: torch.Generator) -> NDArray[np.float64]:
    """(classes,) mean probability of each class that a classifier answers to random inputs."""
    first = next(network.parameters())
    with torch.no_grad():
        logits = network(torch.randn(PROBES, *shape.inputs, generator=generator).to(first))
    return np.asarray(logits.cpu().double().softmax(1).mean(0).numpy())


def recovered_labels(
    network: nn.Module,
    shape: Shape,
    gradient: Parts,
    cases: int,
    generator: torch.Generator,
    class_weights: tuple[float, ...] | None = None,
) -> NDArray[np.int64] | None:
    """(cases,) sorted labels of a classifier's batch; None where the last layer does not show them."""
    evidence = class_evidence(network, shape, gradient)
    if evidence is None:
        return None
    answers = mean_answer(network, shape, generator)
    counts = label_counts(unweighted(evidence, answers, class_weights), answers, cases)
    return np.repeat(np.arange(shape.classes), counts)
