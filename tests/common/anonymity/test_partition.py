import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.anonymity.criteria import Criteria, closeness, diversity
from common.anonymity.domains import NumberDomain, WordDomain
from common.anonymity.partition import Group, counted, nodes_of, partition, parts_of
from common.anonymity.release import achieved, information_loss, suppressible, words
from common.errors import StudyError, WireError

AGE = NumberDomain.grid("age", 20, 29, 1)
PAIN = WordDomain(
    "pain",
    ("typical", "none", "atypical", "other"),
    {"typical": "angina", "atypical": "angina", "none": "no angina", "other": "no angina"},
)


def cut(codes: np.ndarray, criteria: Criteria, sensitive: np.ndarray | None = None) -> tuple[Group, ...]:
    rows = np.zeros(len(codes), np.int64) if sensitive is None else sensitive
    values = int(rows.max()) + 1
    domains = [AGE, PAIN][: codes.shape[1]]
    everybody = np.bincount(rows, minlength=values)
    return partition(
        domains,
        criteria,
        everybody,
        lambda tree, parts: counted(codes, rows, values, nodes_of(codes, tree.arrays()), parts),
    )[1]


def ages(*values: float) -> np.ndarray:
    return AGE.codes(np.array(values))[:, None]


def test_six_ages_part_at_the_median_into_ranges_that_rows_span() -> None:
    groups = cut(ages(20, 21, 22, 25, 27, 29), Criteria(k=3))
    assert [words([AGE], group) for group in groups] == [("22 or less",), ("25 or more",)]
    # Widths 2 and 4 of 9.
    assert information_loss([AGE], groups) == pytest.approx((3 * 2 / 9 + 3 * 4 / 9) / 6)


def test_rows_of_one_value_never_part_and_the_nearest_cut_that_holds_is_taken() -> None:
    groups = cut(ages(20, 25, 25, 25, 25, 26, 27), Criteria(k=2))
    assert sorted((group.rows, *words([AGE], group)) for group in groups) == [(2, "26 to 27"), (5, "25 or less")]


def test_a_group_of_a_hierarchy_is_released_by_its_name() -> None:
    column = np.array(["typical", "atypical", "none", "other", "typical", "none"])
    groups = cut(np.stack([ages(*[20.0] * 6)[:, 0], PAIN.codes(column)], axis=1), Criteria(k=3))
    assert sorted(words([AGE, PAIN], group) for group in groups) == [
        ("20 or less", "angina"),
        ("20 or less", "no angina"),
    ]
    assert PAIN.says(*PAIN.widened(1, 4)) == "{atypical, typical, none, other}"


def test_what_is_not_written_down_is_a_value_of_its_own() -> None:
    groups = cut(ages(np.nan, np.nan, 20, 21, np.nan, 22), Criteria(k=3))
    assert sorted(words([AGE], group) for group in groups) == [("22 or less",), ("unknown",)]
    assert AGE.says(0, 3) == "unknown or 22 or less"
    assert cut(ages(np.nan, 20, 21), Criteria(k=3))[0].low == (0,)


def test_k_l_and_t_are_those_that_pycanon_gives() -> None:
    # pycanon 1.3.5 of twelve rows in three groups: k 3, l 2, entropy l 1 (rounded down), t .41666666666666663 of the
    # values as words, and .25 as the numbers 1, 2, 3.
    groups = np.array([[2, 1, 1], [2, 3, 0], [1, 0, 2]])
    everybody = groups.sum(axis=0)
    assert groups.sum(axis=1).min() == 3 and diversity(groups, "distinct").min() == 2
    assert int(diversity(groups, "entropy").min()) == 1
    assert closeness(groups, everybody, "equal").max() == pytest.approx(0.41666666666666663, abs=1e-15)
    assert closeness(groups, everybody, "ordered").max() == pytest.approx(0.25, abs=1e-15)


def test_a_value_of_a_coarse_grid_stands_for_all_up_to_the_next_and_its_ends_for_all_beyond() -> None:
    grid = NumberDomain.grid("age", 20, 60, 10)
    said = [grid.says(1, 1), grid.says(2, 3), grid.says(5, 5), grid.says(1, 5)]
    assert said == ["below 30", "30 to below 50", "60 or more", "any"]
    assert grid.width(np.array([1, 2, 1, 0]), np.array([1, 3, 5, 0])).tolist() == pytest.approx([0.2, 0.4, 1, 0])
    assert grid.width(np.array([0]), np.array([1])).tolist() == [1.0]


def test_recursive_diversity_and_a_hierarchical_distance_are_those_worked_out_by_hand() -> None:
    # 4, 3, 2, 1: with c = 2, 4 < 2 (3 + 2 + 1) and 4 < 2 (2 + 1), not 4 < 2 * 1; six of one kind keep none but l = 1.
    assert diversity(np.array([[1, 4, 2, 3], [0, 6, 0, 0]]), "recursive", 2.0).tolist() == [3, 1]
    # Codes: unknown, atypical, typical, none, other. Within a group half the way up, across all of it.
    groups = np.array([[0, 2, 0, 0, 0], [0, 1, 1, 0, 0]])
    found = closeness(groups, np.array([0, 1, 1, 1, 1]), "hierarchical", PAIN.branches)
    assert found.tolist() == pytest.approx([0.25 * 0.5 + 0.5, 0.5])
    assert closeness(groups, np.array([2, 0, 0, 0, 0]), "hierarchical", PAIN.branches).tolist() == [1.0, 1.0]


