"""What exact tables tell together: differencing pairs and trackers are found by words alone, and no honest set is."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.asking.differences import ExactTable, same_rows, sets_of, undeclared
from common.asking.predicates import EVERY, parse, parse_all
from common.asking.records import Records
from common.errors import StudyError

LEVELS = {"sex": ("f", "m"), "grade": ("1", "2", "3")}


def tables(*given: str) -> list[ExactTable]:
    """ "where / by" each."""
    parted = [one.partition("/") for one in given]
    return [
        ExactTable(text, parse_all([w] if w.strip() else []), by.strip())
        for text, (w, _, by) in zip(given, parted, strict=True)
    ]


HARMLESS = [
    [""],
    ["", "/sex"],
    ["/sex", "sex = f"],
    ["/sex", "/grade", ""],
    ["age < 50", "age >= 60"],
    ["", "age >= 60", "age < 60 or age is missing"],
    ["age >= 60", "not age < 60"],
    ["sex = f", "sex != m"],
    ["", "/site"],
    ["", "/site, kind=a|b"],
    ["/sex, grade", "sex = f"],
    ["age >= 60/sex", "age >= 60"],
]
TELLING = {
    ("/kind=a|b", "kind = a and age > 3"): "rows with kind = a but those with age > 3 and kind = a",
    ("", "age >= 60"): "all rows but those with age >= 60",
    ("age >= 60", "age > 60"): "rows with age >= 60 but those with age > 60",
    ("/sex", "sex = f and age = 61"): "sex = f but those with age = 61 and sex = f",
    ("age = 61 or sex = m", "age != 61 or sex = m", ""): "age = 61",
}


@pytest.mark.parametrize("given_", HARMLESS, ids=str)
def test_tables_that_tell_only_what_they_name(given_: list[str]) -> None:
    assert undeclared(tables(*given_), LEVELS) == ()


@pytest.mark.parametrize("given_", TELLING, ids=str)
def test_tables_that_tell_of_others_are_named_with_whom(given_: tuple[str, ...]) -> None:
    found = undeclared(tables(*given_), LEVELS)
    assert found and any(TELLING[given_] in one.rows for one in found)


def test_denning_trackers_are_found() -> None:
    """The characteristic C is asked nowhere: by a general tracker T its sum is q(C or T) + q(C or not T) - q(all)."""
    asked = tables("hiv = yes or t = 1", "hiv = yes or t != 1", "t = 1", "t != 1")
    assert undeclared(asked, {"t": ("1", "2"), "hiv": ("yes", "no")})
    individual = tables("age = 61", "age = 61 and not hiv = yes")
    assert "hiv != yes" in undeclared(individual, {})[0].rows


def test_groups_that_an_analysis_makes_by_itself_count() -> None:
    by_sex = ExactTable("ttest chol sex", EVERY, "", (("sex", ("f", "m")),))
    found = {one.rows for one in undeclared([by_sex, *tables("sex = f and age != 47")], LEVELS)}
    assert "rows with sex = f but those with age != 47 and sex = f" in found
    both = ExactTable("cross_table", EVERY, "", (("grade", ("1", "2", "3")), ("sex", ("f", "m"))))
    assert undeclared([both, *tables("sex = f and grade = 2", "/sex")], LEVELS) == ()
    assert undeclared([both, *tables("sex = f and grade = 2 and age != 47")], LEVELS)
    many = ExactTable("linear", EVERY, "", tuple((f"c{k}", ("a", "b", "c")) for k in range(12)))
    assert undeclared([many], {}) == ()


def test_what_is_too_much_to_be_checked_is_refused_and_not_waved_through() -> None:
    many = tables(*(" and ".join(f"c{column} > {bound}" for column in range(8)) for bound in range(4)))
    with pytest.raises(StudyError, match="name fewer columns"):
        undeclared(many, {})


def test_the_same_rows_in_other_words() -> None:
    assert same_rows(parse("not age < 60"), parse("age >= 60"), LEVELS)
    assert same_rows(parse("sex = f"), parse("sex != m"), LEVELS)
    assert not same_rows(parse("sex = f"), parse("sex != m"), {})
    assert not same_rows(parse("age > 60"), parse("age >= 60"), LEVELS)


SMALL = st.lists(
    st.sampled_from(
        ["", "sex = f", "sex = m", "grade = 1", "grade in (1, 2)", "sex = f and grade = 1", "/sex", "/grade"]
    )
    | st.sampled_from(["sex = f or grade = 3", "grade != 2", "sex is missing", "sex = m/grade"]),
    min_size=1,
    max_size=4,
)


@given(SMALL)
def test_no_single_region_follows_that_is_not_found(given_: list[str]) -> None:
    """The oracle: a region's sum follows from the cells' where least squares over all regions meets it exactly."""
    asked = tables(*given_)
    cells = [cell for table in asked for cell in table.cells(LEVELS)]
    atoms = sets_of(cells, LEVELS)
    regions = np.unique(atoms, axis=1)
    regions = regions[:, regions.any(axis=0)].astype(float)
    alone = np.eye(regions.shape[1])
    fitted = np.linalg.lstsq(regions.T, alone, rcond=None)[0]
    follows = np.isclose(regions.T @ fitted, alone, atol=1e-8).all(axis=0)
    is_cell = [(regions == unit).all(axis=1).any() for unit in alone]
    if any(follow and not cell for follow, cell in zip(follows, is_cell, strict=True)):
        assert undeclared(asked, LEVELS)


def test_sets_are_those_of_rows() -> None:
    cells = [parse("sex = f and grade != 2"), parse("grade is missing or sex is missing")]
    rows = list(product(("f", "m", ""), ("1", "2", "3", "")))
    columns = {"sex": np.array([one for one, _ in rows]), "grade": np.array([other for _, other in rows])}
    records = Records(columns, np.array([str(index) for index in range(len(rows))]))
    found = {tuple(column) for column in sets_of(cells, LEVELS).T}
    assert found == {tuple(cell) for cell in np.stack([one.rows(records) for one in cells]).T}
