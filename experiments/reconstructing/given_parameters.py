"""What an operator must know of a case beside its options (a mask, a point spread), from files or what is known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.errors import StudyError
from common.reconstruction.imaging_operator import Operator
from common.reconstruction.usable import fault_of
from common.seeding import generator
from common.study.spelling import unknown
from experiments.measuring.image_files import read_stored
from experiments.reconstructing.channels import in_channels

MEASURED = "measured"
"""In the place of a mask's file: where the data are not zero."""
NEVER_ZERO = ("mask", "point_spread", "sensitivities")
NEARLY_ONE = 0.01
"""From 1, of a point spread's sum: beyond it, image and data differ in brightness, and that is said."""


def given_parameters(
    operator: Operator, shape: tuple[int, ...], files: Mapping[str, str]
) -> dict[str, NDArray[np.float32]]:
    """Those that files hold, of one case, by name. Raises StudyError for what the operator does not know."""
    wanted = operator.parameter_shapes(shape)
    found: dict[str, NDArray[np.float32]] = {}
    for name, place in files.items():
        if name not in wanted:
            raise (
                unknown("parameter of the operator", name, wanted)
                if wanted
                else StudyError(f"the operator has no parameters of a case; --parameter gave {name!r}.")
            )
        if name == "mask" and place == MEASURED:
            continue
        found[name] = _fitted(name, read_stored(Path(place)).values, wanted[name], getattr(operator, "axis", None))
    return found


def drawn_parameters(
    operator: Operator, shape: tuple[int, ...], given: Mapping[str, NDArray[np.float32]], seed: int
) -> dict[str, NDArray[np.float32]]:
    """Those given, and the others as the operator draws them."""
    drawn = operator.draw(generator(seed, "reconstruct", "parameters"), shape)
    return {name: np.asarray(given.get(name, values), np.float32) for name, values in drawn.items()}


def known_parameters(
    operator: Operator,
    shape: tuple[int, ...],
    given: Mapping[str, NDArray[np.float32]],
    seen: NDArray[np.bool_] | None,
) -> tuple[dict[str, NDArray[np.float32]], tuple[str, ...]]:
    """Those given, those that follow from the operator's options, and a mask from the data; with remarks.

    seen: (*S) where data are not zero, or None. Raises StudyError for what has to be given.
    """
    wanted = operator.parameter_shapes(shape)
    one, other = (operator.draw(np.random.default_rng(seed), shape) for seed in (0, 1))
    found, remarks = dict(given), _brightness(given)
    for name, size in wanted.items():
        if name in found:
            continue
        if name == "mask" and seen is not None and seen.shape == size and not seen.all():
            if not seen.any():
                raise StudyError("the data are nothing but zeros, so no mask follows from them: give --parameter.")
            found[name] = seen.astype(np.float32)
            remarks.append(f"The mask is where the data are not zero: {seen.mean():.1%} of it.")
        elif np.array_equal(one[name], other[name]):
            found[name] = np.asarray(one[name], np.float32)
        else:
            raise StudyError(
                f"the operator must know {name!r} of these data, {size}: give it as --parameter {name}=FILE"
                f"{', or write what was not measured as zeros' if name == 'mask' else ''}."
            )
    return found, tuple(remarks)


def demand_usable(operator: Operator, shape: tuple[int, ...], parameters: Mapping[str, NDArray[np.float32]]) -> None:
    """Raise StudyError where nothing is measured by these parameters of one case, or they are no numbers."""
    if (found := fault_of(operator, shape, as_batch(parameters, 1))) is not None:
        raise StudyError(f"no image can be made: {found[1]}.")


def _brightness(given: Mapping[str, NDArray[np.float32]]) -> list[str]:
    total = float(given["point_spread"].sum()) if "point_spread" in given else 1.0
    if abs(total - 1) <= NEARLY_ONE:
        return []
    return [f"The point spread sums to {total:.4g}, not to 1: so many times brighter are the data than the image."]


def as_batch(parameters: Mapping[str, NDArray[np.float32]], count: int) -> dict[str, Tensor]:
    """(N, ...): the same in each case."""
    return {
        name: torch.from_numpy(np.ascontiguousarray(one))[None].expand(count, *one.shape)
        for name, one in parameters.items()
    }


def _fitted(name: str, values: NDArray[Any], shape: tuple[int, ...], axis: int | None) -> NDArray[np.float32]:
    """Of the operator's shape: lines are spread along the other axes. Raises StudyError for another."""
    if name in NEVER_ZERO and not values.any():
        raise StudyError(f"the parameter {name!r} must not be nothing but zeros: nothing would be measured.")
    if name == "mask" and not np.isin(values, (0, 1)).all():
        raise StudyError("a mask must hold 0 and 1, where nothing and where something was measured; it holds others.")
    if values.dtype.kind == "c":
        found = in_channels(values[None], shape)
        if found is not None:
            return np.asarray(found[0].numpy(), np.float32)
    elif values.ndim == 1 and axis is not None and axis < len(shape) and len(values) == shape[axis]:
        values = values.reshape([-1 if at == axis else 1 for at in range(len(shape))])
    elif name == "point_spread":
        values = _in_the_middle(values, shape)
    if values.dtype.kind != "c" and values.ndim == len(shape) and _spreads(values.shape, shape):
        return np.asarray(np.broadcast_to(values, shape), np.float32)
    raise StudyError(f"the parameter {name!r} must have the shape {shape}; its file holds {values.shape}.")


def _in_the_middle(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """A smaller point spread among zeros; another as it is."""
    margins = [(wanted - held) for held, wanted in zip(values.shape, shape, strict=False)]
    if values.ndim != len(shape) or min(margins) < 0 or any(margin % 2 for margin in margins):
        return values
    return np.pad(values, [(margin // 2, margin // 2) for margin in margins])


def _spreads(held: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return all(one in (1, other) for one, other in zip(held, wanted, strict=True))
