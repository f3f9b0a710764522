"""Five inverse problems of one real brain slice of 224 x 224, and how long a solver takes to a stated objective gap.

Read by the benchmark itself, and by its script in the Python that has the peers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from time import process_time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from common.reconstruction.imaging_operator import LinearMap, Operator
from common.reconstruction.problem import ReconstructionProblem
from common.reconstruction.regulariser import Limits
from common.reconstruction.solve import reconstruct, weights
from common.study.catalogue import OPERATORS, REGULARISERS
from common.study.options import Entry
from experiments.benchmarks._data import find

SIDE, MARGIN = 224, 16
FINE = Limits(2e-7, 20000, 20000)
TIMES, FIRST, STEEPER = 3, 10, 1.4
REFERENCE: Mapping[str, int] = {"fista": 1200, "admm": 800, "chambolle_pock": 6000}
"""Most iterations in double precision of the methods whose least objective is the reference."""
FINEST = 1e-7
PROX_GAP, GAP = 2e-4, 1e-4
TV, PERIODIC = Entry("tv"), Entry("tv", {"anisotropic": True, "periodic": True})
WAVELET = Entry("wavelet", {"wavelet": "db4", "levels": 4, "averages": True})


@dataclass(frozen=True)
class Setting:
    """An operator's options, the noise of its data, and the weight of total variation."""

    operator: str
    options: Mapping[str, Any]
    noise: float
    weight: float


SETTINGS: Mapping[str, Setting] = {
    "denoising": Setting("denoising", {}, 0.05, 0.04),
    "inpainting": Setting("inpainting", {"hidden": 0.5}, 0.02, 0.01),
    "deblurring": Setting("blur", {"sd_pixels": 1.5}, 0.01, 0.001),
    "MRI x4": Setting("cartesian_mri", {"acceleration": 4.0}, 0.01, 0.003),
    "CT, 45 views": Setting("ct", {"views": 45}, 0.5, 1.0),
}


@dataclass(frozen=True)
class Posed:
    """A problem in single precision with its truth. data: y, as it was drawn once."""

    name: str
    truth: Tensor
    linear: LinearMap
    data: Tensor
    weight: float

    def problem(self, prior: Entry, dtype: torch.dtype = torch.float64) -> ReconstructionProblem:
        """To be judged by."""
        built: Any = REGULARISERS.build(prior)
        data = self.data.to(dtype)
        return ReconstructionProblem(self.linear, data, built, weights(self.weight, data))

    def psnr(self, image: Tensor) -> float:
        """Of the range one."""
        squared = (image.double() - self.truth.double()).square().sum(1).mean()
        return float(-10 * squared.log10())


@dataclass(frozen=True)
class Contest:
    """Solvers of one objective in one process, in turn, each to a relative gap of it."""

    problem: str
    prior: Entry
    gap: float = GAP

    @property
    def prior_words(self) -> str:
        """For a table."""
        return self.prior.name + ("" if self.prior is not PERIODIC else ", anisotropic, periodic")


CONTESTS: Mapping[str, Contest] = {
    "proximal maps": Contest("denoising", TV, PROX_GAP),
    **{f"TV, {name}": Contest(name, TV) for name in SETTINGS},
    "FISTA": Contest("MRI x4", WAVELET),
    "ADMM": Contest("MRI x4", PERIODIC),
}


def slice_of_a_brain() -> NDArray[np.float64]:
    """(224, 224), from 0 to 1."""
    with Image.open(find("ants-2d-slices") / "r16slice.jpg") as image:
        whole = np.asarray(image.convert("L"), dtype=np.float64) / 255
    return whole[MARGIN : MARGIN + SIDE, MARGIN : MARGIN + SIDE]


def posed(name: str) -> Posed:
    """A problem by name, the same at every call."""
    setting, rng = SETTINGS[name], np.random.default_rng(0)
    entry: Operator = OPERATORS.build(Entry(setting.operator, dict(setting.options)))
    truth = _with_phase(slice_of_a_brain()) if entry.complex_images else slice_of_a_brain()[None]
    drawn = entry.draw(rng, truth.shape)
    linear = entry.map(truth.shape, {key: torch.from_numpy(value)[None] for key, value in drawn.items()})
    image = torch.from_numpy(truth)[None]
    clean = linear.forward(image)
    noise = torch.from_numpy(rng.normal(0, setting.noise, clean.shape))
    return Posed(name, image.float(), linear, (clean + noise * (clean != 0)).float(), setting.weight)


def _with_phase(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, H, W): a magnitude alone would have a k-space of mirrored halves."""
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    phase = 1.5 * np.sin(2 * x + 0.5) * np.cos(1.5 * y) + 0.5 * x * y
    return np.stack([image * np.cos(phase), image * np.sin(phase)])


def reference(one: Posed, prior: Entry) -> dict[str, float]:
    """Objectives that long runs reach in double precision, by method; the least of them is what gaps are from.

    Denoising is a proximal map: that is run as well, to a duality gap, which bounds the error.
    """
    found = {name: _long_run(one, prior, name, many) for name, many in REFERENCE.items()}
    return {"duality": _by_duality(one, prior), **found} if one.name == "denoising" else found


def apart(objectives: Mapping[str, float]) -> float:
    """The largest relative difference of two methods."""
    least = min(objectives.values())
    return (max(objectives.values()) - least) / least


def _by_duality(one: Posed, prior: Entry) -> float:
    built: Any = REGULARISERS.build(prior)
    weight = weights(one.weight, one.data)
    with torch.inference_mode():
        image = built.proximal(None, FINE)(one.data.double(), weight)
        return float(one.problem(prior).objective(image))


def _long_run(one: Posed, prior: Entry, name: str, many: int) -> float:
    limits = {"tolerance": FINEST, "iterations": many}
    solved = reconstruct(one.linear, one.data.double(), method=Entry(name, limits), prior=prior, weight=one.weight)
    return float(solved.objective.min())


@dataclass(frozen=True)
class Timed:
    """What a solver took until its relative gap was small enough; more than that where it never was."""

    cpu_s: float
    gap: float
    psnr: float
    iterations: int


def time_to_gap(
    run: Callable[[int], Tensor], one: Posed, prior: Entry, least: float, wanted: float, longest_s: float = 20.0
) -> Timed:
    """CPU seconds, the median of three, of the fewest iterations on a ladder that reach the wanted relative gap.

    run: a whole solution of so many iterations, (1, C, H, W). The ladder rises by two fifths a rung.
    """
    judged, many = one.problem(prior), FIRST
    while True:
        begin = process_time()
        image = run(many)
        took = process_time() - begin
        gap = (float(judged.objective(image.double())) - least) / least
        if gap <= wanted or took > longest_s:
            break
        many = int(many * STEEPER) + 1
    times = [took, *(_once(run, many) for _ in range(TIMES - 1))] if took <= longest_s else [took]
    return Timed(median(times), gap, one.psnr(image), many)


def _once(run: Callable[[int], Tensor], many: int) -> float:
    begin = process_time()
    run(many)
    return process_time() - begin
