"""A learned generator as prior: the image is sought among those that it makes, whatever was measured of it.

First min over z ||A G(z) - y||^2 / (2 s^2) + ||z||^2 / 2 (Bora et al. 2017, equation 3), then G's own weights move
with z, so that images that it does not make yet are reached too (Hussein et al. 2020, image-adaptive, equation 5;
Elmas et al. 2022, FedGIMP, equation 10, where the generator is learned in a federation), and at last the image is
moved towards what was measured. Training saw no operator, so that A may be any.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from common.errors import StudyError
from common.learning.uncompiled import uncompiled
from common.reconstruction.consistency import Data
from common.reconstruction.early_stopping import Patience, held_out, misfit
from common.reconstruction.hourglass import LINEAR
from common.reconstruction.imaging_operator import LinearMap
from common.seeding import torch_generator
from common.study.checks import non_negative, positive, probability

PHASE_PLACES = 6
"""Along each axis, of the grid that says a complex image's smooth phase."""
Stopped = Literal["held_out", "steps", "seconds", "no data"]


@dataclass(frozen=True)
class Search:
    """How an image is sought among those of a generator.

    Attributes:
        latent_steps: of Adam over latents alone, by `latent_rate`.
        adaptation_steps: of Adam over the generator's weights too, by `adaptation_rate`, at most; 0: none.
        patience: steps of adaptation without a better fit to data that are held out before it stops.
        share_held_out: of the data.
        deviation: s, by how much the generator's images differ from true ones, in their unit.
        consistency: how much the generator's image weighs beside all data in the last step; 0: no last step.
    """

    latent_steps: int = 100
    latent_rate: float = 0.05
    adaptation_steps: int = 200
    adaptation_rate: float = 0.0005
    patience: int = 60
    share_held_out: float = 0.05
    deviation: float = 0.03
    consistency: float = 0.1

    def __post_init__(self) -> None:
        where = "generator prior"
        non_negative(where, latent_steps=self.latent_steps, adaptation_steps=self.adaptation_steps)
        positive(where, latent_rate=self.latent_rate, adaptation_rate=self.adaptation_rate, patience=self.patience)
        positive(where, deviation=self.deviation)
        non_negative(where, consistency=self.consistency)
        probability(where, share_held_out=self.share_held_out)


@dataclass(frozen=True)
class Found:
    """One image that was found.

    Attributes:
        image: (1, C, *S).
        latents: that make it, before the generator's weights moved.
        losses: of every step, squared residual as a share of the data's square.
        watched: of every step of adaptation, the same of the data that are held out.
        stopped: what ended it.
    """

    image: Tensor
    latents: Tensor
    losses: Sequence[float]
    watched: Sequence[float]
    stopped: Stopped


def found(
    generator: nn.Module,
    starts: Tensor,
    linear: LinearMap,
    measured: Tensor,
    search: Search,
    most_seconds: float | None = None,
) -> Found:
    """The image of one case's data (1, *M).

    generator: (1, *latents) -> (1, C, *S) real images, or (1, 1, *S) magnitudes of complex ones, whose phase is then
    sought too. It is left as it is. starts: (K, *latents), of which the one that fits best is begun with. What comes
    follows from data and options alone, unless `most_seconds` of the clock end it. Raises StudyError where there are
    data of several cases.
    """
    if len(measured) != 1:
        raise StudyError(f"a generator prior answers one case at a time; there are data of {len(measured)}.")
    with torch.enable_grad():
        return _Search(deepcopy(generator), linear, measured.detach(), search, most_seconds).run(starts.detach())


