"""A private round that is asked for twice: the very same update, charged once; anything else counts, and ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from flwr.app import Message

from client.approved_studies import list_study
from client.hospital import open_hospital, site_names
from client.ledger import Ledger
from client.node import Config, Node, load_app
from client.update_cache import FOLDER, alone, digest_of, keep, recall
from common.learning.client_work import Work
from common.learning.parameters import new_network, read
from common.study.study import Study, parse
from common.sums import identity
from common.sums.exchange import Payload
from common.sums.mean import Mean
from common.sums.update import Update
from common.wire.message_bytes import from_bytes, identify, to_bytes
from common.wire.records import from_records, to_records
from common.wire.train_requests import Order, to_payload

TEXT = """
title = "Outlined"
rounds = 2
source = { name = "phantom", hospitals = 2, patients = [4], slices_per_patient = 1 }
task = { name = "segmentation", network = { name = "unet", channels = 2, depth = 1 } }
strategy = "fedavg"
aggregation = "plain"
training = { batch_size = 2 }
federation = { evaluate_every = 0 }
privacy = { name = "dpsgd", epsilon = 1.0, delta = 1e-3 }
"""
DEPLOYED: Config = {"site-index": 0}


@pytest.fixture
def study() -> Study:
    return parse(TEXT)


@pytest.fixture
def own(study: Study, tmp_path: Path) -> Path:
    """A deployed hospital's folder, its study approved."""
    names = site_names(study)
    public = {name: identity.create(tmp_path / name) for name in names}
    identity.introduce(tmp_path / names[0], public)
    list_study(study, tmp_path / names[0])
    return tmp_path / names[0]


def order(study: Study, number: int, change: float = 0.0) -> Order:
    network = new_network(study.build_task(), open_hospital(study.json, 0).train.shape, study.seed)
    return Order(study.json, number, read(network) + np.float32(change), Work("delta"))


RUNS = [f"{number:032x}" for number in range(4)]


def answered(folder: Path, asked: Order, run: str = "") -> Payload:
    """By a process that was just started."""
    node = Node(load_app("client.app:app"), 1, 1, {**DEPLOYED, "folder": str(folder)})
    identify(1, 1)
    reply = from_bytes(node.answer(to_bytes(Message(to_records(to_payload(asked, run)), 1, "train.round"))))
    return from_records(reply.content, 1 << 24, 1 << 24)


def rounds_charged(folder: Path) -> list[tuple[str, int]]:
    return [(entry.kind, entry.round) for entry in Ledger(folder).contents().entries]


def test_the_same_order_gets_the_very_same_noisy_update_and_is_charged_once(study: Study, own: Path) -> None:
    asked = order(study, 1)
    first, again = answered(own, asked), answered(own, asked)
    assert first.array is not None and again.array is not None
    np.testing.assert_array_equal(first.array, again.array)
    assert rounds_charged(own) == [("charge", 1)]
    (kept,) = (own / FOLDER).iterdir()
    assert kept.stat().st_mode & 0o077 == 0


def test_another_order_is_trained_anew_and_a_study_is_answered_as_often_as_it_has_rounds(
    study: Study, own: Path
) -> None:
    first, other = answered(own, order(study, 2), RUNS[0]), answered(own, order(study, 2, 1e-3), RUNS[1])
    assert first.array is not None and other.array is not None
    assert not np.array_equal(first.array, other.array)
    refused = answered(own, order(study, 2, 2e-3), RUNS[2])
    assert refused.array is None and refused.words == {"refused": "rounds"}
    assert rounds_charged(own) == [("charge", 2), ("charge", 2), ("refused", 2)]
    np.testing.assert_array_equal(answered(own, order(study, 2, 1e-3), RUNS[1]).array, other.array)


def test_another_seed_makes_it_another_study_with_rounds_of_its_own(study: Study, own: Path) -> None:
    again = replace(study, seed=1)
    list_study(again, own)
    for one in (study, again):
        for run, change in zip(RUNS, (0.0, 1e-3), strict=False):
            assert answered(own, order(one, 2, change), run).array is not None
    assert len(rounds_charged(own)) == 4


def test_every_part_of_an_order_is_in_its_digest(study: Study) -> None:
    whole = replace(order(study, 1), control=np.ones(3, np.float32))
    vector = np.zeros(3, np.float32)
    digests = {
        digest_of(whole, None),
        digest_of(whole, vector),
        digest_of(whole, vector + 1),
        digest_of(replace(whole, control=None), None),
        digest_of(replace(whole, round=2), None),
        digest_of(replace(whole, study_json="{}"), None),
        digest_of(replace(whole, work=Work("gradient")), None),
        digest_of(replace(whole, work=Work("delta", 0.1)), None),
        digest_of(replace(whole, clip_norm=0.5), None),
        digest_of(replace(whole, parameters=np.nextafter(whole.parameters, np.float32(9))), None),
    }
    assert len(digests) == 10
    assert digest_of(whole, vector) in digests


def test_what_was_kept_comes_back_whole_and_for_its_own_order_alone(tmp_path: Path) -> None:
    vectors = (np.array([1, np.pi, -1e-30], np.float32), np.array([0, 2, 3], np.float32))
    update = Update(vectors, 7.25, {"loss": Mean.of([0.1, 0.2])})
    keep(tmp_path, "study", "a" * 64, update, 12)
    found = recall(tmp_path, "study", "a" * 64)
    assert found is not None
    kept, steps = found
    assert (kept.weight, dict(kept.statistics), steps) == (7.25, dict(update.statistics), 12)
    for one, other in zip(kept.vectors, vectors, strict=True):
        np.testing.assert_array_equal(one, other)
    assert recall(tmp_path, "study", "b" * 64) is None
    assert recall(tmp_path, "another", "a" * 64) is None
    assert recall(tmp_path / "absent", "study", "a" * 64) is None
    keep(None, "study", "a" * 64, update, 12)
    assert recall(None, "study", "a" * 64) is None


@pytest.mark.parametrize("damaged", [b"", b"\x00" * 40, b'{"a"', bytes(range(256))])
def test_what_is_damaged_is_another_order_and_is_written_anew(damaged: bytes, study: Study, own: Path) -> None:
    first = answered(own, order(study, 1))
    (kept,) = (own / FOLDER).iterdir()
    kept.write_bytes(damaged)
    again = answered(own, order(study, 1))
    assert again.array is not None and not np.array_equal(first.array, again.array)
    assert rounds_charged(own) == [("charge", 1), ("charge", 1)]
    np.testing.assert_array_equal(answered(own, order(study, 1)).array, again.array)


def test_who_comes_second_waits_and_finds_what_the_first_kept(tmp_path: Path) -> None:
    found, entered = [], Event()

    def second() -> None:
        entered.set()
        with alone(tmp_path):
            found.append(recall(tmp_path, "study", "a" * 64))

    with alone(tmp_path):
        thread = Thread(target=second)
        thread.start()
        assert entered.wait(300)
        thread.join(0.2)
        assert thread.is_alive()
        keep(tmp_path, "study", "a" * 64, Update((np.ones(2, np.float32),), 1.0), 3)
    thread.join(300)
    assert found[0] is not None and found[0][1] == 3
