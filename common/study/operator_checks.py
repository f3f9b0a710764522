"""Whether a task reads data by the operator that the source measures them with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from common.errors import StudyError
from common.study.catalogue import OPERATORS
from common.study.options import Entry

if TYPE_CHECKING:
    from common.reconstruction.imaging_operator import Operator

SIDES = ((48, 48), (8, 8, 8))
"""Of images that are tried: whole multiples of most factors."""
SAME = 1e-6
"""Of the largest datum: what two maps that are one may differ by."""


def check_operators(source: object, task: object) -> None:
    """Raise StudyError where an operator of the source and the task's give other data of one image.

    Planes of two operators may have one shape and mean different things: the task would then learn, or make images,
    by a map that nobody measured with. What travels with a case is drawn by the source's operator, and may differ.
    """
    measuring, reading = getattr(source, "operators", ()), getattr(task, "operator", None)
    if not isinstance(reading, Entry) or not all(isinstance(one, Entry) for one in measuring):
        return
    for number, entry in enumerate(measuring):
        fault = _difference(_built(entry), _built(reading))
        if fault:
            raise StudyError(
                f"task.operator {reading.name!r} must read what source.operators[{number}], {entry.name!r}, measures,"
                f" and {fault}: give both one name, and one value of what does not travel with a case, such as "
                f"{_options(entry, reading)}."
            )


def _built(entry: Entry) -> Operator:
    return cast("Operator", OPERATORS.build(entry))


def _options(one: Entry, other: Entry) -> str:
    names = sorted({*one.options, *other.options})
    differing = [name for name in names if one.options.get(name) != other.options.get(name)]
    return ", ".join(differing) or "its sizes"


def _difference(measuring: Operator, reading: Operator) -> str:
    """In words; "" where there is none, or no image is tried that both take."""
    import numpy as np
    import torch

    if measuring.complex_images != reading.complex_images:
        return "one of them is of complex images, the other of real ones"
    for sides in SIDES:
        shape = (2 if measuring.complex_images else 1, *sides)
        rng = np.random.default_rng(0)
        try:
            wanted = (dict(one.parameter_shapes(shape)) for one in (measuring, reading))
            if (found := _shapes_that_differ(*wanted)) is not None:
                return found
            drawn = measuring.draw(rng, shape)
            parameters = {name: torch.from_numpy(np.asarray(values))[None].double() for name, values in drawn.items()}
            image = torch.from_numpy(rng.random((1, *shape)))
            data, read = (one.map(shape, parameters).forward(image) for one in (measuring, reading))
        except StudyError:
            continue
        if data.shape != read.shape:
            return f"of an image of {sides} their data are {tuple(data.shape[1:])} and {tuple(read.shape[1:])}"
        if float((data - read).abs().max()) > SAME * float(data.abs().max()):
            return "of one image their data differ"
    return ""


def _shapes_that_differ(one: Mapping[str, tuple[int, ...]], other: Mapping[str, tuple[int, ...]]) -> str | None:
    return None if one == other else f"with a case travel {one or 'no parameters'} and {other or 'no parameters'}"