class _Search:
    """Latents, a phase where images are complex, and a generator of its own."""

    def __init__(
        self, generator: nn.Module, linear: LinearMap, measured: Tensor, search: Search, most_seconds: float | None
    ) -> None:
        self.generator, self.linear, self.measured, self.search = generator, linear, measured, search
        for parameter in generator.parameters():
            parameter.requires_grad_(True)
        self.end = inf if most_seconds is None else monotonic() + most_seconds
        self.held = held_out(linear, measured, search.share_held_out, torch_generator(0, "held out"))
        self.data = Data.of(linear, measured)
        self.phase: Tensor | None = None
        self.losses: list[float] = []
        self.watched: list[float] = []

    def run(self, starts: Tensor) -> Found:
        """Latents, then weights, then the data."""
        if not bool((self.measured * ~self.held).any()) or not bool((self.measured * self.held).any()):
            return Found(torch.zeros_like(self.data.back), starts[:1], (), (), "no data")
        self._begin(starts)
        self._descend()
        latents = self.latents.detach().clone()
        image, stopped = self._adapted()
        if self.search.consistency:
            image = self.data.proximal(image, image.new_tensor(self.search.consistency))
        return Found(image, latents, self.losses, self.watched, stopped)

    def _begin(self, starts: Tensor) -> None:
        """The start that fits best, and the phase of the image that the data give by themselves."""
        if self.linear.image_shape[0] == 2 and self.generator(starts[:1]).shape[1] == 1:
            self.phase = coarse(self.data.back).requires_grad_()
        with torch.no_grad():
            misfits = [float(self._misfit(self._image(start[None]), ~self.held)) for start in starts]
        self.latents = starts[misfits.index(min(misfits))][None].clone().requires_grad_()

    def _descend(self) -> None:
        """Over latents and phase: the most probable ones."""
        sought = [self.latents] if self.phase is None else [self.latents, self.phase]
        optimiser = uncompiled(torch.optim.Adam)(sought, lr=self.search.latent_rate)
        nats = (self.measured * ~self.held).square().sum() / (2 * self.search.deviation**2 * self.data.square.mean())
        for _ in range(self.search.latent_steps):
            optimiser.zero_grad()
            loss = self._misfit(self._image(self.latents), ~self.held)
            (nats * loss + self.latents.square().sum() / 2).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            self.losses.append(float(loss.detach()))
            if monotonic() > self.end:
                break

    def _adapted(self) -> tuple[Tensor, Stopped]:
        """The image, once the generator's weights have moved as long as data that are held out gained by it."""
        stopped: Stopped = "seconds" if monotonic() > self.end else "steps"
        with torch.no_grad():
            best = self._image(self.latents)
            rule = Patience(self.search.patience, float(self._misfit(best, self.held)), 0)
        sought = [*self.generator.parameters(), self.latents, *([] if self.phase is None else [self.phase])]
        optimiser = uncompiled(torch.optim.Adam)(sought, lr=self.search.adaptation_rate)
        for step in range(1, 1 + self.search.adaptation_steps):
            if stopped != "steps":
                break
            optimiser.zero_grad()
            image = self._image(self.latents)
            with torch.no_grad():
                self.watched.append(float(self._misfit(image, self.held)))
            if rule.sees(self.watched[-1], step):
                best = image.detach()
            loss = self._misfit(image, ~self.held)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            self.losses.append(float(loss.detach()))
            if rule.is_over(step):
                stopped = "held_out"
            elif monotonic() > self.end:
                stopped = "seconds"
        return best, stopped

    def _image(self, latents: Tensor) -> Tensor:
        made: Tensor = self.generator(latents)
        return made if self.phase is None else turned(made, self.phase)

    def _misfit(self, image: Tensor, chosen: Tensor) -> Tensor:
        return misfit(self.linear, image, self.measured, chosen)


def coarse(images: Tensor) -> Tensor:
    """(N, 2, G, ...) means of complex images over a grid of a few places: their smooth phase is read of them."""
    pooling = {2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}[images.dim() - 2]
    pooled: Tensor = pooling(tuple(min(PHASE_PLACES, side) for side in images.shape[2:]))(images)
    length = pooled.norm(dim=1, keepdim=True)
    found: Tensor = pooled.detach() / length.clamp(min=1e-6 * float(length.max()) + 1e-30)
    return found


def turned(magnitudes: Tensor, phase: Tensor) -> Tensor:
    """(N, 2, *S): magnitudes (N, 1, *S) with the phase of a grid, linear between its places."""
    size = magnitudes.shape[2:]
    fine = interpolate(phase, size, mode=LINEAR[len(size)], align_corners=False)
    image: Tensor = magnitudes * fine / (fine.norm(dim=1, keepdim=True) + 1e-9)
    return image
