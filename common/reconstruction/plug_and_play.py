"""Plug-and-play: steps towards the data, and a denoiser in the place of a regulariser's proximal map.

Half-quadratic splitting with falling strengths is Zhang et al. 2022 (Plug-and-play image restoration with deep
denoiser prior, equations 6 and 7); forward-backward splitting and ADMM are Ryu et al. 2019, who show that with one
strength they converge where the denoiser's residual D - I expands nothing too far (theorems 1 and 2: by less than a
factor that the data's least curvature gives, which is none where something is not measured at all).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from common.errors import StudyError
from common.reconstruction.consistency import Data
from common.reconstruction.imaging_operator import LinearMap
from common.study.checks import non_negative, one_of, positive, sized

Scheme = Literal["hqs", "fbs", "admm"]
SCHEMES = ("hqs", "fbs", "admm")
WHERE = "method 'plug_and_play'"
BALANCE = 0.23
"""Of data and prior (Zhang et al. 2022, section 4.2)."""


class Denoiser(Protocol):
    """Images without their noise, whose deviation is known."""

    def __call__(self, images: Tensor, deviation: Tensor) -> Tensor:
        """(N, C, *S) of (N, C, *S). deviation: (N,), in the images' unit, each case by itself."""
        ...


@dataclass(frozen=True)
class PlugAndPlay:
    """Options of plug-and-play.

    Attributes:
        scheme: "hqs", half-quadratic splitting; "fbs", forward-backward splitting; "admm".
        iterations: the most.
        first_strength: deviation that the denoiser is told in the first iteration, in the images' unit.
        last_strength: in the last, and from iteration `falling` on; between both it falls by equal factors.
        falling: iterations until the last strength; 0: it is told from the start.
        balance: weight of the prior beside the data, where data have noise of the last strength.
        step: of forward-backward splitting, of a map of norm 1; below 2.
        tolerance: relative change of the image that ends it, once the last strength is told.
    """

    scheme: Scheme = "hqs"
    iterations: int = 24
    first_strength: float = 0.2
    last_strength: float = 0.02
    falling: int = 16
    balance: float = BALANCE
    step: float = 1.0
    tolerance: float = 1e-4

    def __post_init__(self) -> None:
        one_of(WHERE, SCHEMES, scheme=self.scheme)
        sized(WHERE, 1 << 20, iterations=self.iterations)
        positive(WHERE, first_strength=self.first_strength, last_strength=self.last_strength, balance=self.balance)
        positive(WHERE, step=self.step)
        non_negative(WHERE, falling=self.falling, tolerance=self.tolerance)
        if self.step >= 2:
            raise StudyError(f"{WHERE}.step must be below 2, or it diverges; it is {self.step!r}.")
        if self.first_strength < self.last_strength:
            raise StudyError(
                f"{WHERE}.first_strength must not be below last_strength, {self.last_strength!r}; it is "
                f"{self.first_strength!r}."
            )

    def strength(self, iteration: int) -> float:
        """Told to the denoiser in an iteration, counted from 0."""
        if iteration >= self.falling:
            return self.last_strength
        share = iteration / self.falling
        return float(self.first_strength ** (1 - share) * self.last_strength**share)

    def weight(self, iteration: int) -> float:
        """Of |x - z|^2 beside |A x - y|^2 / |A|^2."""
        return self.balance * (self.last_strength / self.strength(iteration)) ** 2


@dataclass(frozen=True)
class Played:
    """What plug-and-play answers.

    Attributes:
        images: (N, C, *S), each as it was when its case ended.
        changes: (K, N) relative change of the image in every iteration, zero once a case has ended.
        expansion: (N,) the most by which D - I was seen to expand a difference between two iterations of one
            strength: below 1 it can converge (Ryu et al. 2019, assumption A); 0 where none was seen.
        stopped: "fixed point", of all cases, or "iterations", the limit.
    """

    images: Tensor
    changes: Tensor
    expansion: Tensor
    stopped: Literal["fixed point", "iterations"]


def played(
    linear: LinearMap, measured: Tensor, denoiser: Denoiser, options: PlugAndPlay, start: Tensor | None = None
) -> Played:
    """Images of data (N, *M), of each case by itself. start: (N, C, *S); not given: the adjoint of the data, over the
    map's squared norm. Raises StudyError where numbers grow without end.
    """
    with torch.no_grad():
        return _Play(linear, measured, denoiser, options, start).run()


class _Play:
    """The iterates of a batch, and which of its cases are still open."""

    def __init__(
        self, linear: LinearMap, measured: Tensor, denoiser: Denoiser, options: PlugAndPlay, start: Tensor | None
    ) -> None:
        self.data, self.denoiser, self.options = Data.of(linear, measured), denoiser, options
        self.image = self.data.back / self.data.square if start is None else start
        self.near, self.dual = self.image, torch.zeros_like(self.image)
        self.shown: tuple[Tensor, Tensor] | None = None
        self.expansion = torch.zeros(len(measured), dtype=torch.float64, device=measured.device)

    def run(self) -> Played:
        """Until every case has ended."""
        options = self.options
        open_cases, changes, stopped = torch.ones(len(self.image), dtype=torch.bool), list[Tensor](), False
        for iteration in range(options.iterations):
            before = self.image
            image = self._iterated(iteration)
            if not bool(torch.isfinite(image).all()):
                raise StudyError(
                    f"{WHERE} diverged: in iteration {iteration + 1} the image is no longer finite. Take a denoiser "
                    "that changes images less, or a smaller step."
                )
            kept = open_cases.to(image.device)
            self.image = torch.where(_shaped(kept, image), image, before)
            changes.append(_relative(self.image, before))
            if iteration >= options.falling:
                open_cases = open_cases & ~(changes[-1] <= options.tolerance).cpu()
            if not bool(open_cases.any()):
                stopped = True
                break
        return Played(self.image, torch.stack(changes), self.expansion, "fixed point" if stopped else "iterations")

    def _iterated(self, iteration: int) -> Tensor:
        weight = self.image.new_tensor(self.options.weight(iteration))
        if self.options.scheme == "fbs":
            return self._denoised(
                self.data.descended(self.image, self.image.new_tensor(self.options.step)), iteration
            )
        if self.options.scheme == "hqs":
            return self._denoised(self.data.proximal(self.image, weight), iteration)
        near = self.data.proximal(self.image - self.dual, weight)
        image = self._denoised(near + self.dual, iteration)
        self.dual = self.dual + near - image
        return image

    def _denoised(self, images: Tensor, iteration: int) -> Tensor:
        strength = self.options.strength(iteration)
        answer = self.denoiser(images, images.new_full((len(images),), strength))
        residual = answer - images
        if self.shown is not None and iteration > self.options.falling:
            moved = _size(images - self.shown[0])
            expanded = _size(residual - self.shown[1]) / moved.clamp(min=1e-300)
            seen = torch.where(moved > 1e-9 * _size(images), expanded, torch.zeros_like(expanded))
            self.expansion = torch.maximum(self.expansion, seen)
        self.shown = images, residual
        return answer


def _shaped(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.dim() - 1))


def _size(images: Tensor) -> Tensor:
    return images.flatten(1).square().sum(1, dtype=torch.float64).sqrt()


def _relative(new: Tensor, old: Tensor) -> Tensor:
    """(N,): |new - old| / |new|, zero where both are zero."""
    moved = _size(new - old)
    return torch.where(moved > 0, moved / _size(new).clamp(min=1e-300), torch.zeros_like(moved))
