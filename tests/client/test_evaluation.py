from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from client import evaluation
from common.data.cases import Cases


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=0, max_size=12), st.randoms())
def test_batches_hold_every_case_once_and_part_no_patient(sizes: list[int], random: object) -> None:
    patients = np.array([f"p{index}" for index, size in enumerate(sizes) for _ in range(size)], dtype=str)
    random.shuffle(order := list(range(len(patients))))  # type: ignore[attr-defined]
    patients = patients[order]
    count = len(patients)
    cases = Cases.of(np.zeros((count, 1), np.float32), np.zeros(count, np.int64), patients, ("a", "b"))
    batches = list(evaluation._whole_patients(cases))
    together = np.concatenate(batches) if batches else np.array([])
    assert sorted(together.tolist()) == list(range(count))
    owners = [set(patients[indices]) for indices in batches]
    assert sum(map(len, owners)) == len(set(patients))
    assert all(len(b) <= evaluation.CASES_A_BATCH or len(o) == 1 for b, o in zip(batches, owners, strict=True))
