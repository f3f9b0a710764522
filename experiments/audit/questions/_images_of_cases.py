"""Images in the place of what a network is shown: truth to compare guessed images with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from common.data.cases import Shape
from common.learning.abilities import abilities
from common.learning.imagined import Imagined
from common.study.study import Study
from experiments.audit.run import Run
from experiments.evidence.ground_truth import Truth


def images_shape(run: Run) -> tuple[int, ...]:
    """(C, *S) of images as a person sees them."""
    imagined = _imagined(run.study, run.observed.shape.inputs)
    return tuple(imagined.seen(torch.zeros(imagined.form)).shape[1:])


def images_of(study: Study, truth: Truth) -> Truth:
    """The same cases, the images that they learn to give back in the place of inputs."""
    seen = _imagined(study, truth.inputs.shape[1:]).seen(torch.from_numpy(np.asarray(truth.targets, np.float32)))
    return replace(truth, inputs=seen.numpy())


def _imagined(study: Study, inputs: tuple[int, ...]) -> Imagined:
    return abilities(study.build_task()).imagined(Shape(inputs, 0), 1, np.random.default_rng(0))
