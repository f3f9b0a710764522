"""Images by the method that was asked for: classical, an untrained network, or a run's model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass, replace
from functools import partial
from math import inf, prod
from time import perf_counter
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from common.errors import StudyError
from common.reconstruction.choice_of_weight import by_discrepancy, by_l_curve
from common.reconstruction.deep_image_prior import DeepImagePrior, fitted
from common.reconstruction.denoiser import Denoiser
from common.reconstruction.imaging_operator import LinearMap
from common.reconstruction.problem import Solved
from common.reconstruction.regulariser import Regulariser
from common.reconstruction.solve import DEFAULT_WEIGHT, reconstruct
from common.study.options import build
from experiments.reconstructing.acquisition import Acquisition
from experiments.reconstructing.asked import DEEP, FROM_DATA, LEARNED, PLAYED, Asked
from experiments.reconstructing.learned import Learned


class Heard(Protocol):
    """Told what is done, how often it was, and how often it will be."""

    def __call__(self, what: str, done: int, of: int) -> None:
        """At each step."""
        ...


MOST_NUMBERS_AT_ONCE = 1 << 21
WEIGHTS_TRIED = "weights tried"
LOOKS = 12
"""Weights that are tried at most."""
SPAN, NOISELESS_SPAN = (1e-5, 1.0), (1e-7, 0.1)
"""Of weights that are tried, for images of 0 to 1 and an operator of norm 1: misfits grow by the norm's square."""
NOISELESS_WEIGHT = 1e-4
"""Likewise, where data have no noise and the curve has no corner."""
LOOKS_A_STEP, TOLD_EVERY = 2, 20
"""A network's step looks at all data, and at those that are held out."""
LARGE = 1 << 17
"""Pixels of an image beyond which it is solved in float32, less precisely, and weights are tried on a part of it."""
BLOCK = {2: 192, 3: 24}
"""Sides of that part of the data, by axes."""
TOLERANCE_OF_LARGE = 1e-4
"""Relative change that ends the solution of a large image, where the method's options do not say it: its objective is
then within 1e-4 of the least."""
TRIAL_TOLERANCE = 1e-3
"""Relative change that ends a trial: a weight is judged by its misfit, which settles long before the image."""


@dataclass(frozen=True, eq=False)
class Answer:
    """images: (N, C, *S) in the acquisition's scale. facts: how they were found, for a table and JSON."""

    images: Tensor
    facts: dict[str, Any]


def answer(asked: Asked, acquired: Acquisition, learned: Learned | None, heard: Heard) -> Answer:
    """The images. Raises StudyError where method, prior and data do not go together."""
    name, begin = asked.method_name, perf_counter()
    made = {FROM_DATA: _from_data, DEEP: _deep, LEARNED: _learned}.get(name, _classical)
    images, facts = made(asked, acquired, learned, heard)
    return Answer(images, {"method": name, **facts, "seconds": round(perf_counter() - begin, 3)})


def _from_data(
    asked: Asked, acquired: Acquisition, learned: Learned | None, heard: Heard
) -> tuple[Tensor, dict[str, Any]]:
    return acquired.start(), {}


def _learned(
    asked: Asked, acquired: Acquisition, learned: Learned | None, heard: Heard
) -> tuple[Tensor, dict[str, Any]]:
    assert learned is not None
    predict = learned.fitted(acquired.entry, acquired.image_shape)
    parts = []
    for part in _parts(acquired, "slices", heard):
        linear_inputs = predict(
            part.float(), {name: one.float() for name, one in _parameters(acquired, len(part)).items()}
        )
        parts.append(linear_inputs.double())
    return torch.cat(parts), learned.facts


def _deep(
    asked: Asked, acquired: Acquisition, learned: Learned | None, heard: Heard
) -> tuple[Tensor, dict[str, Any]]:
    options = build(DeepImagePrior, asked.entry("method", DEEP).options, f"method {DEEP!r}")
    found = []
    for number, part in enumerate(_parts(acquired, "images", heard, 1), start=1):
        what, most = f"looks at image {number} of {len(acquired.measured)}", LOOKS_A_STEP * options.steps
        linear = counted(acquired.linear(1), partial(heard, what, of=most))
        found.append(fitted(linear, part.float(), options, seed=asked.seed))
    steps = [len(one.losses) for one in found]
    facts = {"iterations": max(steps), "stopped": "; ".join(sorted({one.stopped for one in found}))}
    return torch.cat([one.image for one in found]).double(), facts


def counted(linear: LinearMap, told: Callable[..., None]) -> LinearMap:
    """The same map; told: how often it was asked, as `done`."""
    return cast(LinearMap, _Counted(linear, told))


class _Counted:
    """A linear map that tells how often it was asked: a network or a large volume takes minutes, and says nothing."""

    def __init__(self, linear: LinearMap, told: Callable[..., None]) -> None:
        self._linear, self._told, self._asked = linear, told, 0
        self._every = TOLD_EVERY if prod(linear.image_shape[1:]) <= LARGE else 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._linear, name)

    def forward(self, images: Tensor) -> Tensor:
        """As the map does."""
        self._asked += 1
        if self._asked % self._every == 0:
            self._told(done=self._asked)
        return self._linear.forward(images)


