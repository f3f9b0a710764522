"""The update a private round sent last, kept in the hospital's folder, and sent again for the same order.

A server that crashed asks for its last round once more. The very same noisy update tells it nothing new and costs no
epsilon; training again would, and a study may be charged only as often as it has rounds. Any other order, if only
one bit of its model differs, is trained anew. Only for noise that protects a hospital's update by itself (`dpsgd`):
a share of noise must not come twice, in sums of different hospitals, whose difference would hold it alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from hashlib import sha256
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from client.atomic_write import write_durably
from common.errors import FileError
from common.files.access import appending, names, private_folder, remove
from common.files.tensor_files import TensorFile, read_tensors
from common.sums.mean import Mean
from common.sums.update import Update, Vector
from common.wire.train_requests import Order

FOLDER, LOCK = "last-private-updates", "last-private-updates.lock"
"""One file a study, named by its digest."""


def digest_of(order: Order, correction: Vector | None) -> str:
    """Of everything that decides an update but the hospital's data and its noise, hexadecimal."""
    own = sha256()
    settings = [order.study_json, order.round, repr(order.work), order.clip_norm, correction is None]
    settings += order.taken_back
    own.update(json.dumps(settings).encode())
    beside = [] if order.reference is None else [order.reference]
    for vector in (order.parameters, order.control, correction, *beside):
        own.update(b"" if vector is None else np.ascontiguousarray(vector, "<f4").data)
    return own.hexdigest()


@contextmanager
def alone(folder: Path | None) -> Iterator[None]:
    """Other processes of this hospital wait: of two that get the same order one trains, and the other recalls."""
    if folder is None:
        yield
        return
    with appending(folder, LOCK) as lock:
        flock(lock, LOCK_EX)
        yield


def keep(folder: Path | None, study: str, digest: str, update: Update, steps: int) -> None:
    """In the place of that study's one before; on the disk when this returns, before anything is sent."""
    if folder is None:
        return
    private_folder(folder, FOLDER, durable=True)
    statistics = {name: [mean.total_units, mean.weight_units] for name, mean in update.statistics.items()}
    about = {"digest": digest, "weight": update.weight, "statistics": statistics, "steps": steps}
    vectors = {str(number): np.ascontiguousarray(vector) for number, vector in enumerate(update.vectors)}
    write_durably(folder / _name(study), save(vectors, {"about": json.dumps(about)}))


def forget(folder: Path) -> int:
    """Remove what is kept of every study, and wait for one that is being made; how many there were."""
    with alone(folder):
        kept = [name for name in names(folder, FOLDER) if name.endswith(".safetensors")]
        for name in kept:
            remove(folder, f"{FOLDER}/{name}")
    return len(kept)


def recall(folder: Path | None, study: str, digest: str) -> tuple[Update, int] | None:
    """The update and the number of local steps, if this was the order; None if it was another, or is unreadable."""
    if folder is None:
        return None
    try:
        return _recalled(read_tensors(folder, _name(study)), digest)
    except (FileError, ValueError, TypeError, LookupError):
        return None


def _name(study: str) -> str:
    return f"{FOLDER}/{study}.safetensors"


def _recalled(kept: TensorFile, digest: str) -> tuple[Update, int] | None:
    about = json.loads(kept.words["about"])
    if about["digest"] != digest:
        return None
    vectors = tuple(kept.tensors[str(number)] for number in range(len(kept.tensors)))
    statistics = {name: Mean(*units) for name, units in about["statistics"].items()}
    return Update(vectors, about["weight"], statistics), about["steps"]
