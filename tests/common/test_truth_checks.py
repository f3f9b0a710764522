"""A study of images without labels may ask for nothing that goes by them, and is told what it reads in vain."""

from __future__ import annotations

import pytest

from common.errors import StudyError
from common.study.study import parse
from common.study.training_words import training_remarks

TEXT = """
title = "Images alone"
strategy = "fedavg"
source = { name = "images", unlabelled = true }
partition = { name = "quantity", hospitals = 3 }
task = "simclr"
"""


def test_images_alone_are_enough_for_a_task_without_labels() -> None:
    assert not [one for one in training_remarks(parse(TEXT)) if "label" in one]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("task=classification", "task 'classification' learns from them.*mae.*simclr"),
        ("partition.name=dirichlet", "'dirichlet' divides by them: choose 'iid' or 'quantity'"),
        ("partition.name=shards", "'shards' divides by them"),
        ("training.sampling=by_class", "draws by them"),
    ],
)
def test_what_goes_by_labels_is_refused_where_none_are_read(override: str, said: str) -> None:
    with pytest.raises(StudyError, match=f"unlabelled = true reads no labels.*{said}"):
        parse(TEXT, [override])


def test_a_share_of_labels_is_for_the_study_that_goes_on() -> None:
    with pytest.raises(StudyError, match=r"learns without labels, and training.label_share is of labels"):
        parse(TEXT, ["training.label_share=0.1"])


def test_a_batch_of_one_is_refused_where_cases_are_compared() -> None:
    with pytest.raises(StudyError, match="batch_size = 1 leaves none to compare with: set it to 2 or more"):
        parse(TEXT, ["training.batch_size=1"])
    assert parse(TEXT, ["training.batch_size=1", "task=mae"])


@pytest.mark.parametrize(
    ("overrides", "is_told"),
    [
        (["source.unlabelled=false"], True),
        (["source.unlabelled=false", "partition.name=dirichlet"], False),
        (["source.unlabelled=false", "task=classification"], False),
        (["source.name=mnist", "source.unlabelled=none"], None),
    ],
)
def test_labels_that_are_read_in_vain_are_told_of(overrides: list[str], is_told: bool | None) -> None:
    if is_told is None:
        with pytest.raises(StudyError, match="unlabelled"):
            parse(TEXT, overrides)
        return
    told = [one for one in training_remarks(parse(TEXT, overrides)) if "reads images alone" in one]
    assert bool(told) is is_told
