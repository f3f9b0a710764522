"""What a hospital keeps between rounds, in itself: in its own folder where it has one, else in the context."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context

from common.tensor_files import read_tensors, write_tensors
from common.update import Vector

RECORD = "memory"
SECRETS = "secrets"
ROUNDS_KEPT = 2
"""A round that was cut short leaves a memory that the resumed run must not start from: the one before is kept too."""


def recall(context: Context, number: int) -> dict[str, Vector]:
    """The memory as it was before round `number`; {} where there is none."""
    place = _place(context)
    if place is not None:
        earlier = [path for path in _kept(place) if int(path.stem) < number]
        return read_tensors(place, earlier[-1].name).tensors if earlier else {}
    record = context.state.get(RECORD)
    if not isinstance(record, ArrayRecord):
        return {}
    return {name: np.frombuffer(array.data, dtype="<f4").copy() for name, array in record.items()}


def remember(context: Context, number: int, memory: Mapping[str, Vector]) -> None:
    """Keep the memory that round `number` left; nothing is written where there is none."""
    if not memory:
        return
    place = _place(context)
    if place is None:
        context.state[RECORD] = ArrayRecord({name: _array(vector) for name, vector in memory.items()})
        return
    write_tensors(place, f"{number:06d}.safetensors", memory)
    for old in _kept(place)[:-ROUNDS_KEPT]:
        old.unlink()


def recall_secrets(context: Context) -> dict[str, bytes]:
    """What a protocol keeps from leg to leg; in the node's memory only, never on a disk."""
    record = context.state.get(SECRETS)
    if not isinstance(record, ConfigRecord):
        return {}
    return {name: value for name, value in record.items() if isinstance(value, bytes)}


def keep_secrets(context: Context, secrets: Mapping[str, bytes]) -> None:
    """Keep exactly these."""
    if secrets or SECRETS in context.state:
        context.state[SECRETS] = ConfigRecord(dict(secrets))


def _place(context: Context) -> Path | None:
    folder = context.node_config.get("folder")
    return Path(str(folder)) / RECORD if folder else None


def _kept(place: Path) -> list[Path]:
    return sorted(place.glob("[!.]*.safetensors"))


def _array(vector: Vector) -> Array:
    return Array(dtype="float32", shape=vector.shape, stype="raw", data=vector.astype("<f4").tobytes())
