"""How `bench image-priors` makes an image of data: every method takes what was measured, and tells what it cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from common.learning.tasks.denoiser import PlugAndPlay
from common.learning.tasks.generator import GeneratorNetwork
from common.metrics.images.of_cases import scores_of_each
from common.reconstruction.choice_of_weight import by_training_images
from common.reconstruction.deep_image_prior import DeepImagePrior, fitted
from common.reconstruction.denoiser import Denoiser
from common.reconstruction.first_image import first_image
from common.reconstruction.generator_prior import Search
from common.reconstruction.methods.falling_denoiser import FallingDenoiser
from common.reconstruction.operators.denoising import Identity
from common.reconstruction.solve import reconstruct
from common.seeding import torch_generator
from experiments.benchmarks._image_prior_problems import Acquisition

OTHER_SLICE = "r64slice.jpg"
UNTRAINED = DeepImagePrior(steps=800, patience=150)
SEARCH = Search()
FALLING = FallingDenoiser()
CURVE = replace(UNTRAINED, steps=300, stopping="none", jitter=0.0)
CURVE_STEPS = (1, 3, 10, 30, 100, 300)
CURVE_NOISE = 0.15
CURVE_SETTING = f"{CURVE}{CURVE_NOISE}"
Told = Mapping[str, float]


def setting(name: str) -> str:
    """What a method's rows were measured with."""
    return {"deep image prior": str(UNTRAINED), "denoiser": str(FALLING)}.get(name, f"{name}{SEARCH}")


def psnr(image: Tensor, truth: Tensor) -> float:
    """Of one image (1, C, *S) from 0 to 1."""
    complex_images = truth.shape[1] == 2
    found = scores_of_each(image, truth, data_range=1.0, complex_images=complex_images, names=("psnr",))
    return float(found["psnr"][0])


def magnitude(image: Tensor) -> NDArray[np.float32]:
    """(*S) of one image."""
    return np.asarray(image[0].norm(dim=0) if image.shape[1] == 2 else image[0, 0], np.float32)


def alone(case: Acquisition) -> tuple[Tensor, Told]:
    """What the data give by themselves: zero-filled, with holes."""
    return first_image(case.linear, case.measured), {}


def total_variation(case: Acquisition, known: Sequence[Acquisition]) -> tuple[Tensor, Told]:
    """With the weight that is best on other images."""
    weight = _weight(tuple(known))
    return _with_tv(case, weight), {"weight": weight}


@cache
def _weight(known: tuple[Acquisition, ...]) -> float:
    found = []
    for case in known:

        def solution(*, weight: float, start: Tensor | None, case: Acquisition = case) -> object:
            return reconstruct(case.linear, case.measured, prior="tv", weight=weight, start=start, tolerance=1e-5)

        chosen = by_training_images(solution, case.linear, case.measured, case.truth, (1e-4, 0.5), 9)  # type: ignore[arg-type]
        found.append(chosen.weight)
    return float(np.exp(np.mean(np.log(found))))


def _with_tv(case: Acquisition, weight: float) -> Tensor:
    return reconstruct(case.linear, case.measured, prior="tv", weight=weight, tolerance=1e-5).images


def untrained(case: Acquisition) -> tuple[Tensor, Told]:
    """The deep image prior, which stops by itself."""
    answer = fitted(case.linear, case.measured, UNTRAINED)
    return answer.image, {"steps": float(len(answer.losses))}


def generated(case: Acquisition, network: Callable[[], nn.Module], adapted: bool) -> tuple[Tensor, Told]:
    """By the federated generator."""
    search = SEARCH if adapted else replace(SEARCH, adaptation_steps=0, consistency=0.0)
    return cast(GeneratorNetwork, network()).sought(case.linear, case.measured, search).image, {}


def denoised(case: Acquisition, network: Callable[[], nn.Module]) -> tuple[Tensor, Told]:
    """By the federated denoiser."""
    taken = cast(PlugAndPlay, network())

    def denoise(images: Tensor, noise: Tensor) -> Tensor:
        with torch.no_grad():
            return taken.denoised(images.float(), noise.float()).to(images)

    solved = reconstruct(case.linear, case.measured, method=FALLING, prior=Denoiser(denoise), weight=case.noise**2)
    return solved.images, {}


def to_fit(image: NDArray[np.float32]) -> Mapping[str, Tensor]:
    """An image of half the size, with noise, shuffled, and noise of its spread (Ulyanov et al. 2018, figure 2)."""
    draws = torch_generator(0, "images, noise and shuffled pixels")
    whole = avg_pool2d(torch.from_numpy(image)[None, None], 2)
    noise = torch.randn(whole.shape, generator=draws)
    shuffled = whole.flatten()[torch.randperm(whole.numel(), generator=draws)].reshape(whole.shape)
    return {
        "image": whole,
        "noisy image": whole + CURVE_NOISE * noise,
        "shuffled pixels": shuffled,
        "noise": whole.mean() + whole.std() * noise,
    }


def losses(image: Tensor) -> list[tuple[int, float]]:
    """After some steps, the squared error that is left of an image, as a share of its variance."""
    answer = fitted(Identity(tuple(image.shape[1:])), image, CURVE)
    share = float(image.square().mean() / image.var())
    return [(step, answer.losses[step - 1] * share) for step in CURVE_STEPS]
