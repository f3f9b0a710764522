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
from server.openings import Owed
from server.strategy import State

FILE = "checkpoint/last.safetensors"
_STATE = "state/"


@dataclass(frozen=True)
class Checkpoint:
    """Everything the next round starts from, after `round` rounds. owed: to hospitals that missed an opening."""

    round: int
    parameters: Vector
    state: State
    owed: tuple[Owed, ...] = ()


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint/last.safetensors`, whole or not at all; on the disk when this returns."""
    tensors: dict[str, NDArray[Any]] = {_STATE + name: value for name, value in checkpoint.state.items()}
    tensors["parameters"] = checkpoint.parameters
    owed = json.dumps([one.to_json() for one in checkpoint.owed])
    write_tensors(folder, FILE, tensors, {"round": str(checkpoint.round), "owed": owed}, durable=True)


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
    own = {name: np.shape(value) for name, value in loaded.state.items() if "/" not in name}
    beside = [np.shape(value) for name, value in loaded.state.items() if "/" in name]
    wanted = {name: np.shape(value) for name, value in first.state.items()}
    if loaded.parameters.shape != first.parameters.shape or own != wanted or any(shape != (1,) for shape in beside):
        raise RoundError(f"the checkpoint in {folder} is of another model or strategy than its study.toml.")
    if not 0 <= loaded.round <= rounds:
        raise RoundError(f"the checkpoint in {folder} is of round {loaded.round}; the study has {rounds}.")


def _checkpoint(file: TensorFile) -> Checkpoint:
    parameters = file.tensors.pop("parameters").astype(np.float32)
    if not all(np.isfinite(value).all() for value in (parameters, *file.tensors.values())):
        raise ValueError("it holds numbers that are not finite.")
    state = {name.removeprefix(_STATE): tensor for name, tensor in file.tensors.items()}
    owed = tuple(map(Owed.from_json, json.loads(file.words.get("owed", "[]"))))
    return Checkpoint(int(file.words["round"]), parameters, state, owed)
