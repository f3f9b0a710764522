import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from client import pool
from common.data.columns import Stacked
from common.study.study import parse

STUDY = """
title = "Pool"
rounds = 1
seed = 1
aggregation = "plain"
strategy = "fedavg"
[source]
name = "medmnist"
folder = "{folder}"
[partition]
name = "iid"
hospitals = 3
[task]
name = "classification"
network = "logistic"
[training]
learning_rate = 0.1
batch_size = 4
steps = 1
"""


@pytest.fixture
def key(tmp_path: Path) -> Iterator[str]:
    rng = np.random.default_rng(0)
    parts = {"train": 30, "val": 6, "test": 6}
    images = {f"{part}_images": rng.integers(0, 255, (n, 8, 8), dtype=np.uint8) for part, n in parts.items()}
    labels = {f"{part}_labels": rng.integers(0, 2, (n, 1), dtype=np.uint8) for part, n in parts.items()}
    np.savez(tmp_path / "set.npz", **images, **labels)
    pool.divided.cache_clear()
    yield pool.key_of(json.loads(parse(STUDY.format(folder=tmp_path)).json))
    pool.divided.cache_clear()
    pool._warmed.clear()


def base(key: str, index: int) -> np.ndarray:
    pool.let_go()
    column = pool.own_cases(pool.Whose(key, f"hospital-{index}")).columns["inputs"]
    assert isinstance(column, Stacked)
    return column.values


def test_hospitals_of_one_process_share_the_pool(key: str) -> None:
    assert np.shares_memory(base(key, 0), base(key, 1))


def test_a_process_of_one_hospital_keeps_its_own_cases_alone(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    everybody = base(key, 0)
    monkeypatch.setenv(pool.ONE_HOSPITAL, "1")
    assert len(base(key, 0)) == 14 < len(everybody)
    assert pool.divided.cache_info().currsize == 0


def test_a_process_forked_from_one_that_read_the_pool_copies_nothing(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(pool.ONE_HOSPITAL, "1")
    pool.warm(key)
    assert np.shares_memory(base(key, 0), base(key, 1))


def test_every_way_of_keeping_gives_the_same_cases(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = pool.own_cases(pool.Whose(key, "hospital-1"))
    monkeypatch.setenv(pool.ONE_HOSPITAL, "1")
    pool.let_go()
    alone = pool.own_cases(pool.Whose(key, "hospital-1"))
    assert shared.inputs.tobytes() == alone.inputs.tobytes()
    assert shared.patients.tolist() == alone.patients.tolist()
