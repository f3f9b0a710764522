"""Save and resume: the model, the strategy's state and the round. Draws depend on the round, not on history."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from common.errors import RoundError
from common.update import Vector
from server.openings import Owed
from server.strategy import State

_STATE = "state/"


@dataclass(frozen=True)
class Checkpoint:
    """Everything the next round starts from, after `round` rounds. owed: to hospitals that missed an opening."""

    round: int
    parameters: Vector
    state: State
    owed: tuple[Owed, ...] = ()


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint/last.safetensors`, whole or not at all."""
    place = folder / "checkpoint"
    place.mkdir(parents=True, exist_ok=True)
    tensors = {_STATE + name: np.ascontiguousarray(value) for name, value in checkpoint.state.items()}
    tensors["parameters"] = np.ascontiguousarray(checkpoint.parameters)
    part = place / "last.safetensors.part"
    owed = json.dumps([one.to_json() for one in checkpoint.owed])
    save_file(tensors, part, metadata={"round": str(checkpoint.round), "owed": owed})
    part.replace(place / "last.safetensors")


def load(folder: Path) -> Checkpoint:
    """The last checkpoint. Raises RoundError where there is none or it is damaged."""
    path = folder / "checkpoint" / "last.safetensors"
    if not path.exists():
        raise RoundError(f"{folder} has no checkpoint to resume from.")
    try:
        with safe_open(path, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            about = file.metadata()
        done, owed = int(about["round"]), tuple(map(Owed.from_json, json.loads(about.get("owed", "[]"))))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise RoundError(f"the checkpoint in {folder} is damaged.") from error
    parameters = tensors.pop("parameters").astype(np.float32)
    return Checkpoint(done, parameters, {name.removeprefix(_STATE): t for name, t in tensors.items()}, owed)
