"""Rows of `bench explain`: of how many maps a sum must be, or how noisy, so that it does not say whose they are.

Whoever asks has the model and 200 images, among which are those whose maps were summed, and makes all their maps. One
map as it is, without the model, is compared with the images themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor, nn

from common.asking.maps import shares
from common.attribution.aim import Logits
from common.attribution.attribution import Attribution
from common.seeding import generator
from common.study.catalogue import ATTRIBUTIONS
from common.study.options import Entry
from experiments.benchmark import Target
from experiments.benchmarks._explain_hospitals import BATCH, FEDERATIONS, METHOD, SIDE, chests, trained
from experiments.benchmarks._kept_rows import KeptRows, Row
from experiments.evidence.answered_maps import Summed
from experiments.evidence.whose_maps import whose

IMAGES, POOL, TRIALS = 900, 200, 40
MANY = (1, 2, 5, 10, 20, 50, 100)
SIDES = (7, 4, 2)
EPSILONS = (1.0, 4.0)
MOST_AREA = 0.55
PARTS_WITH_NOISE, QUERIES = 3, 2
"""Among which an epsilon of `attribution_maps` is divided."""
METHODS = (
    "saliency",
    "gradient_x_input",
    "integrated_gradients",
    "grad_cam",
    "occlusion",
    "guided_backpropagation",
    "deconvnet",
)
SETTING = repr((IMAGES, POOL, TRIALS, MANY, SIDES, EPSILONS, METHOD))
Values = NDArray[np.float64]


def leak_rows(kept: KeptRows) -> list[Row]:
    """One a method."""
    return [
        kept.row({"what": "leak", "method": name, "seed": 0}, SETTING, partial(leak_of, name, 0)) for name in METHODS
    ]


def leak_of(name: str, seed: int) -> dict[str, Any]:
    """Figures by side, how many maps are summed, and noise; chance is `n / POOL` of an image named, .5 of an area."""
    network, images, labels = _ill(seed)
    method: Any = METHOD if name == "occlusion" else ATTRIBUTIONS.build(Entry(name))
    maps = _maps(method, network, images, labels)
    found: dict[str, Any] = {"alone": picked(maps[:POOL], images[:POOL, 0].double().numpy())}
    for side in SIDES:
        own = shares(maps, side)
        for many in MANY:
            found |= {f"{side} {many} {key}": value for key, value in told(own, many, 0.0, seed).items()}
        for epsilon in EPSILONS:
            key = f"{side} 10 at epsilon {epsilon:g}"
            found |= {f"{key} {name}": value for name, value in told(own, 10, epsilon, seed).items()}
    return found


def told(own: Values, many: int, epsilon: float, seed: int) -> dict[str, float]:
    """named: whether the likeliest is in the sum. members: share of the `many` likeliest that are. area: of ranks.

    low, high: of the area, 95 % of trials' mean.
    """
    rng = generator(seed, many, f"{epsilon:g}", "whose maps")
    scale = PARTS_WITH_NOISE * QUERIES / epsilon if epsilon else 0.0
    results = []
    for _ in range(TRIALS):
        order = rng.permutation(len(own))
        candidates, others = own[order[:POOL]], own[order[POOL:]]
        noise = [rng.laplace(0, scale, own.shape[1]) if scale else 0.0 for _ in range(2)]
        inside = candidates[:many]
        summed = Summed(many, inside.sum(0) + noise[0], (inside**2).sum(0) + noise[1])
        scores = whose(
            candidates, others[:0] if not epsilon and many < 2 * own.shape[1] else others, summed, not epsilon
        )
        first = np.argsort(-scores, kind="stable")[:many]
        ranks = rankdata(scores)
        area = (ranks[:many].sum() - many * (many + 1) / 2) / (many * (POOL - many))
        results.append((float(first[0] < many), float((first < many).mean()), area))
    named, members, area = np.mean(results, axis=0).tolist()
    half = 1.96 * float(np.std([one[2] for one in results], ddof=1)) / TRIALS**0.5
    return {"named": named, "members": members, "area": area, "low": area - half, "high": area + half}


def picked(maps: Values, images: Values) -> float:
    """Share of maps whose own image is the likeliest of all, by correlation with its difference from the mean."""
    one, other = _standard(maps), _standard(images)
    return float(((one @ other.T).argmax(1) == np.arange(len(one))).mean())


def _standard(values: Values) -> Values:
    flat = values.reshape(len(values), -1)
    centred = flat - flat.mean(0)
    centred = centred - centred.mean(1, keepdims=True)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12))


@lru_cache(maxsize=1)
def _ill(seed: int) -> tuple[nn.Module, Tensor, Tensor]:
    """The model of a federation without a mark, and patients that are ill."""
    clean = next(one for one in FEDERATIONS if not one.marked)
    network, _, _ = trained(clean, seed)
    data = chests()
    chosen = np.flatnonzero((np.asarray(data.targets) == 1) & (data.given_split == "train"))
    chosen = generator(seed, "patients of the leak").permutation(chosen)[:IMAGES]
    images = torch.from_numpy(data.inputs[np.sort(chosen)])
    return network, images, torch.ones(len(images), dtype=torch.int64)


def _maps(method: Attribution, network: nn.Module, images: Tensor, labels: Tensor) -> Values:
    return np.concatenate([
        method.explain(network, own, Logits(label), generator(0, "maps")).double().abs().sum(1).numpy()
        for own, label in zip(torch.split(images, BATCH), torch.split(labels, BATCH), strict=True)
    ])  # fmt: skip


def leak_targets(rows: Sequence[Row]) -> list[Target]:
    """Sums of ten maps, exact and with noise: how far the surest method ranks members above others."""
    return [
        Target(name, worst, 0.5, MOST_AREA, "chance + 5 points", None if worst is None else worst <= MOST_AREA)
        for name, key in _ASKED
        for worst in [max((float(row[f"{SIDE} {key} area"]) for row in rows), default=None)]
    ]


def leak_notes(rows: Sequence[Row]) -> list[str]:
    """A sentence a method."""
    return [_sentence(row) for row in rows]


def _sentence(row: Row) -> str:
    named = ", ".join(f"{100 * row[f'{SIDE} {many} members']:.0f} % of {many}" for many in MANY)
    noisy = ", ".join(f"{row[f'{SIDE} 10 at epsilon {one:g} area']:.2f} at epsilon {one:g}" for one in EPSILONS)
    return (
        f"{row['method']}: one map without the model tells its image among {POOL} in {100 * row['alone']:.0f} %; "
        f"with the model, of exact sums over {SIDE} x {SIDE} blocks are named {named}; area of ten {noisy}."
    )


_ASKED = (
    ("whose maps, of 10 exactly", "10"),
    *((f"whose maps, of 10 at epsilon {one:g}", f"10 at epsilon {one:g}") for one in EPSILONS),
)
