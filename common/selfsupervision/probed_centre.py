"""A centre of a teacher's answers that no case moves: the mean of what it says of images of noise.

DINO takes the mean of its teacher's answers to a batch from every answer, so that no one answer can win for all
images (Caron et al. 2021, section 3.1, equation 4). That mean is of people's images, exact, and leaves the hospital
beside the model; noise for a person's gradient does not cover it, and whoever knows all other images subtracts them
and has the teacher's answer to the one that is left. Here the teacher is asked about images that the study's program
draws, the same everywhere. What it says of them follows from its parameters alone, so that under a promise the centre
is worked out from what was released, and costs nothing (post-processing; Dwork and Roth 2014, proposition 2.1).

It still does what a centre is for. Where answers have become the same for all images, that is what is said of noise
too: the centre becomes that answer, and what is left without it is the same for all K, as with DINO's own. Before
that it takes away what the teacher says whatever it sees, as biases do, and not what images have in common.
"""

from __future__ import annotations

from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from common.seeding import generator
from common.selfsupervision.teacher import Centre

CentreKind = Literal["cases", "noise"]
"""What a teacher's answers are averaged over: those to a step's cases, as published, or to images of noise."""
PROBES, COARSEST = 32, 4
"""Images of noise, and the side of the coarser of their two grids: a network answers smooth images otherwise."""
WAYS = {1: "linear", 2: "bilinear", 3: "trilinear"}


class ProbedCentre(nn.Module):
    """A moving average of (width,) mean answers to images of noise of a shape, (C, *S)."""

    def __init__(self, width: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.mean: Tensor
        self.probes: Tensor
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("probes", images_of_noise(shape), persistent=False)

    def forward(self, answers: Tensor) -> Tensor:
        """(N, width) answers, without the centre."""
        return answers - self.mean

    def move(self, teacher: nn.Module, momentum: float) -> None:
        """After a step: momentum * centre + (1 - momentum) * the teacher's mean answer, in place."""
        with torch.no_grad():
            answered: Tensor = teacher(self.probes)
            self.mean.lerp_(answered.mean(0), 1 - momentum)


def centre_of(kind: CentreKind, width: int, shape: tuple[int, ...]) -> nn.Module:
    """A centre of (width,) answers, for images of a shape (C, *S)."""
    return Centre(width) if kind == "cases" else ProbedCentre(width, shape)


def move_centre(network: nn.Module, momentum: float) -> None:
    """`network.centre` after a step, whichever it is, by `network.teacher`."""
    centre = network.get_submodule("centre")
    if isinstance(centre, ProbedCentre):
        centre.move(network.get_submodule("teacher"), momentum)
    else:
        cast(Centre, centre).move(momentum)


def images_of_noise(shape: tuple[int, ...]) -> Tensor:
    """(PROBES, C, *S) float32 of mean 0 and deviation 1: half of them of single pixels, half smooth."""
    rng, sides = generator(0, "images of noise", *shape), shape[1:]
    fine = rng.normal(size=(PROBES // 2, *shape))
    grid = tuple(min(COARSEST, side) for side in sides)
    coarse = torch.from_numpy(rng.normal(size=(PROBES // 2, shape[0], *grid)))
    smooth = interpolate(coarse, sides, mode=WAYS[len(sides)], align_corners=False) if sides else coarse
    both = np.concatenate([fine, smooth.numpy()])
    over = tuple(range(1, both.ndim))
    centred = both - both.mean(over, keepdims=True)
    return torch.from_numpy((centred / centred.std(over, keepdims=True).clip(1e-6)).astype(np.float32))
