"""Every finding of `wardround data check`, by the fault that was planted for it; and none where there is none."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.hospital import open_hospital, site_names
from client.source import Source
from common.data.cases import Cases, Quarantined, SiteId
from common.errors import SourceError
from common.study.catalogue import SOURCES
from common.study.options import Entry
from common.study.plugins import ANYTHING, trusting
from common.study.study import Study, parse
from experiments.data_check.checked import Checked, checked
from experiments.data_check.duplicates import mirrored
from experiments.data_check.finding import Finding
from experiments.data_check.gather import gathered
from experiments.data_check.names import alike
from experiments.data_check.reading import Reading, Stream, reading_of
from experiments.data_check.rules import suspected_codes
from tests.client import source_makers

Parts = dict[SiteId, list[Cases | Quarantined]]

TEXT = """
title = "Tiny"
rounds = 1
strategy = "fedavg"
source = { name = "npz" }
task = { name = "classification", network = { name = "mlp", hidden = [8] } }
split = { validation = 0.2, test = 0.3 }
"""
REGRESSION = ("task.name=regression", "task.center=0", "task.spread=1")


@dataclass(frozen=True)
class Given:
    """A source of the very parts that a test plants."""

    of: Parts = field(default_factory=dict)
    has_sites: bool = True
    pooled_statistics: tuple[()] = ()
    persons: str = "A person is who the test names."

    def sites(self) -> tuple[SiteId, ...]:
        return tuple(sorted(self.of))

    def files(self, site: SiteId | None) -> tuple[Path, ...]:
        return ()

    def cases(self, site: SiteId | None, seed: int) -> Cases:
        raise NotImplementedError

    def parts(self, site: SiteId | None, seed: int) -> Iterator[Cases | Quarantined]:
        assert site is not None
        for part in self.of[site]:
            if isinstance(part, Quarantined) and part.name == "stop":
                raise SourceError(part.reason)
            yield part


def study(*overrides: str) -> Study:
    return parse(TEXT, overrides)


def silent(_: int) -> None:
    """Nobody watches."""


def check(parts: Parts, *overrides: str, is_own: bool = False) -> Checked:
    source, wanted = Given(parts), study(*overrides)
    streams = tuple(Stream(site, site, source, wanted.seed) for site in source.sites())
    reading = Reading(wanted, streams, source.sites(), is_own=is_own)
    return checked(wanted, "tiny", "/data", gathered(reading, silent, silent), is_own)


def found(checked: Checked, kind: str) -> Finding:
    of_kind = [finding for finding in checked.findings if finding.kind == kind]
    assert len(of_kind) == 1, [(one.kind, one.words, one.names) for one in checked.findings]
    return of_kind[0]


def kinds(checked: Checked) -> list[str]:
    return [finding.kind for finding in checked.findings]


def images(first: int, count: int = 20, **changed: Any) -> Cases:
    """Persons first..first+count, an image of 1 x 8 x 8 each, classes by turns."""
    rng = np.random.default_rng(first)
    columns: dict[str, Any] = {
        "inputs": rng.normal(size=(count, 1, 8, 8)).astype(np.float32),
        "targets": np.arange(count) % 2,
        "patients": [f"p{first + index:03d}x" for index in range(count)],
        "classes": ("well", "ill"),
        "spacing_mm": (1.0, 2.0),
    }
    return Cases.of(**columns | changed)


def outlines(first: int, count: int = 10, **changed: Any) -> Cases:
    targets = np.zeros((count, 8, 8), np.uint8)
    targets[:, 2:4, 2:5] = 1
    return images(first, count, **{"targets": targets, "classes": ("background", "lesion")} | changed)


def changed(cases: Cases, change: Callable[[np.ndarray], None]) -> Cases:
    inputs = np.array(cases.inputs)
    change(inputs)
    return cases.with_columns(inputs=inputs)


def trained(cases: Cases, place: str = "train", site: SiteId = "A") -> list[int]:
    """Rows that the study puts in a split."""
    source = Given({site: [cases]})
    reading = Reading(study(), (Stream(site, site, source, 0),), (site,))
    return list(gathered(reading, silent, silent)[0].where(place))


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    clean = check({"A": [images(0)], "B": [images(100)], "Köln": [images(200)]})
    assert clean.findings == () and clean.may_train
    assert clean.verdict == "This may be trained on. Nothing was found."


def test_the_same_image_in_training_and_test_is_an_error() -> None:
    cases = images(0)
    train, test = trained(cases)[0], trained(cases, "test")[0]
    twin = changed(cases, lambda inputs: inputs.__setitem__(test, inputs[train]))
    finding = found(check({"A": [twin]}), "duplicates in two splits")
    assert (finding.grade, finding.site) == ("error", "A")
    assert set(finding.names[0].split(" = ")) == {f"p{train:03d}x [train]", f"p{test:03d}x [test]"}
    assert not check({"A": [twin]}).may_train


def test_the_same_image_at_two_hospitals_is_told_with_both() -> None:
    first, second = images(0), images(100)
    a, b = trained(first)[0], trained(second)[0]
    second = changed(second, lambda inputs: inputs.__setitem__(b, first.inputs[a]))
    finding = found(check({"A": [first], "B": [second]}), "duplicates in two hospitals")
    assert finding.grade == "warning"
    assert finding.names == (f"p{a:03d}x [A, train] = p{100 + b:03d}x [B, train]",)


def test_one_image_of_two_persons_and_of_one() -> None:
    cases = images(0)
    a, b, *_ = trained(cases)
    twin = changed(cases, lambda inputs: inputs.__setitem__(b, inputs[a]))
    assert found(check({"A": [twin]}), "duplicates of two persons").grade == "warning"
    persons = np.array(cases.patients)
    persons[b] = persons[a]
    assert found(check({"A": [twin.with_columns(patients=persons)]}), "duplicates of one person").grade == "note"


def test_equal_images_with_unequal_truths() -> None:
    cases = images(0)
    a, b, *_ = trained(cases)
    targets = np.array(cases.targets)
    targets[a], targets[b] = 0, 1
    twin = changed(cases.with_columns(targets=targets), lambda inputs: inputs.__setitem__(b, inputs[a]))
    assert found(check({"A": [twin]}), "contrary truths").grade == "warning"


@pytest.mark.parametrize(
    "change",
    [lambda one: one[:, ::-1], lambda one: one[:, :, ::-1], lambda one: one[:, ::-1, ::-1], lambda one: 3 * one + 7],
    ids=["upside down", "left to right", "turned by 180 degrees", "brighter"],
)
def test_an_image_that_is_almost_another_persons_is_suspected(change: Callable[[np.ndarray], np.ndarray]) -> None:
    cases = images(0)
    train, test = trained(cases)[0], trained(cases, "test")[0]
    twin = changed(cases, lambda inputs: inputs.__setitem__(test, change(inputs[train])))
    finding = found(check({"A": [twin]}), "almost identical")
    assert finding.grade == "warning" and "1 of them in training" in finding.words and len(finding.names) == 1


def test_an_image_of_another_size_is_suspected_too() -> None:
    cases = images(0)
    large = np.kron(cases.inputs[3], np.ones((1, 2, 2), np.float32))[None]
    other = Cases.of(large, np.array([1]), ["q"], ("well", "ill"), spacing_mm=(0.5, 1.0))
    finding = found(check({"A": [cases], "B": [other, images(100)]}), "almost identical")
    assert "p003x" in finding.names[0] and "q [B" in finding.names[0]


def test_mirroring_has_every_choice_of_axes() -> None:
    one = np.arange(8, dtype=np.float16).reshape(1, 2, 2, 2)
    assert len({turned.tobytes() for turned in map(np.ascontiguousarray, mirrored(one))}) == 8


def test_a_person_under_two_names() -> None:
    names = [f"p{index:03d}x" for index in range(18)] + ["Müller", "muller"]
    finding = found(check({"A": [images(0, patients=names)]}), "persons alike")
    assert finding.grade == "warning" and finding.names == ("“Müller” and “muller”",)
    assert alike(["p01", "P1", "p-1", " p 001", "p11", "1-1", "11", "7", "07"]) == (
        (" p 001", "P1", "p-1", "p01"),
        ("07", "7"),
    )


def test_a_person_at_two_hospitals_in_two_splits_is_an_error_and_in_one_a_warning() -> None:
    first, second = images(0), images(100)
    person = np.array(second.patients)
    train, test = trained(first)[0], trained(second, "test")[0]
    person[test] = first.patients[train]
    renamed = second.with_columns(patients=person)
    both = check({"A": [first], "B": [renamed]})
    assert {"two splits", "two hospitals"} & set(kinds(both))
    finding = next(one for one in both.findings if one.kind in ("two splits", "two hospitals"))
    assert first.patients[train] in finding.names[0] and "A (train)" in finding.names[0]
    assert (finding.grade == "error") == ("B (train)" not in finding.names[0])


def test_a_person_whom_the_data_put_into_two_splits() -> None:
    given = np.array(["train"] * 12 + ["test"] * 8)
    persons = [f"p{index:03d}x" for index in range(19)] + ["p000x"]
    cases = images(0, given_split=given, prescribed=("validation", "test"), patients=persons)
    finding = found(check({"A": [cases]}), "two splits")
    assert finding.grade == "warning" and finding.names == ("p000x: train and test",)


def test_names_in_another_form_of_unicode_or_with_blanks() -> None:
    persons = [f"p{index:03d}x" for index in range(18)] + ["Mu\u0308ller", "Meyer  K"]
    assert found(check({"A": [images(0, patients=persons)]}), "form of names").names == ("Meyer  K", "Mu\u0308ller")


def test_nan_in_inputs_is_an_error() -> None:
    cases = changed(images(0), lambda inputs: inputs.__setitem__((3, 0, 1, 1), np.nan))
    finding = found(check({"A": [cases]}), "not finite")
    assert (finding.grade, finding.names) == ("error", ("p003x",))


def test_nan_in_targets_is_an_error() -> None:
    targets = np.linspace(0, 1, 20).astype(np.float32)
    targets[4] = np.inf
    checked = check({"A": [images(0, targets=targets, classes=())]}, *REGRESSION)
    assert found(checked, "not finite").names == ("p004x",)


def test_a_constant_image_is_a_warning_and_no_duplicate_of_another() -> None:
    cases = changed(images(0), lambda inputs: inputs.__setitem__(slice(2, 4), 5.0))
    checked = check({"A": [cases]})
    assert kinds(checked) == ["constant"] and checked.findings[0].names == ("p002x", "p003x")


def test_a_class_without_a_case_anywhere_and_at_one_hospital() -> None:
    classes = ("well", "ill", "worse")
    nowhere = check({"A": [images(0, classes=classes)], "B": [images(100, classes=classes)]})
    assert [(one.grade, one.site) for one in nowhere.findings if one.kind == "absent class"] == [
        ("warning", ""),
        ("note", "A, B"),
    ]
    assert "worse" in found(check({"A": [images(0, classes=classes)]}, is_own=True), "absent class").words


def test_a_class_that_nobody_trains_on() -> None:
    cases = images(0)
    targets = np.zeros(20, np.int64)
    targets[trained(cases, "test")[0]] = 1
    assert "ill" in found(check({"A": [cases.with_columns(targets=targets)]}), "untrained class").words


def test_labels_that_are_no_class_are_an_error() -> None:
    targets = np.arange(20) % 2
    targets[7] = 5
    assert found(check({"A": [images(0, targets=targets)]}), "no class").names == ("p007x",)


def test_truth_that_preprocessing_cuts_away() -> None:
    removed = np.zeros((10, 2), np.int64)
    removed[3, 1] = 40
    finding = found(check({"A": [outlines(0, removed=removed)]}, "task.name=segmentation"), "removed")
    assert finding.grade == "warning" and finding.names == ("p003x: 40 voxels",)
    assert "40 voxels of lesion (40\u00a0%)" in finding.words  # 40 of 40 + 10 * 6
    removed[3, 1] = 2
    small = check({"A": [outlines(0, removed=removed)]}, "task.name=segmentation")
    assert found(small, "removed").grade == "note"


def test_masks_that_are_all_background() -> None:
    cases = outlines(0)
    targets = np.array(cases.targets)
    targets[6] = 0
    some = check({"A": [cases.with_columns(targets=targets)]}, "task.name=segmentation")
    assert (found(some, "only background").grade, found(some, "only background").names) == ("note", ("p006x",))
    every = check({"A": [cases.with_columns(targets=targets * 0)]}, "task.name=segmentation")
    assert found(every, "only background").grade == "error"


def test_what_is_quarantined_is_named_with_its_reason_and_consent_apart() -> None:
    out = [Quarantined("a.nii", "is broken"), Quarantined("p9", "no consent to this study")]
    checked = check({"A": [images(0), *out]})
    assert found(checked, "unusable").names == ("a.nii: is broken",)
    assert (found(checked, "no consent").grade, found(checked, "no consent").names[0][:2]) == ("note", "p9")


def test_whose_consent_does_not_cover_the_study_is_left_out_and_nobody_else() -> None:
    given = [images(0, 10, consent=np.array(["all"] * 8 + ["none", ""])), images(10, 10)]
    checked = check({"A": list(given)})
    finding = found(checked, "no consent")
    assert finding.grade == "note" and len(finding.names) == 12 and finding.names[0].startswith("p008x: ")
    assert [len(holding) for holding in checked.holdings] == [8]
    assert "nobody's consent" in found(check({"A": [images(0, consent=np.full(20, "none"))]}), "unreadable").words
    assert "no consent" not in kinds(check({"A": [images(0)]}))


def test_a_source_that_stops_is_an_error_and_the_other_hospital_is_still_looked_at() -> None:
    checked = check({"A": [Quarantined("stop", "the table is gone.")], "B": [images(0)]})
    assert (found(checked, "unreadable").site, found(checked, "unreadable").words) == ("A", "the table is gone.")
    assert [len(holding) for holding in checked.holdings] == [0, 20]
    assert found(check({"A": [Quarantined("x", "broken")]}), "no case").grade == "error"


def test_cases_that_do_not_stand_beside_each_other() -> None:
    colour = images(100, 1, inputs=np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32))
    assert "p100x" in found(check({"A": [images(0), colour]}), "unlike").names[0]
    other = found(check({"A": [images(0)], "B": [colour]}), "unlike hospitals")
    assert other.grade == "error" and len(other.names) == 2


def test_shapes_that_differ_are_an_error_unless_the_task_draws_patches() -> None:
    wide = outlines(100, 1, inputs=np.ones((1, 1, 8, 9), np.float32) * np.arange(9, dtype=np.float32))
    wide = wide.with_columns(targets=np.ones((1, 8, 9), np.uint8))
    parts: Parts = {"A": [outlines(0), wide]}
    assert "1 x 8 x 9 (1)" in found(check(parts, "task.name=segmentation"), "shapes").words
    assert "shapes" not in kinds(check(parts, "task.name=segmentation", "task.patch=[4, 4]"))


def test_codes_that_stand_for_not_measured() -> None:
    ages = np.array([40, 52, 61, 999, 999, 47, -9, -9], float)
    assert suspected_codes(ages) == [(-9.0, 2), (999.0, 2)]
    assert suspected_codes(np.array([-9, -9, -7.5, -11, -3, 4, 8.0])) == []
    assert suspected_codes(np.array([99, 99, 97, 104, 90, 88.0])) == []
    features = np.random.default_rng(0).uniform(20, 80, (20, 2)).astype(np.float32)
    features[3:6, 1] = -9
    finding = found(check({"A": [images(0, inputs=features, spacing_mm=())]}), "codes")
    assert finding.names == ("feature 2: -9 in 3 cases",)


def test_a_hospital_that_is_unlike_the_others_is_pointed_out_without_a_verdict() -> None:
    far = images(300, spacing_mm=(3.0, 2.0)).with_columns(inputs=images(300).inputs * 40 + 200)
    ill = images(400, targets=np.ones(20, np.int64))
    checked = check({"A": [images(0)], "B": [images(100)], "C": [images(200)], "D": [far], "E": [ill]})
    said = {one.site: one.words for one in checked.findings if one.kind == "unusual"}
    assert checked.may_train and said.keys() == {"D", "E"}
    assert "100\u00a0% (in the median elsewhere 50\u00a0%)" in said["E"]
    words = [one.words for one in checked.findings if one.site == "D"]
    assert any("3 x 2 mm here in the median, and 1 x 2 mm elsewhere" in one for one in words)
    assert any(one.startswith("Values lie around 2") for one in words)


def test_many_hospitals_with_one_finding_are_one_finding_that_lists_them() -> None:
    parts: Parts = {f"H{index:02d}": [images(100 * index, 3)] for index in range(20)}
    finding = found(check(parts, "split.validation=0.01"), "no validation")
    assert finding.words.startswith("20 hospitals: Nobody is in validation") and len(finding.names) == 20


def test_the_order_of_findings_is_the_same_every_time() -> None:
    parts: Parts = {"B": [images(0, targets=np.full(20, 7))], "A": [images(0)]}
    assert check(parts).findings == check(dict(reversed(list(parts.items())))).findings
    assert [one.grade for one in check(parts).findings] == sorted(
        (one.grade for one in check(parts).findings), key=["error", "warning", "note"].index
    )


@pytest.mark.parametrize("name", SOURCES.names())
def test_every_source_is_read_as_a_run_reads_it(name: str, tmp_path: Path) -> None:
    options, _ = getattr(source_makers, f"make_{name}")(tmp_path)
    with trusting(ANYTHING):
        source: Source = SOURCES.build(Entry(name, options))
        for site in source.sites() or (None,):
            whole = source.cases(site, 0)
            stream = Stream(site or "", site, source, 0)
            (holding,) = gathered(Reading(study(), (stream,), ()), silent, silent)
            assert not holding.fault and holding.patients.tolist() == whole.patients.tolist()
            assert holding.quarantined == whole.quarantined
            if whole.classes:
                every = np.concatenate([np.ravel(target) for target in whole.columns["targets"].gather()])
                counts = np.bincount(every.astype(np.int64), minlength=len(whole.classes))
                assert list(holding.class_totals.values()) == counts.tolist()
            if holding.is_image:
                assert (holding.levels[0], holding.levels[-1]) == (whole.inputs.min(), whole.inputs.max())


@pytest.mark.parametrize("partition", ["iid", "quantity", "dirichlet", "shards"])
def test_a_pool_is_divided_and_split_as_a_run_does(partition: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    for part, count in (("train", 30), ("val", 6), ("test", 6)):
        arrays[f"{part}_images"] = rng.integers(0, 256, (count, 4, 4), dtype=np.uint8)
        arrays[f"{part}_labels"] = (np.arange(count, dtype=np.uint8) % 2)[:, None]
    np.savez(tmp_path / "tiny.npz", **arrays)
    own = [f'source.folder="{tmp_path}"', f"partition.name={partition}", "partition.hospitals=3"]
    wanted = study("source.name=medmnist", *own)
    _demand_as_in_a_run(wanted)


def _demand_as_in_a_run(wanted: Study) -> None:
    for index, holding in enumerate(gathered(reading_of(wanted, None, None), silent, silent)):
        assert holding.site == site_names(wanted)[index]
        hospital = open_hospital(wanted.json, index)
        for place, cases in hospital.splits.items():
            assert holding.patients[holding.where(place)].tolist() == cases.patients.tolist()


def test_a_pool_of_numbers_is_divided_as_a_run_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=20).astype(np.float32)
    np.savez(tmp_path / "all.npz", x=rng.normal(size=(20, 3)).astype(np.float32), y=values)
    own = [f'source.folder="{tmp_path}"', "source.file=all.npz", "source.target=number", *REGRESSION]
    _demand_as_in_a_run(study(*own, "partition.name=shards", "partition.hospitals=2"))


def test_a_pool_of_outlines_is_divided_as_a_run_does(tmp_path: Path) -> None:
    source_makers.make_nifti(tmp_path)
    own = [f'source.folder="{tmp_path}"', "source.name=nifti", "source.size=8", "source.slices_per_patient=2"]
    _demand_as_in_a_run(
        study(
            *own, "task.name=segmentation", "task.network=unet", "partition.name=dirichlet", "partition.hospitals=2"
        )
    )


def test_no_more_than_two_parts_are_in_memory_at_once() -> None:
    alive: list[weakref.ref[np.ndarray]] = []

    class OneByOne(Given):
        def parts(self, site: SiteId | None, seed: int) -> Iterator[Cases | Quarantined]:
            for number in range(6):
                assert sum(held() is not None for held in alive) <= 1
                pixels = np.random.default_rng(number).normal(size=(1, 1, 64, 64)).astype(np.float32)
                alive.append(weakref.ref(pixels))
                part = images(number, 1, inputs=pixels)
                del pixels
                yield part
                del part

    stream = Stream("A", "A", OneByOne({"A": []}), 0)
    (holding,) = gathered(Reading(study(), (stream,), ("A",)), silent, silent)
    assert len(holding) == holding.scans == 6
