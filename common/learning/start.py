"""The parameters that a federation begins from: drawn from the seed, or those of a model that the study names.

Two sides use this. Whoever coordinates reads the model's file; a hospital has only the study, and checks what came
against the digest in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from common.data.cases import Shape
from common.errors import FileError, StudyError
from common.files.tensor_files import read_tensors
from common.learning.losses import begin
from common.learning.parameters import Layout, farthest, new_network, read
from common.learning.task import Task
from common.study.spelling import nearest
from common.study.start import Start
from common.study.study import Study
from common.sums.update import Vector

MODEL_FILE = "model.safetensors"
MOST_NAMED = 3
ROUNDING = 1e-5
"""By how much another processor's first parameters may differ."""

Taken = Mapping[str, NDArray[np.float32]]


def first_network(study: Study, task: Task, shape: Shape, taken: Taken | None = None) -> nn.Module:
    """The network a federation begins with. taken: what was read of the study's model, if it has been.

    Raises StudyError where the model is not the one that the study names, or does not fit.
    """
    network = new_network(task, shape, study.seed, study.training)
    if study.start is not None:
        found = read_start(study.start) if taken is None else taken
        _refuse_unfit(network, study.start, found)
        _put_and_begin(task, network, found)
    return network


def read_start(start: Start) -> Taken:
    """What is taken of the model's file. Raises StudyError where it is absent, broken, or not the study's."""
    folder, name = _place(start.model)
    try:
        tensors = read_tensors(folder, name).tensors
    except FileError as error:
        beside = " A relative path begins at the study's folder." * (not (folder / name).exists())
        raise StudyError(f"start.model {start.model}: {error}.{beside}") from error
    found = {start.within(key): tensor for key, tensor in sorted(tensors.items())}
    meant = {name: tensor for name, tensor in found.items() if name is not None}
    if not meant:
        parts = ", ".join(dict.fromkeys(key.partition(".")[0] for key in sorted(tensors)))
        raise StudyError(f"start.part {start.part!r} is no part of the model {start.model}, which has {parts}.")
    return checked(start, {name: tensor for name, tensor in meant.items() if start.takes(name)}, meant)


def checked(start: Start, found: Mapping[str, NDArray[np.generic]], there: Mapping[str, object]) -> Taken:
    """`found` of the names that are `there`, if it is what the study names."""
    if not found:
        known = ", ".join(sorted(there)[:MOST_NAMED])
        raise StudyError(f"start.only = {list(start.only)} takes nothing of the model, which has {known}, ...")
    for name, tensor in found.items():
        if tensor.dtype != np.float32 or not np.isfinite(tensor).all():
            form = f"is {tensor.dtype}" if tensor.dtype != np.float32 else "has values that are not finite"
            raise StudyError(f"start.model {start.model}: {name} {form}; parameters are finite float32.")
    taken = {name: np.asarray(tensor, np.float32) for name, tensor in found.items()}
    if start.sha256 is not None and digest_of(taken) != start.sha256:
        raise StudyError(
            f"start.model {start.model} is another one than the study names: the parameters taken have the digest "
            f"{digest_of(taken)}, and start.sha256 is {start.sha256}."
        )
    return taken


def digest_of(taken: Taken) -> str:
    """SHA-256 of parameters by name: of a whole model the same as `common.learning.parameters.digest`."""
    found = sha256()
    for name in sorted(taken):
        found.update(np.ascontiguousarray(taken[name], dtype="<f4").tobytes())
    return found.hexdigest()


def put(network: nn.Module, taken: Taken) -> None:
    """Set every parameter that is `taken`, whether or not it travels."""
    parameters = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    with torch.no_grad():
        for name, tensor in taken.items():
            parameters[name].copy_(torch.from_numpy(np.array(tensor)))


def shapes_taken(network: nn.Module, start: Start) -> dict[str, tuple[int, ...]]:
    """Of all that the model gives, by name, sorted: what travels in every round, and what does not."""
    layout = Layout.of(network)
    shapes = {**layout.shapes, **{name: tensor.shape for name, tensor in layout.frozen.items()}}
    return {name: shapes[name] for name in sorted(shapes) if start.takes(name)}


