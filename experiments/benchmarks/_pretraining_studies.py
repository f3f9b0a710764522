"""The studies of the benchmark of pretraining: what each method is trained with, and on which hospitals' images.

Recipes of SimCLR, triplets, BYOL and I-JEPA are the best of a few that were tried on seed 7, by its validation cases;
that of DINO was chosen so on seeds that are in the table, and that of MAE was taken over from earlier trials.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.data.cases import Cases

CNN = "network = { name = 'groupnorm_cnn' }"
SUPERVISED = "steps = 15, batch_size = 32, learning_rate = 0.002, optimiser = 'adam', sampling = 'by_class'"

FINE_TUNING = SUPERVISED.replace("0.002", "0.0002")
APART = "network = { name = 'groupnorm_cnn', channels = 16, standardised = true }"
"""Kernels of mean 0, without which features of different cases soon differ by little."""


@dataclass(frozen=True)
class Method:
    """task, training: TOML tables in a line each. rounds: of the federation. peer: FedEMA's rule fits it. tuned: its
    encoder is trained on from as well.
    """

    name: str
    task: str
    training: str
    rounds: int
    strategy: str = '"fedavg"'
    peer: bool = False
    tuned: bool = False


@dataclass(frozen=True)
class Set:
    """Images of hospitals. lines: of the study, where they are and how they are parted. labels: 0 and 1 of cases.

    classes: whether the cases are of two, which a classifier learns from scratch. seeds: how many there is time for.
    pooled: methods whose pooled bound is measured with every seed; others' with one. share: of a method's rounds that
    there is time for.
    """

    name: str
    data: str
    lines: str
    labels: Callable[[Cases], NDArray[np.int64]]
    seeds: int
    classes: bool = False
    pooled: tuple[str, ...] = ()
    share: float = 1.0


def study_text(method: Method, images: Set, folder: str, seed: int) -> str:
    """Of one pretraining. No score is asked for on the way: labels are looked at afterwards."""
    rounds = max(1, round(method.rounds * images.share))
    return f"""
title = "Pretraining: {method.name} on {images.name}"
rounds = {rounds}
seed = {seed}
engine = "inline"
strategy = {method.strategy}
aggregation = "plain"
task = {method.task}
training = {method.training}
federation = {{ evaluate_every = 0 }}
baselines = {{ local = false, pooled = false }}
{images.lines.format(folder=folder)}
"""


def supervised_text(images: Set, folder: str, seed: int, share: float) -> str:
    """Of one classifier that learns from a share of the labels alone. Of every share as many steps are taken."""
    labels = f", label_share = {share:g}" if share < 1 else ""
    return _classifier("Supervised from scratch", CNN, SUPERVISED + labels, images, folder, seed)


def fine_tuning_text(images: Set, folder: str, seed: int, draw: int) -> str:
    """Of one that goes on from an encoder, with a tenth of the labels and as many steps."""
    training = f"{FINE_TUNING}, label_share = 0.1, label_draw = {draw}"
    return _classifier("Fine-tuned", APART, training, images, folder, seed)


def _classifier(title: str, network: str, training: str, images: Set, folder: str, seed: int) -> str:
    return f"""
title = "{title} on {images.name}"
rounds = 10
seed = {seed}
engine = "inline"
strategy = "fedavg"
aggregation = "plain"
task = {{ name = "classification", {network} }}
federation = {{ evaluate_every = 0 }}
baselines = {{ local = false, pooled = false }}
training = {{ {training} }}
{images.lines.format(folder=folder)}
"""


def _class_of_case(cases: Cases) -> NDArray[np.int64]:
    return cases.targets.astype(np.int64)


def _shows_any(cases: Cases) -> NDArray[np.int64]:
    """Whether anything is outlined in a slice."""
    return np.array([bool(piece.any()) for piece in cases.pieces("targets")], np.int64)


CROPS = "augmentation = { name = 'grey', smallest_crop = 0.6, contrast = 0.0, brightness = 0.0 }"
TRANSFORMER = (
    "{ epochs = 1, batch_size = 32, learning_rate = 0.004, optimiser = 'adamw', weight_decay = 0.05, "
    "warm_up_steps = 4, schedule = { kind = 'cosine', warm_up_rounds = 3 } }"
)
BLOCKS = (
    "{ epochs = 1, batch_size = 64, learning_rate = 0.002, optimiser = 'adamw', weight_decay = 0.05, "
    "warm_up_steps = 4, schedule = { kind = 'cosine', warm_up_rounds = 1 } }"
)
SHARPNESS = (
    "augmentation = { name = 'grey', smallest_crop = 0.5, largest_crop = 0.5, aspect = 1.0, rotation_degrees = 10.0, "
    "contrast = 0.1, brightness = 1.0 }"
)
"""Crops of one size: an opacity blurs edges, so that a magnification or contrast of its own would hide it."""
CONVOLUTIONS = (
    "{ epochs = 1, batch_size = 64, learning_rate = 0.001, optimiser = 'adamw', warm_up_steps = 4, "
    "schedule = { kind = 'cosine', warm_up_rounds = 1 } }"
)
METHODS = (
    Method("simclr", f"{{ name = 'simclr', {APART}, {SHARPNESS} }}", CONVOLUTIONS, 6),
    Method("triplet", f"{{ name = 'triplet', {APART}, {SHARPNESS} }}", CONVOLUTIONS, 6, tuned=True),
    Method("mae", f"{{ name = 'mae', network = {{ name = 'vit' }}, {CROPS} }}", TRANSFORMER, 20),
    Method(
        "byol",
        f"{{ name = 'byol', {APART}, {SHARPNESS}, momentum = 0.996 }}",
        CONVOLUTIONS,
        8,
        peer=True,
    ),
    Method("dino", f"{{ name = 'dino', {APART} }}", CONVOLUTIONS, 8),
    Method(
        "ijepa",
        "{ name = 'ijepa', network = { name = 'vit', positions = 'learned' }, momentum = 0.9995 }",
        BLOCKS,
        6,
    ),
)
SETS = (
    Set(
        "PneumoniaMNIST",
        "pneumoniamnist",
        "source = {{ name = 'medmnist', folder = '{folder}', classes = ['normal', 'pneumonia'] }}\n"
        "partition = {{ name = 'dirichlet', hospitals = 6, alpha = 0.3 }}",
        _class_of_case,
        seeds=3,
        classes=True,
        pooled=("simclr", "mae"),
    ),
    Set(
        "glioma slices",
        "lgg-mri-5site",
        "source = {{ name = 'lgg', folder = '{folder}', size = 32 }}\nsplit = {{ validation = 0.0, test = 0.3 }}",
        _shows_any,
        seeds=1,
        share=0.5,
    ),
)