def _classical(
    asked: Asked, acquired: Acquisition, learned: Learned | None, heard: Heard
) -> tuple[Tensor, dict[str, Any]]:
    method = asked.build("method", asked.method_name)
    prior = _prior(asked, learned)
    bounds = (0.0, inf) if asked.at_least_zero else None
    solve = partial(reconstruct, method=method, prior=prior, bounds=bounds)
    trial = partial(solve, method=_ended_at(method, TRIAL_TOLERANCE))
    weight, how = _weight(asked, acquired, trial, prior, heard)
    if _is_large(acquired) and "tolerance" not in asked.entry("method", asked.method_name).options:
        solve = partial(solve, method=_ended_at(method, TOLERANCE_OF_LARGE))
    most, found = getattr(method, "iterations", 1), list[Solved]()
    for what, part in _told_parts(acquired, heard):
        linear = counted(acquired.linear(len(part)), partial(heard, f"iterations, {what}", of=most))
        found.append(solve(linear, part, weight=weight))
    facts = {
        "prior": "a learned denoiser" if isinstance(prior, Denoiser) else asked.prior_name,
        "weight": weight,
        "weight_chosen": how,
        "iterations": max(one.iterations for one in found),
        "stopped": "; ".join(sorted({one.stopped for one in found})),
        "objective": [float(value) for one in found for value in one.final_objective],
    }
    return torch.cat([one.images for one in found]).double(), facts


def _prior(asked: Asked, learned: Learned | None) -> Regulariser:
    if asked.method_name in PLAYED:
        if learned is None:
            raise StudyError(
                f"method {asked.method_name!r} needs --run, the folder of a run that learned to denoise."
            )
        return Denoiser(learned.denoiser())
    built: Regulariser = asked.build("prior", asked.prior_name)
    return built


def _weight(
    asked: Asked, acquired: Acquisition, solve: Callable[..., Solved], prior: Regulariser, heard: Heard
) -> tuple[float, str]:
    """The weight, and why. Where it is to be found, by the middle image alone."""
    if asked.weight != "auto":
        try:
            return float(asked.weight), "given"
        except ValueError:
            raise StudyError(f"--weight takes a number or 'auto'; it was given {asked.weight!r}.") from None
    if asked.prior_name == "none" and not isinstance(prior, Denoiser):
        return 0.0, "there is no prior"
    (linear, middle), tried = _tried_on(acquired), 0

    def solution(*, weight: float, start: Tensor | None) -> Solved:
        nonlocal tried
        heard(WEIGHTS_TRIED, tried, LOOKS)
        tried += 1
        return solve(linear, middle, weight=weight, start=start)

    if isinstance(prior, Denoiser) and not acquired.noise:
        return DEFAULT_WEIGHT, "the default: noise is not known, and a denoiser has no value for an L-curve"
    unit = 1.0 if isinstance(prior, Denoiser) else float(linear.norm()[0]) ** 2
    low, high = (unit * end for end in (NOISELESS_SPAN if acquired.noise == 0 else SPAN))
    if acquired.noise:
        chosen = by_discrepancy(solution, linear, middle, acquired.noise, (low, high), LOOKS)
        return chosen.weight, f"discrepancy principle, {chosen.how}"
    chosen = by_l_curve(solution, linear, middle, prior.value, (low, high), LOOKS)
    if chosen.found:
        return chosen.weight, f"{chosen.how}, which has no guarantee: give --noise or --weight"
    usual = unit * (NOISELESS_WEIGHT if acquired.noise == 0 else DEFAULT_WEIGHT)
    return usual, f"a usual one, since {chosen.how}: it may be far from the best. Give --noise or --weight"


def _tried_on(acquired: Acquisition) -> tuple[LinearMap, Tensor]:
    """The middle image's data; of a large one without parameters, that say where it was measured, a block of them:
    a weight is of pixels, however many there are.
    """
    middle = acquired.measured[len(acquired.measured) // 2][None]
    if not _is_large(acquired):
        return acquired.linear(1), middle
    sides, held = acquired.image_shape[1:], tuple(middle.shape[2:])
    if acquired.parameters or len(held) != len(sides):
        return acquired.linear(1), middle.float()
    kept = [min(one, BLOCK[len(held)]) for one in held]
    cut = (slice((one - side) // 2, (one - side) // 2 + side) for one, side in zip(held, kept, strict=True))
    block = middle[(slice(None), slice(None), *cut)].float()
    if not bool(block.any()):
        return acquired.linear(1), middle.float()
    enlarged = (side * whole // one for side, whole, one in zip(kept, sides, held, strict=True))
    return acquired.operator.map((acquired.image_shape[0], *enlarged), {}), block


def _is_large(acquired: Acquisition) -> bool:
    return prod(acquired.image_shape[1:]) > LARGE


def _ended_at(method: Any, tolerance: float) -> Any:
    """The method, ended by a larger change where it says one."""
    if not (is_dataclass(method) and hasattr(method, "tolerance")):
        return method
    return replace(method, tolerance=max(method.tolerance, tolerance))  # type: ignore[type-var]


def _told_parts(acquired: Acquisition, heard: Heard) -> Iterator[tuple[str, Tensor]]:
    """Data of a few images at a time, and which they are."""
    begin, count = 0, len(acquired.measured)
    for part in _parts(acquired, "images", heard):
        end = begin + len(part)
        yield f"image {end} of {count}" if len(part) == 1 else f"images {begin + 1} to {end} of {count}", part
        begin = end


def _parts(acquired: Acquisition, what: str, heard: Heard, at_once: int | None = None) -> Iterator[Tensor]:
    """Data of a few images at a time."""
    whole = acquired.measured
    size = max(1, whole[0].numel())
    step = at_once or max(1, MOST_NUMBERS_AT_ONCE // size)
    kind = torch.float32 if _is_large(acquired) else torch.float64
    for begin in range(0, len(whole), step):
        heard(what, begin, len(whole))
        yield whole[begin : begin + step].to(kind)


def _parameters(acquired: Acquisition, count: int) -> dict[str, Tensor]:
    from experiments.reconstructing.given_parameters import as_batch

    return as_batch(acquired.parameters, count)
