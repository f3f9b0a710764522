"""A task reads data by the operator that the source measured them with, or the study is refused."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from common.errors import StudyError
from common.study.operator_checks import check_operators
from common.study.options import Entry


@dataclass(frozen=True)
class Measuring:
    operators: tuple[Entry, ...]


@dataclass(frozen=True)
class Reading:
    operator: Entry


def check(measured: Entry, read: Entry) -> None:
    check_operators(Measuring((read, measured)), Reading(read))


@pytest.mark.parametrize(
    ("measured", "read"),
    [
        (Entry("cartesian_mri", {"acceleration": 6.0, "axis": 1}), Entry("cartesian_mri")),
        (
            Entry("downsampling", {"factor": 4, "kernel": "gaussian", "sd_pixels": 2.4, "reach_pixels": 6}),
            Entry("downsampling", {"factor": 4, "kernel": "gaussian", "reach_pixels": 6}),
        ),
        (Entry("blur", {"sd_pixels": 1.0}), Entry("blur", {"sd_pixels": 2.0})),
        (Entry("ct", {"views": 30, "measured_views": 10}), Entry("ct", {"views": 30})),
    ],
)
def test_what_travels_with_a_case_may_differ(measured: Entry, read: Entry) -> None:
    check(measured, read)


@pytest.mark.parametrize(
    ("measured", "read", "told"),
    [
        (Entry("denoising"), Entry("cartesian_mri"), "complex images"),
        (Entry("denoising"), Entry("inpainting"), "with a case travel no parameters"),
        (Entry("downsampling", {"factor": 4}), Entry("downsampling", {"factor": 2}), "such as factor"),
        (Entry("blur", {"boundary": "periodic"}), Entry("blur", {"boundary": "reflect"}), "such as boundary"),
        (Entry("ct", {"views": 30, "kernel": "strip"}), Entry("ct", {"views": 30, "kernel": "line"}), "kernel"),
    ],
)
def test_an_operator_that_would_misread_the_data_is_refused(measured: Entry, read: Entry, told: str) -> None:
    with pytest.raises(StudyError, match=r"source.operators\[1\]") as refused:
        check(measured, read)
    assert told in str(refused.value)


def test_whatever_has_no_operator_is_not_asked() -> None:
    check_operators(object(), Reading(Entry("blur")))
    check_operators(Measuring((Entry("blur"),)), object())
