from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.hospital import close_all, open_hospital
from client.labelled import divided, strata_of
from client.records import records_of
from client.split_record import token_of
from client.splitting import split
from common.data.cases import Cases
from common.errors import StudyError
from common.learning.label_draw import LabelDraw
from common.study.study import Study, parse

STUDY = """
title = "few labels"
source = { name = "npz", folder = "FOLDER" }
task = "classification"
[split]
validation = 0.0
test = 0.2
[training]
label_share = 0.25
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("labelled")
    rng = np.random.default_rng(0)
    for index, site in enumerate("ab"):
        count = 60 + 20 * index
        targets = np.arange(count) % 4 == 0
        np.savez(
            folder / f"{site}.npz",
            inputs=rng.random((count, 3), np.float32),
            targets=targets.astype(np.int64),
            patients=np.array([f"{site}{case // 2}" for case in range(count)]),
            classes=np.array(["no", "yes"]),
        )
    return parse(STUDY.replace("FOLDER", str(folder)))


def persons(count: int, prefix: str = "p") -> np.ndarray:
    return np.array([f"{prefix}{index}" for index in range(count)])


def test_each_class_is_drawn_by_the_same_share() -> None:
    names = persons(400)
    strata = ["rare"] * 40 + ["common"] * 360
    drawn = LabelDraw(0.1, 0, 5).persons(names, strata, "a")
    assert len(drawn & set(names[:40].tolist())) in (4, 5)
    assert len(drawn & set(names[40:].tolist())) in (36, 37)


def test_a_fraction_of_a_person_is_rounded_so_that_its_mean_is_the_share() -> None:
    counts = [
        len(LabelDraw(0.05, draw, 0).persons(persons(10), ["x"] * 10, "a") & {*persons(10)}) for draw in range(9)
    ]
    assert set(counts) == {1}  # a hospital is never left with nobody
    rounded = [
        len(LabelDraw(0.05, draw, 0).persons(persons(30), ["x"] * 10 + ["y"] * 20, "a") & {*persons(30)[:10]})
        for draw in range(400)
    ]
    assert abs(np.mean(rounded) - 0.5) < 0.1


@given(st.integers(1, 60), st.floats(0.01, 1), st.floats(0.01, 1), st.integers(0, 5))
def test_a_larger_share_of_the_same_draw_takes_the_same_persons_and_more(
    count: int, one: float, other: float, draw: int
) -> None:
    strata = [str(index % 3) for index in range(count)]
    less, more = (LabelDraw(share, draw, 1).persons(persons(count), strata, "s") for share in sorted((one, other)))
    assert less <= more or len(less) == 1
    assert LabelDraw(1, draw, 1).persons(persons(count), strata, "s") == {*persons(count).tolist()}


@given(st.permutations(range(12)))
def test_the_order_of_cases_and_other_persons_cases_change_no_rank(order: list[int]) -> None:
    names, strata = persons(12), np.array(["x", "y"] * 6)
    straight = LabelDraw(0.5, 2, 1).persons(names, strata, "s")
    assert LabelDraw(0.5, 2, 1).persons(names[order], strata[order], "s") == straight


def test_other_draws_and_seeds_take_other_persons() -> None:
    def drawn(draw: int, seed: int) -> frozenset[str]:
        return LabelDraw(0.2, draw, seed).persons(persons(50), ["x"] * 50, "s")

    assert len({drawn(0, 0), drawn(1, 0), drawn(0, 1)}) == 3


def test_alone_nobody_decides_about_another() -> None:
    everybody = LabelDraw(0.3, 0, 0).alone(persons(200))
    assert LabelDraw(0.3, 0, 0).alone(persons(200)[50:]) == everybody & {*persons(200)[50:].tolist()}
    assert 40 < len(everybody) < 80


def test_a_person_of_two_classes_counts_to_the_rarer() -> None:
    names = np.array(["both", "both", *persons(8).tolist()])
    strata = ["common", "rare", *["common"] * 8]
    counted = [len(LabelDraw(0.5, draw, 0).persons(names, strata, "s") & {*persons(8)}) for draw in range(5)]
    assert counted == [4] * 5


def test_of_outlines_the_rarest_class_that_is_shown_decides() -> None:
    masks = np.zeros((6, 2, 2), np.int64)
    masks[:2, 0, 0] = 1
    cases = Cases.of(np.zeros((6, 1, 2, 2), np.float32), masks, persons(6), ("background", "tumour"))
    assert strata_of(cases).tolist() == ["tumour"] * 2 + ["background"] * 4


def test_of_numbers_all_are_drawn_alike(study: Study) -> None:
    cases = Cases.of(np.zeros((8, 1), np.float32), np.zeros(8, np.float32), persons(8))
    used, left = divided(cases, study, "s", None)
    assert left is not None
    assert (len(used), len(left)) == (2, 6)


def test_a_hospital_learns_from_the_drawn_persons_and_scores_on_all_test_cases(study: Study) -> None:
    close_all()
    whole = replace(study, training=replace(study.training, label_share=None))
    for index, own in enumerate((24, 32)):
        hospital, full = (open_hospital(one.json, index) for one in (study, whole))
        assert len(np.unique(full.train.patients)) == own
        assert hospital.unlabelled is not None
        assert len(hospital.train) + len(hospital.unlabelled) == len(full.train)
        assert not set(hospital.train.patients) & set(hospital.unlabelled.patients)
        assert abs(len(np.unique(hospital.train.patients)) - own / 4) <= 1
        assert set(hospital.splits["test"].patients) == set(full.splits["test"].patients)
        assert full.unlabelled is None
        assert len(records_of(hospital)) == len(records_of(full))


def test_the_kept_places_hold_whoever_was_labelled(study: Study) -> None:
    class Kept:
        def place_of(self, person: str) -> str | None:
            return {"a0": "train", "a1": "unlabelled", "a2": "test"}.get(person)

    names = np.array(["a0", "a1", "a2"])
    cases = Cases.of(np.zeros((3, 1), np.float32), np.zeros(3, np.int64), names, ("no", "yes"))
    parts = split(cases, study.split, 0, Kept())
    assert set(parts["train"].patients) == {"a0", "a1"}
    used, left = divided(parts["train"], study, "a", Kept())
    assert left is not None
    assert (used.patients.tolist(), left.patients.tolist()) == (["a0"], ["a1"])


def test_another_draw_is_another_token_and_none_is_as_before(study: Study) -> None:
    key = b"k" * 32
    tokens = set()
    for training in (
        replace(study.training, label_share=None),
        study.training,
        replace(study.training, label_draw=1),
    ):
        tokens.add(token_of(key, open_hospital(replace(study, training=training).json, 0)))
    assert len(tokens) == 3


def test_a_study_that_says_nothing_of_labels_reads_as_before() -> None:
    assert "label" not in parse('title = "t"\nsource = "heart"\ntask = "classification"').text


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("label_share = 0", "training.label_share must be above zero"),
        ("label_share = 1.5", "training.label_share"),
        ("label_draw = 1", "set training.label_share"),
        ("label_share = 0.1\nlabel_draw = -1", "training.label_draw"),
    ],
)
def test_a_share_that_is_none_is_refused(said: str, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        parse(f'title = "t"\nsource = "heart"\ntask = "classification"\n[training]\n{said}')


def test_it_goes_with_gradients_and_with_privacy_each_person_alone(study: Study, tmp_path: Path) -> None:
    private = replace(study, split=replace(study.split, assignment="independent"))
    hospital = open_hospital(private.json, 0)
    assert hospital.unlabelled is not None
    draw = LabelDraw(0.25, 0, 0)
    assert set(hospital.train.patients) == draw.alone(
        np.concatenate([hospital.train.patients, hospital.unlabelled.patients])
    )
    parse(study.text, ["strategy=fedsgd"])
