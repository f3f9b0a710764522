"""The fingerprint of images: medians that numpy finds too, from histograms that add up."""

from __future__ import annotations

import numpy as np
import pytest

from common.analyses.fingerprint import FingerprintOfImages
from common.asking.analysis import Public, Query
from common.asking.images import SIDES, SPACINGS, counted, nearest
from common.asking.pooled import ask_tables
from common.asking.records import Records
from common.errors import AnalysisError, StudyError

FACTS = ("low", "high", "air", "filled", "outlined", "smallest", "channels")


def hospital(site: str, sides: list[float], spacing: list[float], **facts: float) -> Records:
    count = len(sides)
    columns = {f"image_{name}": np.full(count, facts.get(name, 1.0)) for name in FACTS}
    for axis in range(2):
        columns |= {f"image_side_{axis}": np.array(sides, float), f"image_spacing_{axis}": np.array(spacing, float)}
    return Records(columns, np.array([f"{site}{row}" for row in range(count)]), site)


def test_medians_over_hospitals_are_those_of_all_cases_together() -> None:
    tables = [hospital("a", [40, 44, 48], [1, 1, 1]), hospital("b", [90, 100], [1, 1], low=-3.0)]
    numbers = ask_tables(FingerprintOfImages(axes=2), tables).answer.numbers
    assert numbers["sides"][0]["median"] == np.median([40, 44, 48, 90, 100]) == 48
    assert (numbers["sides"][1]["low"], numbers["sides"][1]["most"]) == (40, 100)
    assert numbers["resampled"] == []
    assert numbers["cases"] == 5


def test_where_spacing_differs_a_second_round_counts_voxels_at_the_target() -> None:
    asked = ask_tables(
        FingerprintOfImages(axes=2), [hospital("a", [40, 40, 40], [1, 1, 1]), hospital("b", [60], [2.0])]
    )
    assert [query.step for query, _ in asked.rounds] == ["", "resampled"]
    assert np.array(asked.rounds[1][0].tells["target_mm"]).tolist() == [1.0, 1.0]
    assert asked.answer.numbers["resampled"][0]["most"] == 120  # 60 voxels of 2 mm


def test_one_case_without_spacing_leaves_all_as_they_are() -> None:
    numbers = ask_tables(FingerprintOfImages(axes=2), [hospital("a", [40, 40], [1, np.nan])]).answer.numbers
    assert numbers["spacing_mm"] == numbers["resampled"] == []


def test_air_at_minus_1000_is_counted_as_hounsfield_units() -> None:
    tables = [hospital("a", [40, 40], [1, 1], air=-1000.0), hospital("b", [40, 40], [1, 1], air=0.0)]
    assert ask_tables(FingerprintOfImages(axes=2), tables).answer.numbers["hounsfield"] == 0.5


@pytest.mark.parametrize("grid", [SIDES, SPACINGS])
def test_a_number_is_in_the_bin_of_the_nearest_middle(grid: np.ndarray) -> None:
    values = np.random.default_rng(0).uniform(grid[0], grid[-1], 200)
    slow = [int(np.argmin(np.abs(grid - value))) for value in values]
    assert nearest(values, grid).tolist() == slow
    assert counted(np.array([np.nan, np.inf, -np.inf]), grid)[[0, -2, -1]].tolist() == [1, 1, 1]


def test_no_case_and_a_case_of_other_axes_are_refused() -> None:
    with pytest.raises(AnalysisError, match="no hospital has a training case"):
        ask_tables(FingerprintOfImages(axes=2), [hospital("a", [], [])])
    with pytest.raises(StudyError, match="image_side_2"):
        ask_tables(FingerprintOfImages(axes=3), [hospital("a", [4], [1])])


def test_a_target_between_the_grids_spacings_tells_nothing() -> None:
    analysis, records = FingerprintOfImages(axes=2), hospital("a", [40, 40], [1, 2])
    conversation = analysis.ask(Public())
    parts = next(conversation).parts
    found = [
        analysis.summarise(records, Query(parts, {"target_mm": np.array([mm, 1.0])}, "resampled"))["image_side_0"]
        for mm in (1.0, 1.001)
    ]
    assert [one[-1] for one in found] == [0, 2]
