"""What compression takes from an update comes later, but where somebody withdrew; and nothing else is told of it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from client.compressed_updates import MEMORY, PACKED, compressed, refuse_cut, written
from client.hospital import Hospital
from common.errors import BeyondRangeError, HospitalError, WireError
from common.learning.client_work import Work
from common.study.study import parse
from common.sums.exchange import Payload
from common.sums.update import Update
from common.wire.decoding import update_to_payload
from common.wire.train_requests import Order
from server.compressed_rounds import in_full_sum
from tests.common.test_compression_settings import SECAGG, TEXT

LENGTH = 301
KINDS: dict[str, tuple[str, ...]] = {
    "bfloat16": ("federation.compression={kind='bfloat16'}",),
    "int8": ("federation.compression={kind='int8'}",),
    "int4": ("federation.compression={kind='int4', block=16}",),
    "top_k": ("federation.compression={kind='top_k', share=0.02}",),
    "random_k": ("federation.compression={kind='random_k', share=0.1}",),
    "int8 in sums": ("federation.compression={kind='int8'}", SECAGG),
    "random_k in sums": ("federation.compression={kind='random_k', share=0.1}", "aggregation=secagg"),
}


def hospital_of(*overrides: str, left: frozenset[str] = frozenset()) -> Hospital:
    """All that is asked of one."""
    return cast(Hospital, SimpleNamespace(study=parse(TEXT, overrides), site="hospital-1", left=left))


def order_of(number: int, **changed: Any) -> Order:
    return replace(Order("", number, np.zeros(LENGTH, np.float32), Work("delta")), step=0.01, **changed)


def updates(rounds: int) -> list[Update]:
    """Small ones, and in every third round a few values beyond the range of the sum."""
    rng = np.random.default_rng(3)
    made = [rng.normal(0, 0.4, LENGTH).astype(np.float32) for _ in range(rounds)]
    for one in made[::3]:
        one[:2] = 5.0
    return [Update((one,), 9.0) for one in made]


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_sent_and_what_is_kept_add_up_to_what_was_computed(kind: str) -> None:
    hospital, memory = hospital_of(*KINDS[kind]), cast(dict[str, Any], {})
    true, sent = np.zeros(LENGTH), np.zeros(LENGTH)
    for number, update in enumerate(updates(9), 1):
        arrives = compressed(update, hospital, order_of(number), memory, {})
        true += update.vectors[0]
        (arrived,) = (arrives if arrives.vectors[0].size == LENGTH else _in_full(arrives, hospital, number)).vectors
        sent += arrived
        assert np.abs(sent + memory[MEMORY] - true).max() < 1e-5
        assert np.abs(memory[MEMORY]).max() > 0


def _in_full(update: Update, hospital: Hospital, number: int) -> Update:
    return in_full_sum(update, hospital.study, number, LENGTH)


def test_the_told_loss_is_the_length_of_what_is_kept_beside_what_was_to_be_sent() -> None:
    hospital, memory = hospital_of(*KINDS["top_k"]), cast(dict[str, Any], {})
    (update,) = updates(1)
    arrives = compressed(update, hospital, order_of(1), memory, {})
    due = np.linalg.norm(memory[MEMORY]) / np.linalg.norm(update.vectors[0])
    assert arrives.statistics["compression_error"].value == pytest.approx(due, rel=1e-6)


def test_without_feedback_nothing_is_kept_and_draws_follow_from_the_round() -> None:
    hospital = hospital_of("federation.compression={kind='int4', error_feedback=false}")
    memory: dict[str, Any] = {}
    (update,) = updates(1)
    one, again, other = (compressed(update, hospital, order_of(at), memory, {}) for at in (1, 1, 2))
    assert not memory
    assert np.array_equal(one.vectors[0], again.vectors[0])
    assert not np.array_equal(one.vectors[0], other.vectors[0])


def test_what_was_kept_goes_once_a_person_withdraws() -> None:
    """Whoever it is: a number of them stands still where privacy is promised, and starts anew with data accepted."""
    memory: dict[str, Any] = {}
    (first, second) = updates(2)
    compressed(first, hospital_of(*KINDS["top_k"], left=frozenset({"a"})), order_of(1), memory, {})
    after = compressed(second, hospital_of(*KINDS["top_k"], left=frozenset({"b"})), order_of(2), memory, {})
    fresh = compressed(second, hospital_of(*KINDS["top_k"]), order_of(2), {}, {})
    assert np.array_equal(after.vectors[0], fresh.vectors[0])


def test_a_hospital_more_of_whose_values_would_be_cut_sends_nothing_unless_noise_covers_it() -> None:
    _, update = updates(2)
    wide = Update((update.vectors[0] * 9,), 9.0)
    hospital = hospital_of(*KINDS["int8 in sums"])
    refuse_cut(compressed(update, hospital, order_of(1), {}, {}), hospital)
    with pytest.raises(BeyondRangeError, match="beyond the range"):
        refuse_cut(compressed(wide, hospital, order_of(1), {}, {}), hospital)
    noised = hospital_of(*KINDS["int8 in sums"], "privacy={name='dpsgd', noise_multiplier=1.0, delta=0.001}")
    sent = compressed(wide, noised, order_of(1), {}, {})
    refuse_cut(sent, noised)
    assert set(sent.statistics) == {"clipped"}


def test_what_cannot_be_compressed_is_an_error_of_the_hospitals_own() -> None:
    hospital = hospital_of(*KINDS["int8"])
    with pytest.raises(HospitalError, match="not finite"):
        compressed(Update((np.full(LENGTH, np.inf, np.float32),), 9.0), hospital, order_of(1), {}, {})
    memory: dict[str, Any] = {}
    with pytest.raises(HospitalError, match="beyond what float32 holds"):
        compressed(Update((np.full(LENGTH, 3.4e38, np.float32),), 9.0), hospital, order_of(1), memory, {})
    assert not memory
    compressed(Update((np.full(LENGTH, 1.7e38, np.float32),), 9.0), hospital, order_of(1), memory, {})
    assert np.isfinite(memory.pop(MEMORY)).all()
    compressed(updates(1)[0], hospital, order_of(1), memory, {})
    with pytest.raises(HospitalError, match="another model"):
        compressed(Update((np.ones(3, np.float32),), 9.0), hospital, order_of(2), memory, {})
    with pytest.raises(WireError, match="must say the step"):
        compressed(updates(1)[0], hospital_of(*KINDS["int8 in sums"]), replace(order_of(1), step=0.0), {}, {})


def test_the_answer_holds_the_bytes_and_no_number_of_the_update() -> None:
    hospital, packed = hospital_of(*KINDS["int8"]), cast(dict[str, Any], {})
    update = compressed(updates(1)[0], hospital, order_of(1), {}, packed)
    answer = written(hospital, order_of(1), update_to_payload(update), packed)
    assert answer.array is None and answer.data is packed[PACKED]
    changed = Payload(update.vectors[0] + 1, {"weight": 9.0})  # by an aggregation, or an attack, of its own
    assert written(hospital, order_of(1), changed, packed).data is not packed[PACKED]
