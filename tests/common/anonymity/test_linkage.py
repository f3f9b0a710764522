import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.anonymity.linkage import linked
from common.errors import StudyError

GROUP = np.array([0, 0, 0, 1, 1])
CHOLESTEROL = np.array([200.0, 205.0, 260.0, 180.0, np.nan])
SICK = np.array(["yes", "yes", "no", "no", "no"])


def test_who_is_left_of_a_group_is_counted_by_hand() -> None:
    # 200 and 205 lie within 10 of each other, 260 is alone; nothing known fits everybody of its group.
    found = linked(GROUP, {"chol": CHOLESTEROL}, {"chol": 10.0}, SICK)
    assert found.candidates.tolist() == [2, 2, 1, 2, 2]
    assert found.found == pytest.approx(0.2) and found.guessed == pytest.approx((4 * 0.5 + 1) / 5)
    assert found.known.tolist() == [True] * 5 and found.disclosed == 1.0
    assert linked(GROUP, {}, {}, SICK).known.tolist() == [False, False, False, True, True]


@given(st.integers(1, 30), st.integers(0, 100), st.sampled_from([0.0, 1.0, 5.0]))
def test_candidates_are_those_of_the_obvious_loop(rows: int, seed: int, tolerance: float) -> None:
    rng = np.random.default_rng(seed)
    group, side = rng.integers(0, 4, rows), rng.integers(0, 20, rows).astype(float)
    expected = [
        sum(group[i] == group[j] and abs(side[i] - side[j]) <= tolerance for j in range(rows)) for i in range(rows)
    ]
    assert linked(group, {"x": side}, {"x": tolerance}).candidates.tolist() == expected


def test_side_knowledge_without_a_tolerance_is_refused() -> None:
    with pytest.raises(StudyError, match="'chol'"):
        linked(GROUP, {"chol": CHOLESTEROL}, {})