def needs_model(network: nn.Module, start: Start | None) -> bool:
    """Whether parameters that do not travel in rounds come from the model, so that hospitals must be given it."""
    return start is not None and any(start.takes(name) for name in Layout.of(network).frozen)


def is_given(study: Study, network: nn.Module) -> bool:
    """Whether hospitals are given the study's model before anything else: a part of it does not travel in rounds, or
    questions read features of its encoder."""
    return needs_model(network, study.start) or (study.start is not None and _reads_start(study))


def _reads_start(study: Study) -> bool:
    """Nothing of questions is imported where there are none."""
    if not study.analyses:
        return False
    from common.asking.question import reads_start

    return reads_start(study.analyses)


def with_digest(study: Study) -> Study:
    """The study with its model's digest filled in."""
    if study.start is None or study.start.sha256 is not None:
        return study
    return replace(study, start=replace(study.start, sha256=digest_of(read_start(study.start))))


def begins_with(study: Study, task: Task, shape: Shape, vector: Vector, given: Taken | None = None) -> bool:
    """Whether a federation of the study may begin with these parameters: a hospital's own check.

    Parts that the study's model gives have its digest, bit for bit; the others are the seed's, to rounding.
    given: the model, where the hospital was given it since a part of it does not travel.
    """
    network = new_network(task, shape, study.seed, study.training)
    layout = Layout.of(network)
    if vector.shape != (layout.length,):
        return False
    if study.start is None:
        return farthest(network, vector) <= ROUNDING
    came = layout.tensors(vector)
    taken = {name: tensor for name, tensor in came.items() if study.start.takes(name)}
    stays = {name: tensor for name, tensor in (given or {}).items() if name not in came}
    _put_and_begin(task, network, {**stays, **taken})
    own = layout.tensors(read(network))
    others = [np.abs(came[name] - own[name]).max(initial=0) for name in came if name not in taken]
    return digest_of({**stays, **taken}) == study.start.sha256 and bool(max(others, default=0.0) <= ROUNDING)


def _place(model: str) -> tuple[Path, str]:
    path = Path(model).expanduser()
    return (path, MODEL_FILE) if path.is_dir() else (path.parent, path.name)


def _put_and_begin(task: Task, network: nn.Module, taken: Taken) -> None:
    """What is taken of a companion too stays as it was in the model."""
    put(network, taken)
    begin(task, network)
    put(network, taken)


def _refuse_unfit(network: nn.Module, start: Start, taken: Taken) -> None:
    wanted = shapes_taken(network, start)
    faults = [*_shapes(wanted, taken), *_names(wanted, taken)]
    if faults:
        more = f"; and {len(faults) - MOST_NAMED} more" if len(faults) > MOST_NAMED else ""
        raise StudyError(
            f"start.model {start.model} does not fit the study's network: {'; '.join(faults[:MOST_NAMED])}{more}. "
            "Let the network and its options be those that the model was trained with, take parts of it with "
            'start.only, such as ["encoder.*"], or draw a new last layer with start.fresh.'
        )


def _shapes(wanted: Mapping[str, tuple[int, ...]], taken: Taken) -> list[str]:
    return [
        f"{name} is of shape {list(taken[name].shape)} in the model and {list(shape)} in the network"
        for name, shape in wanted.items()
        if name in taken and taken[name].shape != shape
    ]


def _names(wanted: Mapping[str, tuple[int, ...]], taken: Taken) -> list[str]:
    lacking, extra = [name for name in wanted if name not in taken], [name for name in taken if name not in wanted]
    said = [f"the model has no {name}{_near(name, extra)}" for name in lacking]
    return said or [f"the network has no {name}{_near(name, lacking)}" for name in extra]


def _near(name: str, known: list[str]) -> str:
    near = nearest(name, known)
    return f" (nearest: {near})" if near else ""
