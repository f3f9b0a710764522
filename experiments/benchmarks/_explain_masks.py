"""Rows of `bench explain`: do maps point at true masks? Slices with a glioma or without, by institution.

A small CNN learns at real institutions whether a slice has an abnormality, and is never shown an outline. Of slices
that it rightly calls abnormal, maps are held against the outlines: beside what a place by chance would hit, a network
of the same kind that learned nothing, and edges, which never ask a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from client.sources.lgg import Lgg
from client.training import Trainer
from common.attribution.attribution import Attribution
from common.attribution.faithfulness.clean_model import CleanModel
from common.attribution.faithfulness.judging import measured
from common.attribution.faithfulness.mass import Mass
from common.attribution.faithfulness.pointing import WINDOW_PX, Pointing
from common.attribution.faithfulness.trial import Trial
from common.data.cases import Cases
from common.learning.client_work import Training
from common.learning.parameters import new_network, read, write
from common.seeding import generator
from common.study.catalogue import ATTRIBUTIONS
from common.study.options import Entry
from experiments.benchmarks._data import find
from experiments.benchmarks._flat_cnn import ByFlatCNN
from experiments.benchmarks._kept_rows import KeptRows, Row, mean_of
from experiments.benchmarks._planted_shortcut import Odds, answers, probabilities

SIZE, ROUNDS, TESTED, MOST_CASES = 32, 8, 0.25, 60
"""Pixels along a side; rounds of one epoch each; the share of patients that are tested; how many slices' maps."""
SEEDS = (0, 1, 2)
CLASSES = ("nothing", "abnormality")
TRAINING = Training(batch_size=32, optimiser="adamw", learning_rate=2e-3)
CHECKS = (CleanModel(), Pointing(), Mass())
METHODS = (
    "occlusion",
    "integrated_gradients",
    "gradient_x_input",
    "saliency",
    "guided_backpropagation",
    "deconvnet",
    "grad_cam",
    "edges",
)
FIGURES = {
    "hit": "pointing_hit",
    "window hit": "pointing_window",
    "near": "pointing_near",
    "by chance": "pointing_area",
    "mass": "mass_inside",
    "untrained hit": "clean_hit",
    "untrained window hit": "clean_window",
}
SETTING = repr((SIZE, ROUNDS, TESTED, MOST_CASES, TRAINING, WINDOW_PX))


def mask_rows(kept: KeptRows) -> list[Row]:
    """One a method and seed."""
    return [
        kept.row({"what": "masks", "method": name, "seed": seed}, SETTING, partial(masks_of, name, seed))
        for seed in SEEDS
        for name in METHODS
    ]


def masks_of(name: str, seed: int) -> dict[str, Any]:
    """Figures of one method, and how good the network is."""
    network, untrained, inputs, masks, accuracy = _learned(seed)
    options = {"fill": "mean"} if name == "occlusion" else {}
    method = cast(Attribution, ATTRIBUTIONS.build(Entry(name, options)))
    trial = Trial(method, network, inputs, Odds(), masks=masks, clean=untrained, seed=seed)
    sums = measured(trial, CHECKS)
    figures = {column: sums[key].value for column, key in FIGURES.items()}
    return {**figures, "accuracy": accuracy, "cases": len(inputs)}


@lru_cache(maxsize=1)
def _learned(seed: int) -> tuple[nn.Module, nn.Module, Tensor, Tensor, float]:
    """A network, one that learned nothing, slices rightly and surely called abnormal, their masks; accuracy."""
    source, parts, tested = Lgg(str(find("lgg-mri-5site")), size=SIZE), [], []
    for site in source.sites():
        cases = source.cases(site, seed)
        persons = generator(seed, site, "persons").permutation(np.unique(cases.patients))
        held = np.isin(cases.patients, persons[: round(TESTED * len(persons))])
        parts.append(_classified(cases.take(np.flatnonzero(~held))))
        tested.append(cases.take(np.flatnonzero(held)))
    network = _trained(parts, seed)
    inputs = torch.from_numpy(np.concatenate([one.inputs for one in tested]))
    outlines = np.concatenate([np.asarray(one.targets) > 0 for one in tested])
    truth, chance = outlines.any((1, 2)), probabilities(network, inputs)
    accuracy = float(np.mean([(answers(network, inputs) == label)[truth == label].mean() for label in (False, True)]))
    order = np.argsort(-np.where(truth, chance, -1), kind="stable")
    right = order[: min(MOST_CASES, int((truth & (chance > 0.5)).sum()))].copy()
    untrained = new_network(ByFlatCNN(), parts[0].shape, seed + 1, TRAINING).eval()
    return network, untrained, inputs[torch.from_numpy(right)], torch.from_numpy(outlines[right]), accuracy


def _classified(cases: Cases) -> Cases:
    labels = np.asarray((np.asarray(cases.targets) > 0).any((1, 2)), np.int64)
    return Cases.of(cases.inputs, labels, cases.patients, CLASSES)


def _trained(parts: Sequence[Cases], seed: int) -> nn.Module:
    """FedAvg, each institution by its slices."""
    task = ByFlatCNN()
    network, sizes = new_network(task, parts[0].shape, seed, TRAINING), [len(part) for part in parts]
    for number in range(ROUNDS):
        begun, changes = read(network), []
        for site, part in enumerate(parts):
            write(network, begun)
            Trainer(task, network, part, TRAINING, generator(seed, number, site, "masks")).train()
            changes.append(read(network).astype(np.float64))
        write(network, np.average(changes, axis=0, weights=sizes).astype(np.float32))
    return network.eval()


def mask_notes(rows: Sequence[Row]) -> list[str]:
    """A sentence a method."""
    return [_sentence(name, own) for name in METHODS if (own := [row for row in rows if row["method"] == name])]


def _sentence(name: str, rows: Sequence[Row]) -> str:
    mean = {column: mean_of(rows, column) or 0.0 for column in (*FIGURES, "accuracy")}
    return (
        f"true outlines, {name}: hit {mean['hit']:.2f}, by squares {mean['window hit']:.2f}, by chance "
        f"{mean['by chance']:.2f}, of a network that learned nothing {mean['untrained hit']:.2f}; {mean['mass']:.2f} "
        f"of what speaks for it lies there. The network is right in {mean['accuracy']:.2f}."
    )
