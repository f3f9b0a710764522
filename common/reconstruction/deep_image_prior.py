"""Deep image prior: an untrained network fits the data of one image, and is stopped before it fits their noise.

min over theta ||A f_theta(z) - y||^2 with z drawn once (Ulyanov et al. 2018, equation 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, nan
from time import monotonic
from typing import Literal

import torch
from torch import Tensor, nn

from common.errors import StudyError
from common.learning.uncompiled import uncompiled
from common.reconstruction.early_stopping import Patience, Window, held_out, misfit
from common.reconstruction.hourglass import Hourglass
from common.reconstruction.imaging_operator import LinearMap
from common.seeding import entropy, torch_generator
from common.study.checks import DEEPEST, non_negative, one_of, positive, probability, sized

STOPPINGS = ("held_out", "variance", "none")
WHERE = "method 'deep_image_prior'"
INPUT_SPREAD = 0.1
"""The fixed input is uniform between 0 and this (their section 4)."""
Stopped = Literal["held_out", "variance", "steps", "seconds", "no data"]


@dataclass(frozen=True)
class DeepImagePrior:
    """Options of the deep image prior.

    Attributes:
        width: channels of the network.
        levels: how often it halves the image.
        steps: the most steps of Adam, by `learning_rate`.
        jitter: deviation of noise that is added to the fixed input anew in each step (their section 4).
        stopping: "held_out", where data that are not fitted are explained best; "variance", where the last `window`
            iterates vary least; "none", after all steps.
        share_held_out: of the data.
        window: iterates whose mean is the image.
        patience: steps without anything better before it stops.
        most_seconds: of the clock; not given: any, so that the image is the same on every machine.
    """

    width: int = 16
    levels: int = 4
    steps: int = 1500
    learning_rate: float = 0.02
    jitter: float = 0.01
    stopping: Literal["held_out", "variance", "none"] = "held_out"
    share_held_out: float = 0.05
    window: int = 50
    patience: int = 200
    most_seconds: float | None = None

    def __post_init__(self) -> None:
        sized(WHERE, 1 << 12, width=self.width)
        sized(WHERE, DEEPEST, levels=self.levels)
        sized(WHERE, 1 << 20, steps=self.steps, window=self.window, patience=self.patience)
        positive(WHERE, learning_rate=self.learning_rate, most_seconds=self.most_seconds)
        non_negative(WHERE, jitter=self.jitter)
        one_of(WHERE, STOPPINGS, stopping=self.stopping)
        probability(WHERE, share_held_out=self.share_held_out)


@dataclass(frozen=True)
class Fitted:
    """One image that was fitted.

    Attributes:
        image: (1, C, *S), the mean of the iterates of the window that ends at `step`.
        losses: of every step, squared residual of the data that are fitted as a share of their square.
        watched: of every step, what the stopping rule looks at; NaN before there is anything.
        step: counted from 0, whose window was best.
        stopped: the rule that ended it.
    """

    image: Tensor
    losses: Sequence[float]
    watched: Sequence[float]
    step: int
    stopped: Stopped


def fitted(linear: LinearMap, measured: Tensor, options: DeepImagePrior, *, seed: int = 0) -> Fitted:
    """The image of one case's data (1, *M).

    It follows from data, options and seed alone, unless seconds of the clock end it. Raises StudyError where
    there are data of several cases.
    """
    if len(measured) != 1:
        raise StudyError(f"{WHERE} fits one case at a time; there are data of {len(measured)}.")
    with torch.enable_grad():
        return _Fit(linear, measured.detach(), options, seed).run()


class _Fit:
    """A network, its fixed input, and the data, which are brought to images of about 1."""

    def __init__(self, linear: LinearMap, measured: Tensor, options: DeepImagePrior, seed: int) -> None:
        self.linear, self.measured, self.options = linear, measured, options
        self.draws = torch_generator(seed, "deep image prior")
        self.scale = _scale(linear, measured)
        self.network = _drawn(linear.image_shape, options, seed).to(measured)
        self.input = torch.rand(1, options.width, *linear.image_shape[1:], generator=self.draws) * INPUT_SPREAD
        self.held = torch.zeros_like(measured, dtype=torch.bool)
        if options.stopping == "held_out":
            self.held = held_out(linear, measured, options.share_held_out, self.draws)
        self.window = Window(options.window)

    def run(self) -> Fitted:
        """Step by step."""
        if not (self.scale > 0 and bool((self.measured * ~self.held).any())):
            return Fitted(torch.zeros_like(self.linear.adjoint(self.measured)), (), (), 0, "no data")
        losses, watched = list[float](), list[float]()
        end = inf if self.options.most_seconds is None else monotonic() + self.options.most_seconds
        rule, best = Patience(self.options.patience), None
        stopped: Stopped = "steps"
        optimiser = uncompiled(torch.optim.Adam)(self.network.parameters(), lr=self.options.learning_rate)
        for step in range(self.options.steps):
            losses.append(self._step(optimiser))
            watched.append(self._watched())
            if rule.sees(watched[-1], step):
                best = self.window.mean()
            if rule.is_over(step) and self.options.stopping != "none":
                stopped = self.options.stopping
                break
            if monotonic() > end:
                stopped = "seconds"
                break
        if best is None:
            best, rule.best_step = self.window.mean(), len(losses) - 1
        return Fitted((best * self.scale).to(self.measured), losses, watched, rule.best_step, stopped)

    def _step(self, optimiser: torch.optim.Optimizer) -> float:
        """One step, and the loss before it."""
        optimiser.zero_grad()
        noise = torch.randn(self.input.shape, generator=self.draws) * self.options.jitter
        image = self.network((self.input + noise).to(self.measured))
        loss = misfit(self.linear, image * self.scale, self.measured, ~self.held)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        self.window.add(image)
        return float(loss.detach())

    def _watched(self) -> float:
        """What the stopping rule looks at; NaN while the window is not full."""
        if not self.window.full or self.options.stopping == "none":
            return nan
        if self.options.stopping == "variance":
            return self.window.variance()
        with torch.no_grad():
            image = (self.window.mean() * self.scale).to(self.measured)
            return float(misfit(self.linear, image, self.measured, self.held))


def _scale(linear: LinearMap, measured: Tensor) -> float:
    """The largest value of the image after one exact step of steepest descent from zero; 0 without data."""
    image = linear.adjoint(measured)
    square = float(linear.forward(image).double().square().sum())
    step = float(image.double().square().sum()) / square if square > 0 else 0.0
    return float(image.abs().max()) * step


def _drawn(shape: tuple[int, ...], options: DeepImagePrior, seed: int) -> nn.Module:
    """The untrained network: torch's own initialisation, from the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(entropy(seed, "untrained network") % 2**63)
        return Hourglass(shape[0], shape[1:], options.width, options.levels)
