"""What one patient could do to the cases and places of others, in studies that promised to hide that patient."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from client.hospital import open_hospital, site_names
from client.sources.heart import Heart
from common.errors import StudyError
from common.study.privacy_checks import remarks
from common.study.study import Study, parse

PRIVATE = 'privacy={name="dpsgd",epsilon=1.0,delta=1e-4}'
TEXT = """
title = "Heart"
rounds = 2
strategy = "fedsgd"
aggregation = "plain"
engine = "inline"
source = { name = "heart" }
task = { name = "classification", network = "logistic" }
training = { batch_size = "full" }
split = { validation = 0.2, test = 0.3 }
"""
BROKEN = "29,1,2,200,?,1,1,90,1,5.5,3,0,6,4"


def a_folder(place: Path, patients: int = 40) -> Path:
    """Four hospitals of so many made-up patients."""
    place.mkdir()
    for number, site in enumerate(("cleveland", "hungarian", "switzerland", "va")):
        rows = [
            f"{30 + index},1,{1 + index % 4},{120 + number},{200 + index},1,2,150,0,2.3,3,0,6,{index % 3 % 2}"
            for index in range(patients)
        ]
        (place / f"processed.{site}.data").write_text("\n".join(rows) + "\n")
    return place


def a_study(folder: Path, *overrides: str) -> Study:
    return parse(TEXT, [f'source.folder="{folder}"', *overrides])


def places(study: Study, name: str) -> Mapping[str, str]:
    hospital = open_hospital(study.json, site_names(study).index(name))
    return {patient: part for part, cases in hospital.splits.items() for patient in cases.patients.tolist()}


def features(study: Study, name: str) -> Mapping[str, bytes]:
    hospital = open_hospital(study.json, site_names(study).index(name))
    found = {}
    for cases in hospital.splits.values():
        found.update({p: row.tobytes() for p, row in zip(cases.patients.tolist(), cases.inputs, strict=True)})
    return found


def moved(change: Callable[[list[str]], list[str]], tmp_path: Path, *overrides: str) -> int:
    """How many patients are elsewhere, or look otherwise, when one is removed; the most over whom it may be."""
    most = 0
    before = a_folder(tmp_path / "before")
    study = a_study(before, *overrides)
    held, seen = places(study, "va"), features(study, "va")
    for number in range(0, 40, 3):
        after = a_folder(tmp_path / f"without-{number}")
        path = after / "processed.va.data"
        lines = path.read_text().splitlines()
        path.write_text(
            "\n".join([*lines[:number], *change(lines[number : number + 1]), *lines[number + 1 :]]) + "\n"
        )
        other = a_study(after, *overrides)
        held_then, seen_then = places(other, "va"), features(other, "va")
        most = max(most, sum(held[p] != held_then[p] or seen[p] != seen_then[p] for p in held.keys() & held_then))
        assert len(held.keys() & held_then) == 39
    return most


@pytest.mark.parametrize("change", [lambda _: [], lambda _: [BROKEN], lambda row: [row[0].replace("150", "199")]])
@pytest.mark.parametrize("given_split", ["none", "flamby"])
def test_a_patient_moves_nobody_else_where_privacy_is_promised(
    given_split: str, change: Callable[[list[str]], list[str]], tmp_path: Path
) -> None:
    assert moved(change, tmp_path, PRIVATE, f"source.given_split={given_split}") == 0


def test_without_a_promise_exact_shares_still_move_some(tmp_path: Path) -> None:
    assert moved(lambda _: [], tmp_path) in (1, 2, 3)


def test_scaling_by_the_hospitals_own_patients_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"source 'heart' computes means.*source\.scaling = 'reference'"):
        a_study(tmp_path, PRIVATE, "source.scaling=hospital")
    a_study(tmp_path, PRIVATE, "source.scaling=none")
    a_study(tmp_path, "source.scaling=hospital")


@pytest.mark.parametrize(
    "privacy",
    [
        PRIVATE,
        'privacy={name="dpsgd",epsilon=1.0,delta=1e-4,unit="sample"}',
        'privacy={name="distributed",epsilon=1.0,delta=1e-4}',
    ],
)
def test_exact_shares_are_refused_where_privacy_is_promised_to_persons(privacy: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"Set split\.assignment = 'independent'"):
        a_study(tmp_path, privacy, "split.assignment=exact")
    with pytest.raises(StudyError, match="promises to hide one"):
        a_study(tmp_path, privacy, "source.scaling=hospital")


def test_a_promise_to_hospitals_leaves_preprocessing_to_each(tmp_path: Path) -> None:
    hospital = 'privacy={name="hospital",epsilon=1.0,delta=0.1}'
    assert a_study(tmp_path, hospital, "source.scaling=hospital").split.assignment == "exact"
    assert a_study(tmp_path, PRIVATE).split.assignment == "independent"
    assert a_study(tmp_path, "split.assignment=independent").split.assignment == "independent"


def test_a_source_that_does_not_say_is_taken_to_compute_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Heart, "pooled_statistics")
    with pytest.raises(StudyError, match="does not say what it computes from several patients"):
        a_study(tmp_path, PRIVATE)
    a_study(tmp_path)


def test_flambys_split_is_the_published_one_whoever_is_missing(shared_data: Path, tmp_path: Path) -> None:
    whole = Heart(str(shared_data / "heart-disease-4centre"), given_split="flamby")
    for site in whole.sites():
        lines = (shared_data / "heart-disease-4centre" / f"processed.{site}.data").read_text("ascii", "replace")
        (tmp_path / f"processed.{site}.data").write_text("\n".join(lines.splitlines()[1:]), "ascii", "replace")
        before, after = (
            dict(zip(cases.patients.tolist(), np.asarray(cases.given_split).tolist(), strict=True))
            for cases in (whole.cases(site, 0), Heart(str(tmp_path), given_split="flamby").cases(site, 0))
        )
        assert len(before) - len(after) in (0, 1)
        assert after.items() <= before.items()


@pytest.mark.parametrize("place", ["distributed", "dpsgd"])
def test_a_class_list_taken_from_the_labels_is_refused(place: str, tmp_path: Path) -> None:
    privacy = f'privacy={{name="{place}",epsilon=1.0,delta=1e-4}}'
    overrides = ("source={name='medmnist'}", "partition={name='iid',hospitals=3}", privacy)
    with pytest.raises(StudyError, match=r"largest label.*Name them all in source\.classes"):
        parse(TEXT, overrides)
    parse(TEXT, ("source={name='medmnist',classes=['a','b']}", *overrides[1:]))


def test_pairs_drawn_among_all_patients_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="laid on each other"):
        parse(
            TEXT,
            (
                "source={name='nifti_pairs',table='sites.csv'}",
                "task={name='registration',network='voxelmorph'}",
                PRIVATE,
            ),
        )


def said(*overrides: str) -> str:
    return "\n".join(remarks(parse(TEXT, overrides).preprocessing))


def test_check_says_who_a_person_is_what_is_public_and_what_two_hospitals_cost() -> None:
    assert "A person is a row" in said()
    assert "can move others" in said()
    assert "that person's name and the seed alone" in said(PRIVATE)
    assert "their epsilons and deltas add up" in said(PRIVATE)
    assert "as a group of k" in said('privacy={name="distributed",epsilon=1.0,delta=1e-4}')
    assert "of one case" in said('privacy={name="dpsgd",epsilon=1.0,delta=1e-4,unit="sample"}')
    digits = said("source={name='mnist'}", "partition={name='iid',hospitals=3}", PRIVATE)
    assert "taken for a person of its own" in digits
    assert "Partition 'iid' stands for hospitals that exist" in digits
