"""What a reconstruction's similarity to the right patient has to stand out from."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from experiments.audit.questions._similarity import fitted, ssim
from experiments.audit.questions._similarity_to_patients import rivals
from experiments.evidence.ground_truth import Truth


def crowd(inputs: NDArray[np.float32], patients: str) -> Truth:
    return Truth(inputs, np.zeros(len(inputs), np.int64), tuple(patients), ("a",) * len(inputs))


def test_a_record_is_compared_with_all_but_those_behind_the_update() -> None:
    rng = np.random.default_rng(0)
    records = rng.normal(size=(5, 6)).astype(np.float32)
    everybody = crowd(records, "pqqrs")
    found = records[1:2] + 0.1 * records[3:4]
    by_hand = max(np.corrcoef(found[0], records[index])[0, 1] for index in (0, 3, 4))
    assert rivals(found, crowd(records[1:2], "q"), everybody, 1.0) == [pytest.approx(by_hand)]


def test_an_image_is_compared_by_structural_similarity() -> None:
    images = np.random.default_rng(1).normal(size=(4, 1, 16, 16)).astype(np.float32)
    found = images[:1] + images[2:3]
    by_hand = max(ssim(images[index], fitted(images[index], found[0]), 5.0) for index in (1, 2, 3))
    assert rivals(found, crowd(images[:1], "p"), crowd(images, "pqrs"), 5.0) == [pytest.approx(by_hand)]


def test_without_others_there_is_no_rival() -> None:
    records = np.ones((2, 3), np.float32)
    assert rivals(records, crowd(records, "pp"), crowd(records, "pp"), 1.0) == [0.0, 0.0]