def test_the_widest_groups_are_left_out_as_long_as_the_others_keep_the_criteria() -> None:
    groups = cut(ages(20, 20, 20, 21, 21, 29, 24, 27), Criteria(k=2))
    widest = max(groups, key=lambda group: AGE.width(np.array(group.low), np.array(group.high))[0])
    kept = suppressible([AGE], groups, Criteria(k=2), 0.4)
    assert widest not in kept and sum(group.rows for group in groups) - sum(one.rows for one in kept) <= 3
    assert suppressible([AGE], groups, Criteria(k=2), 0.1) == groups


def test_diversity_and_closeness_are_those_worked_out_by_hand() -> None:
    groups, everybody = np.array([[2, 2, 0], [0, 0, 4]]), np.array([2, 2, 4])
    assert diversity(groups, "distinct").tolist() == [2, 1]
    assert diversity(groups, "entropy").tolist() == pytest.approx([2, 1])
    # (1/2, 1/2, 0) against (1/4, 1/4, 1/2): half of 1/4 + 1/4 + 1/2; ordered: (1/4 + 1/2) / 2.
    assert closeness(groups, everybody, "equal").tolist() == pytest.approx([0.5, 0.5])
    assert closeness(groups, everybody, "ordered").tolist() == pytest.approx([0.375, 0.375])


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    rows = draw(st.integers(6, 60))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    codes = np.stack([rng.integers(0, len(AGE), rows), rng.integers(0, len(PAIN), rows)], axis=1)
    return codes, rng.integers(0, 3, rows)


@settings(max_examples=40)
@given(tables(), st.integers(1, 6), st.sampled_from([1, 2]), st.sampled_from([0.4, 1.0]))
def test_every_group_keeps_the_criteria_and_no_row_is_lost(
    table: tuple[np.ndarray, np.ndarray], k: int, diverse: int, close: float
) -> None:
    codes, sensitive = table
    criteria = Criteria(k, diverse, close)
    everybody = np.bincount(sensitive, minlength=3)
    if not criteria.hold(everybody[None], everybody)[0]:
        return
    groups = cut(codes, criteria, sensitive)
    has = achieved(groups, criteria)
    assert has["k"] >= k and has["l"] >= diverse and has["t"] <= close + 1e-12
    assert sum(group.rows for group in groups) == len(codes)
    for group in groups:
        inside = np.all((codes >= group.low) & (codes <= group.high), axis=1)
        assert inside.sum() >= group.rows


@settings(max_examples=30)
@given(tables(), st.integers(2, 6))
def test_hospitals_counts_give_the_partition_of_all_rows(table: tuple[np.ndarray, np.ndarray], k: int) -> None:
    codes, sensitive = table
    whole = cut(codes, Criteria(k), sensitive)
    everybody, halves = np.bincount(sensitive, minlength=3), [slice(0, 3), slice(3, None)]

    def count(tree, parts):  # type: ignore[no-untyped-def]
        found = [
            counted(codes[half], sensitive[half], 3, nodes_of(codes[half], tree.arrays()), parts) for half in halves
        ]
        return [left + right for left, right in zip(*found, strict=True)]

    if sensitive.max() == 2:
        assert partition([AGE, PAIN], Criteria(k), everybody, count)[1] == whole


def test_cuts_that_are_no_tree_are_refused() -> None:
    leaf = np.array([0])
    good = (np.array([0, -1, -1]), np.array([3, 0, 0]), np.array([1, 0, 0]))
    assert parts_of([AGE], good, np.array([1, 2])).high.tolist() == [[3], [10]]
    bad = {
        "child before its parent": (np.array([0, -1, -1]), np.array([3, 0, 0]), np.array([0, 0, 0])),
        "column that is none": (np.array([7, -1, -1]), np.array([3, 0, 0]), np.array([1, 0, 0])),
        "empty half": (np.array([0, -1, -1]), np.array([10, 0, 0]), np.array([1, 0, 0])),
        "odd number": (np.array([-1, -1]), np.array([0, 0]), np.array([0, 0])),
    }
    for tree in bad.values():
        with pytest.raises(WireError):
            parts_of([AGE], tree, leaf)
    with pytest.raises(WireError, match="ends"):
        parts_of([AGE], good, leaf)


def test_a_domain_that_cannot_be_is_refused() -> None:
    with pytest.raises(StudyError, match="grid"):
        NumberDomain.grid("age", 0, 10, 0)
    with pytest.raises(StudyError, match="circle"):
        WordDomain("pain", ("a", "b"), {"a": "b", "b": "a"})
    with pytest.raises(StudyError, match="distinct"):
        Criteria(diversity="distinc")  # type: ignore[arg-type]
