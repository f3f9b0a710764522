"""Whose sum a hospital helped to open, kept so that of one model it never helps to open the sum of another set.

Two sums at one model, of sets that differ by a few hospitals, differ by the updates of those. The model of the first
round follows from the seed and is the same in every run and in every study that differs in its title alone, so what
was opened is remembered for ever, by model, across studies and runs. So is whose cases a hospital had in it: of two
studies that choose other persons of one hospital (another split, a code that makes one row unusable, another consent)
the sums differ by those persons. Where noise covers the difference of two sums the memory is of one round of one run.
"""

from __future__ import annotations

import json
from collections.abc import MutableMapping, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.data.cases import SiteId
from common.errors import WireError
from common.files.access import create, read
from common.sums.aggregation import Local
from common.sums.aggregations._agreement import Agreement, digest_of
from common.sums.exchange import Payload
from common.sums.wide import QUERY, QUESTION

FOLDER = "opened-sums"
LARGEST_BYTES = 1 << 12


def what_is_opened(request: Payload, agreement: Agreement, local: Local) -> bytes:
    """What of one set only may be opened, in hexadecimal: training, evaluation or a question, on these data.

    Deliberately blind to learning rates and their kind: of two kinds of training alike the difference tells as much.
    """
    if agreement.wide is not None:
        asked = [local.asked] if local.asked else [request.words.get(word) for word in (QUESTION, QUERY)]
        parts: list[object] = ["question", local.data, *asked]
    elif local.cohort.is_covered:
        parts = ["round", local.study, local.run, local.round]
    else:
        digest = sha256(np.ascontiguousarray(_model_of(request), "<f4").view(np.uint8).data).hexdigest()
        parts = ["model", local.data, "training" if agreement.vectors else "evaluation", digest]
    return sha256(json.dumps(parts).encode()).hexdigest().encode()


def _model_of(request: Payload) -> NDArray[np.float32]:
    """What is trained or scored: the first of the order's vectors, whatever length a coordinator has agreed on."""
    vectors = request.numbers.get("vectors", 1)
    if request.array is None:
        return np.empty(0, np.float32)
    return request.array[: request.array.size // vectors] if type(vectors) is int and vectors > 0 else request.array


def ask_once(local: Local, what: bytes) -> None:
    """Write down what question this round of the run is of, before it is answered. Raises WireError for another.

    Keys are signed for a round: those of a hospital that was called lost, whose secret half is known then, would be
    taken for fresh ones with a second question, and the sum opened without it be that of a set that names it. Orders
    to train have one each round already (`client.answered_rounds`).
    """
    key = sha256(json.dumps(["asked", local.study, local.run, local.round]).encode()).hexdigest()
    if _kept(local, key, what) != what:
        raise WireError("in this round another question was asked before; each has a round of its own.")


def open_once(local: Local, what: bytes, sites: tuple[SiteId, ...]) -> None:
    """Write down that the sum of `sites` is opened, before it is. Raises WireError where it was another set before,
    or where another study took other persons of this hospital into it.

    The file is on the disk when this returns, in the hospital's folder where it has one and in memory else. A
    file that a crash cut short matches no set: it is refused from then on.
    """
    digest = digest_of(sites)
    now = " ".join([digest, *local.selection] if all(local.selection) else [digest]).encode()
    before = _kept(local, what.decode(), now)
    if before.split(b" ")[0] != digest.encode():
        raise WireError(
            "at this model, or of this question, the sum of other hospitals was opened before: it is opened once. "
            "The same hospitals may open it again; for others the study needs another seed."
        )
    if before.count(b" ") == now.count(b" ") == len(local.selection):
        _refuse_other_persons(before.decode().split()[1:], local.selection)


def _refuse_other_persons(before: Sequence[str], now: Sequence[str]) -> None:
    """A hospital's data may change under one study; what a study makes of them is the coordinator's choice."""
    if before[0] != now[0] and before[1] != now[1]:
        raise WireError(
            "at this model a sum was opened before by a study that takes other persons here: the difference would be "
            "theirs. Train from another seed, or score with the source, split, seed and consent of that study."
        )


def _kept(local: Local, name: str, now: bytes) -> bytes:
    """What was kept by this name first."""
    if local.folder is None:
        return _remembered(local.secrets, f"opened/{name}", now)
    return _written(local.folder / FOLDER, name, now)


def _remembered(secrets: MutableMapping[str, bytes], key: str, digest: bytes) -> bytes:
    return secrets.setdefault(key, digest)


def _written(folder: Path, name: str, digest: bytes) -> bytes:
    return digest if create(folder, name, digest) else read(folder, name, LARGEST_BYTES)
