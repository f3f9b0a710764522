"""A hospital's update in fewer bytes, and what that loses, which it keeps to itself and adds to its next update.

Error feedback (Seide et al. 2014; Stich et al. 2018; Karimireddy et al. 2019, algorithm 2): of p = n_k u_k + e the
hospital sends C(p) and keeps e = p - C(p), so that all that it sent and what it keeps add up to all that it computed.
e is state of this hospital as any other is (`client.state_store`): it starts a repeated round as it started it the
first time, and follows the sum that the update was part of.

Compression comes after whatever noise a mechanism puts into the update itself: what is sent is made of noisy updates,
of public draws and of nothing else, and costs no epsilon. Where noise comes later, the study is refused
(`common.study.compression`). Draws follow from the seed, the round and the hospital; of what is only opened in a sum
they follow from the values too, since steps are large there: a coordinator that foresaw which of a hospital's values
go up and which stay 0 would read single hospitals in the sum.

Where a person withdraws, what was kept is dropped: it was computed from that person too.
"""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from dataclasses import replace
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from client.hospital import Hospital
from common.compression.form import drawn_of, form_of
from common.compression.rotation import Rotation
from common.compression.told import CUT, LOST
from common.compression.whole_steps import WholeSteps
from common.errors import BeyondRangeError, HospitalError, WireError
from common.seeding import generator
from common.study.catalogue import AGGREGATIONS
from common.study.compression import Compression
from common.sums.aggregations._fixed_point import MOST_CLIPPED
from common.sums.exchange import Payload
from common.sums.mean import Mean
from common.sums.update import Update, Vector
from common.wire.train_requests import Order

MEMORY, PACKED = "compression", "update"
WITHDRAWN = "compression/withdrawn"
"""Who had withdrawn when the rest was kept, as a digest: once somebody else has, it is not sent any more."""
LARGEST = float(np.finfo(np.float32).max) / 2
"""Of a value: rounded up to a whole number of steps it still is a float32, and so is what is kept of it."""
Packed = MutableMapping[str, NDArray[np.uint8]]
Values = NDArray[np.floating]


def compressed(
    update: Update, hospital: Hospital, order: Order, memory: MutableMapping[str, Vector], packed: Packed
) -> Update:
    """The update as it is sent, and added up; as it is where the study compresses nothing.

    packed: gets its bytes, where single updates are read.
    """
    compression = hospital.study.federation.compression
    if compression is None:
        return update
    (given,) = update.vectors
    wanted = given.astype(np.float64) + _kept(hospital, compression, memory, given.size)
    if not (wanted.min(initial=0.0) >= -LARGEST and wanted.max(initial=0.0) <= LARGEST):
        raise HospitalError("an update that is not finite, or beyond what float32 holds, cannot be compressed.")
    sent, arrives, told = _sent(compression, wanted, hospital, order, packed)
    if compression.error_feedback:
        memory[MEMORY] = (wanted - arrives).astype(np.float32)
        memory[WITHDRAWN] = _left(hospital)
    if hospital.study.privacy is None:
        told[LOST] = Mean.of([_relative(wanted - arrives, wanted)])
    return replace(update, vectors=(sent,), statistics={**update.statistics, **told})


def written(hospital: Hospital, order: Order, protected: Payload, packed: Packed) -> Payload:
    """The answer with the update's bytes in the place of its numbers, where those are read singly."""
    compression = hospital.study.federation.compression
    if compression is None or protected.array is None or order.work is None:
        return protected
    form = form_of(compression, hospital.study.seed, order.round)
    data = packed.get(PACKED)
    if data is None or not np.array_equal(form.unpack(data, protected.array.size), protected.array):
        data = form.pack(protected.array, _draws(hospital, order))
    return replace(protected, array=None, data=data)


def refuse_cut(update: Update, hospital: Hospital) -> None:
    """Raise BeyondRangeError where more of it was cut to the range of a sum than may be, and no noise covers that."""
    cut = update.statistics.get(CUT)
    if cut is not None and hospital.study.privacy is None and cut.value > MOST_CLIPPED:
        raise BeyondRangeError(f"{cut.value:.0%} of the update's values are beyond the range of the sum.")


def _sent(
    compression: Compression, wanted: NDArray[np.float64], hospital: Hospital, order: Order, packed: Packed
) -> tuple[Values, Values, dict[str, Mean]]:
    """What is handed to the aggregation, what arrives of it, (P,), and what is told beside it."""
    if AGGREGATIONS.load(hospital.study.aggregation.name).reveals == "each":
        form = form_of(compression, hospital.study.seed, order.round)
        packed[PACKED] = form.pack(wanted, _draws(hospital, order))
        arrived = form.unpack(packed[PACKED], wanted.size)
        return arrived, arrived, {}
    if compression.sum_bits is not None:
        return _in_steps(WholeSteps(order.step, compression.sum_bits), wanted, hospital, order)
    drawn = drawn_of(compression, hospital.study.seed, order.round)
    gathered = drawn.gathered(wanted).astype(np.float32)
    return gathered, drawn.spread(gathered, wanted.size), {}


def _in_steps(
    steps: WholeSteps, wanted: NDArray[np.float64], hospital: Hospital, order: Order
) -> tuple[Values, Values, dict[str, Mean]]:
    if not steps.step:
        raise WireError("an order to train must say the step of the sum that the study compresses to.")
    rotation = Rotation(hospital.study.seed, order.round)
    turned = rotation.turned(wanted)
    unforeseen = sha256(np.ascontiguousarray(wanted, "<f8").data).hexdigest()
    rounded = steps.rounded(turned, _draws(hospital, order, unforeseen))
    return rounded, rotation.turned_back(rounded, wanted.size), {CUT: Mean.of([steps.cut(turned)])}


def _kept(hospital: Hospital, compression: Compression, memory: MutableMapping[str, Vector], length: int) -> Vector:
    kept = memory.get(MEMORY)
    if kept is None or not compression.error_feedback or not np.array_equal(memory[WITHDRAWN], _left(hospital)):
        return np.zeros(length, np.float32)
    if kept.shape != (length,):
        raise HospitalError("what compression left here is of another model.")
    return kept


def _left(hospital: Hospital) -> Vector:
    """(32,) digest of all who ever withdrew here: how many left this run is not known where privacy is promised."""
    return np.frombuffer(sha256(json.dumps(sorted(hospital.left)).encode()).digest(), np.uint8).astype(np.float32)


def _draws(hospital: Hospital, order: Order, *values: str) -> np.random.Generator:
    return generator(hospital.study.seed, order.round, hospital.site, "compression", *values)


def _relative(lost: NDArray[np.float64], whole: NDArray[np.float64]) -> float:
    """The length of what was lost beside that of the whole; 0 of nothing."""
    length = float(np.linalg.norm(whole))
    return float(np.linalg.norm(lost)) / length if length else 0.0
