"""Planted collapses of real tasks are caught and healthy runs are quiet: the benchmark's federation, made smaller."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from experiments.benchmarks import _collapse_federation as federation
from experiments.benchmarks._collapse_federation import Way, first_alarm, reset_teacher

ROUNDS = 3


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch) -> NDArray[np.float32]:
    """(N, 1, 8, 8): a bright square somewhere."""
    monkeypatch.setattr(federation, "TRAINED", 32)
    rng = np.random.default_rng(0)
    found = rng.uniform(0, 0.2, (3 * (32 + federation.SCORED), 1, 8, 8)).astype(np.float32)
    for one, row, column in zip(found, *rng.integers(0, 5, (2, len(found))), strict=True):
        one[0, row : row + 3, column : column + 3] += 0.7
    return found


@pytest.mark.parametrize("method", ["simclr", "mae"])
def test_a_healthy_run_is_quiet(images: NDArray[np.float32], method: str) -> None:
    assert first_alarm(Way(method), images, 1, ROUNDS) is None


def test_one_prototype_for_all_is_caught(images: NDArray[np.float32]) -> None:
    options = {"prototypes": 16, "centre_momentum": 1.0, "momentum": 0.5, "teacher_temperature": 0.01}
    assert first_alarm(Way("dino", "one", options, {"learning_rate": 3e-3}), images, 1, 6) is not None


def test_a_teacher_that_is_the_student_itself_is_caught(images: NDArray[np.float32]) -> None:
    way = Way("byol", "reset", {"centre_momentum": 1.0}, {"learning_rate": 5e-3}, reset_teacher)
    assert first_alarm(way, images, 1, 20) is not None


@pytest.mark.parametrize("method", ["simclr", "byol", "dino", "ijepa"])
def test_images_that_are_all_alike_are_told_before_the_first_round(images: NDArray[np.float32], method: str) -> None:
    assert first_alarm(Way(method, "alike", constant=True), images, 1, 0) == 0
