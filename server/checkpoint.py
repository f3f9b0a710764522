"""Save and resume: the model, the strategy's state and the round. Draws depend on the round, not on history."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import FileError, RoundError
from common.files.access import if_there
from common.files.tensor_files import TensorFile, read_tensors, write_tensors
from common.sums.update import Vector
from server.opening_proofs import Owed
from server.strategy import State

FILE = "checkpoint/last.safetensors"
_STATE = "state/"


_FALLBACK, _FALLBACK_STATE = "fallback/parameters", "fallback/state/"


@dataclass(frozen=True)
class Fallback:
    """What a round started from, to which it goes back where the hospitals vote its model worse."""

    parameters: Vector
    state: State


@dataclass(frozen=True)
class Checkpoint:
    """Everything the next round starts from, after `round` rounds. owed: to hospitals that missed an opening.

    fallback: while the hospitals have not voted on this model. taken_back: rounds that count for nothing, in
    `times_taken_back` times.
    """

    round: int
    parameters: Vector
    state: State
    owed: tuple[Owed, ...] = ()
    fallback: Fallback | None = None
    taken_back: tuple[int, ...] = ()
    times_taken_back: int = 0

    @property
    def model_round(self) -> int:
        """After which round the model was first there; 0: the first one."""
        return next((one for one in range(self.round, 0, -1) if one not in self.taken_back), 0)


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint/last.safetensors`, whole or not at all; on the disk when this returns."""
    tensors: dict[str, NDArray[Any]] = {_STATE + name: value for name, value in checkpoint.state.items()}
    tensors["parameters"] = checkpoint.parameters
    words = {"round": str(checkpoint.round), "owed": json.dumps([one.to_json() for one in checkpoint.owed])}
    if checkpoint.fallback is not None:
        tensors |= {_FALLBACK_STATE + name: value for name, value in checkpoint.fallback.state.items()}
        tensors[_FALLBACK] = checkpoint.fallback.parameters
    if checkpoint.taken_back:
        words |= {"taken_back": json.dumps(checkpoint.taken_back), "times": str(checkpoint.times_taken_back)}
    write_tensors(folder, FILE, tensors, words, durable=True)


def load(folder: Path) -> Checkpoint:
    """The last checkpoint. Raises RoundError where there is none or it is damaged."""
    try:
        file = if_there(read_tensors, folder, FILE)
        if file is not None:
            return _checkpoint(file)
    except (FileError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise RoundError(f"the checkpoint in {folder} is damaged: {error}") from error
    raise RoundError(f"{folder} has no checkpoint to resume from.")


def check_fits(loaded: Checkpoint, first: Checkpoint, rounds: int, folder: Path) -> None:
    """Raise RoundError where a checkpoint is of another model or study than the one that starts from `first`.

    What the server keeps beside the strategy's own state, one number each, has a "/" in its name.
    """
    held = [(loaded.parameters, loaded.state)]
    held += [(one.parameters, one.state) for one in (loaded.fallback,) if one is not None]
    if not all(_is_like(first, parameters, state) for parameters, state in held):
        raise RoundError(f"the checkpoint in {folder} is of another model or strategy than its study.toml.")
    if not 0 <= loaded.round <= rounds:
        raise RoundError(f"the checkpoint in {folder} is of round {loaded.round}; the study has {rounds}.")


def _is_like(first: Checkpoint, parameters: Vector, state: State) -> bool:
    own = {name: np.shape(value) for name, value in state.items() if "/" not in name}
    beside = [np.shape(value) for name, value in state.items() if "/" in name]
    wanted = {name: np.shape(value) for name, value in first.state.items()}
    return parameters.shape == first.parameters.shape and own == wanted and all(shape == (1,) for shape in beside)


def _checkpoint(file: TensorFile) -> Checkpoint:
    parameters = file.tensors.pop("parameters").astype(np.float32)
    if not all(np.isfinite(value).all() for value in (parameters, *file.tensors.values())):
        raise ValueError("it holds numbers that are not finite.")
    fallback = None
    if _FALLBACK in file.tensors:
        before = {name for name in file.tensors if name.startswith(_FALLBACK_STATE)}
        kept = {name.removeprefix(_FALLBACK_STATE): file.tensors.pop(name) for name in sorted(before)}
        fallback = Fallback(file.tensors.pop(_FALLBACK).astype(np.float32), kept)
    state = {name.removeprefix(_STATE): tensor for name, tensor in file.tensors.items()}
    owed = tuple(map(Owed.from_json, json.loads(file.words.get("owed", "[]"))))
    taken_back = tuple(map(int, json.loads(file.words.get("taken_back", "[]"))))
    times = int(file.words.get("times", "0"))
    return Checkpoint(int(file.words["round"]), parameters, state, owed, fallback, taken_back, times)
