"""What every source must do."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.participants import taking_part
from client.records import records_of_cases
from client.source import Source
from client.source_abilities import abilities, can
from client.splitting import split
from common.asking.records import Records
from common.data.cases import Cases
from common.data.pooled_statistics import Pooled
from common.errors import SourceError
from common.study.plugins import ANYTHING, trusting
from common.study.split_settings import Split
from wardround.testing.laws import check_options, no_global_draw


@dataclass(frozen=True)
class Made:
    """source: over tiny data that were written. spoil: breaks the file of one case. changes: of one person's data, or
    that person comes or goes; each returns the source of afterwards."""

    source: Any
    spoil: Callable[[], object] | None = None
    changes: tuple[Callable[[], Any], ...] = ()


class SourceTests:
    """Inherit, and bind `source` to one where it needs no files; else write `make`.

    spoil, changes: what can go wrong with the data that `make` wrote, without which two laws cannot be tried.
    """

    source: Source

    def make(self, folder: Path) -> Source:
        """Write tiny data of two hospitals or more into the empty `folder`; the source that reads them."""
        if _has(self.source, "folder"):
            raise AssertionError("it reads a folder: write `make(folder)` that fills one and returns the source")
        return self.source

    def spoil(self, folder: Path) -> object:
        """Break the file of one case of those that `make` wrote. Where none has one, leave this as it is."""
        return NotImplemented

    def changes(self) -> Sequence[Callable[[Path], Any]]:
        """Each changes, in the folder that `make` filled, one person's data, or that person comes or goes. It returns
        None, or options by name that the source has from then on."""
        return ()

    @pytest.fixture
    def make_in(self) -> Callable[[Path], Made]:
        """Fills a folder, and says what can be done to it."""

        def made(folder: Path) -> Made:
            folder.mkdir()
            source = self.make(folder)
            spoil = None if type(self).spoil is SourceTests.spoil else partial(self.spoil, folder)
            changes = tuple(partial(changed, source, change, folder) for change in self.changes())
            return Made(source, spoil, changes)

        return made

    @pytest.fixture(autouse=True)
    def trusted(self) -> Iterator[None]:
        """Data sets of tests may be code of their own."""
        with trusting(ANYTHING):
            yield

    def test_its_options_are_a_frozen_dataclass_that_survives_a_copy(
        self, make_in: Callable[[Path], Made], tmp_path: Path
    ) -> None:
        """Engines hand it to other processes. Mend: @dataclass(frozen=True)."""
        check_options(make_in(tmp_path / "data").source)

    def test_hospitals_are_sorted_and_share_no_patient(self, make_in: Callable[[Path], Made], tmp_path: Path) -> None:
        """A person in two hospitals is trained on in one and tested in the other. Mend: sort `sites`; begin names
        with the hospital's where they are only unique there."""
        source = make_in(tmp_path / "data").source
        assert list(source.sites()) == sorted(set(source.sites())), "`sites` are not sorted, or name one twice"
        assert bool(source.sites()) == source.has_sites, "`has_sites` and `sites` disagree"
        patients = Counter(person for cases in everything(source).values() for person in set(cases.patients.tolist()))
        shared = [person for person, count in patients.items() if count > 1]
        assert not shared, f"{len(shared)} persons are in several hospitals, {', '.join(shared[:3])} among them"

    def test_cases_are_well_formed(self, make_in: Callable[[Path], Made], tmp_path: Path) -> None:
        """Networks and scores are made for them. Mend: finite float32 inputs; classes from 0; nothing good
        quarantined."""
        for site, cases in everything(make_in(tmp_path / "data").source).items():
            assert len(cases) > 0, f"{site} has no case"
            assert cases.quarantined == (), f"{site} quarantined {cases.quarantined}"
            for index in range(len(cases)):
                one = cases.take(np.array([index]))
                assert np.isfinite(one.inputs).all(), f"{site} has an input that is not finite"
                _check_targets(one)

    def test_questions_read_rows_of_the_same_persons_and_never_who_they_are(
        self, make_in: Callable[[Path], Made], tmp_path: Path
    ) -> None:
        """A question is asked of whoever takes part, and answered without names. Mend: `records` gives a row a case,
        in the order of `cases`, float64 with NaN or words with ""; no column whose cells are the persons."""
        source = make_in(tmp_path / "data").source
        levels = getattr(source, "levels", {})
        for site, cases in everything(source).items():
            records = _records(source, cases, site)
            assert records.persons.tolist() == cases.patients.tolist(), f"{site}: other persons, or in another order"
            for name, values in records.columns.items():
                assert values.shape == (len(cases),), f"{site}: column {name!r} has not a value a case"
                assert values.dtype == np.float64 or values.dtype.kind == "U", f"column {name!r} is {values.dtype}"
                assert not np.isinf(records.numbers(name)).any() if values.dtype == np.float64 else True
                assert set(records.words(name)) - {""} != set(cases.patients), f"column {name!r} names persons"
            for name in levels:
                assert set(records.words(name)) <= {"", *levels[name]}, f"column {name!r} holds other words"

    def test_two_loads_are_the_same(self, make_in: Callable[[Path], Made], tmp_path: Path) -> None:
        """The same study trains the same model. Mend: draws only from common.seeding.generator(seed, site, ...)."""
        source = make_in(tmp_path / "data").source
        with no_global_draw("cases"):
            first, second = everything(source), everything(source)
        _check_same(first, second, "a second load")

    def test_the_order_of_files_does_not_matter(self, make_in: Callable[[Path], Made], tmp_path: Path) -> None:
        """Each disk lists a folder in its own. Mend: sorted(folder.iterdir()), or the table's order."""
        source = make_in(tmp_path / "data").source
        before = everything(source)
        for path in sorted((p for p in (tmp_path / "data").rglob("*") if p.is_file()), reverse=True):
            shutil.copy(path, moved := path.with_name(path.name + ".moved"))
            path.unlink()
            moved.rename(path)
        _check_same(before, everything(source), "files in another order")

    def test_splits_share_no_patient(self, make_in: Callable[[Path], Made], tmp_path: Path) -> None:
        """Else a test set holds what was trained on. Mend: `patients` has one name for all cases of one person."""
        for site, cases in everything(make_in(tmp_path / "data").source).items():
            parts = [set(part.patients) for part in split(cases, Split(0.2, 0.2), seed=1).values()]
            assert sum(map(len, parts)) == len(set(cases.patients)), f"{site}: a person is in two splits"
            assert parts[0], f"{site}: nobody trains"

    def test_a_broken_case_is_quarantined_with_a_reason_and_the_others_stay(
        self, make_in: Callable[[Path], Made], tmp_path: Path
    ) -> None:
        """One bad scan must not stop a hospital, nor vanish. Mend: common.data.Quarantined(name, reason) in
        Cases.quarantined, for what cannot be used."""
        made = make_in(tmp_path / "data")
        if made.spoil is None:
            pytest.skip("it has no files of single cases that `spoil` breaks")
        before = sum(len(cases) for cases in everything(made.source).values())
        made.spoil()
        after = everything(made.source)
        found = [one for cases in after.values() for one in cases.quarantined]
        assert len(found) == 1, f"{len(found)} cases were quarantined, of one that was broken"
        assert found[0].name and len(found[0].reason) > 5, f"no name and reason in {found[0]}"
        kept = sum(len(cases) for cases in after.values())
        assert 0 < kept <= before, f"{kept} cases are left of {before}"

    def test_a_missing_folder_is_named_with_the_remedy(self, make_in: Callable[[Path], Made], tmp_path: Path) -> None:
        """It is the first thing that goes wrong. Mend: SourceError(f"There is no folder {folder}; set source.folder
        ...")."""
        source = make_in(tmp_path / "data").source
        if not _has(source, "folder"):
            pytest.skip("it has no folder")
        with pytest.raises(SourceError, match=r"no folder .*absent.*(source\.folder|fetch)"):
            everything(replace(source, folder=str(tmp_path / "absent")))

    def test_one_person_changes_no_other_persons_cases_nor_place(
        self, make_in: Callable[[Path], Made], tmp_path: Path
    ) -> None:
        """Privacy promised to a person counts on it. Mend: declare in `pooled_statistics` whatever is computed from
        several persons (a mean, a shuffle, a number in a name), or compute each by itself."""
        tried = make_in(tmp_path / "whole")
        declared = declared_statistics(tried.source)
        if declared is None or declared:
            what = declared[0].what if declared else "something, for it has no `pooled_statistics`"
            pytest.skip(f"it declares that it computes {what}")
        if not tried.changes and not _has(tried.source, "folder"):
            pytest.skip("`changes` names no change of one person")
        assert tried.changes, "it reads a folder: `changes` must say how one person's data in it can change"
        for number in range(len(tried.changes)):
            made = make_in(tmp_path / str(number))
            check_that_only_one_person_changes(made.source, made.changes[number])

    def test_it_says_what_a_person_is(self, make_in: Callable[[Path], Made], tmp_path: Path) -> None:
        """Privacy is promised to persons, as it knows them. Mend: persons = "... A person is ..."; every Pooled says
        what, its option, and the remedy."""
        source = make_in(tmp_path / "data").source
        persons = getattr(source, "persons", "")
        assert persons.endswith(".") and "person" in persons, f"`persons` is {persons!r}"
        for one in declared_statistics(source) or ():
            assert one.what and one.option.startswith("source.") and one.remedy, f"{one} is not whole"


def everything(source: Any) -> dict[str | None, Cases]:
    """The cases of every hospital, as a run has them."""
    sites: tuple[str | None, ...] = source.sites() if source.has_sites else (None,)
    return {site: taking_part(source, source.cases(site, seed=3), frozenset(), None) for site in sites}


def _records(source: Any, cases: Cases, site: str | None) -> Records:
    if can(source, "records"):
        return abilities(source).records(site, seed=3)
    return records_of_cases(cases, source, site or "")


def declared_statistics(source: Any) -> tuple[Pooled, ...] | None:
    """None where a source does not say."""
    found: tuple[Pooled, ...] | None = getattr(source, "pooled_statistics", None)
    return found


def changed(source: Any, change: Callable[[Path], Mapping[str, Any] | None], folder: Path) -> Any:
    """The source after a change of the folder that it reads."""
    return replace(source, **(change(folder) or {}))


def check_that_only_one_person_changes(source: Any, change: Callable[[], Any]) -> None:
    """change: of one person; returns the source of afterwards. Raises AssertionError where others differ then."""
    before = contents(source)
    after = contents(change())
    gone, new = ({person for _, person, *_ in part} for part in (before - after, after - before))
    assert gone or new, "the change reached no case"
    assert len(gone) <= 1 and len(new) <= 1, f"one person changed the cases of {sorted(gone | new)}"


def contents(source: Any) -> Counter[tuple[str, ...]]:
    """Every case with all that a network and an evaluation can see of it, and its place in the splits."""
    found: Counter[tuple[str, ...]] = Counter()
    for site, cases in everything(source).items():
        for part, own in split(cases, Split(0.3, 0.3, "independent"), seed=1).items():
            for index in range(len(own)):
                one = own.take(np.array([index]))
                seen = [_values_of(one, column) for column in sorted(one.columns) if column != "patients"]
                digest = sha256(b"|".join(seen))
                found[str(site), str(own.patients[index]), part, digest.hexdigest(), repr(own.classes)] += 1
    return found


def _values_of(one: Cases, column: str) -> bytes:
    value = one.columns[column].gather()[0]
    return str(value).encode() if np.asarray(value).dtype.kind == "U" else np.asarray(value).tobytes()


def _check_targets(one: Cases) -> None:
    inputs, targets = one.inputs, one.targets
    if not one.classes:
        assert targets.dtype == np.float32 and np.isfinite(targets).all(), "targets of no class are finite float32"
        return
    assert targets.dtype.kind in "iu", f"targets of classes are {targets.dtype}, not integers"
    assert 0 <= targets.min() <= targets.max() < len(one.classes), f"a target is not among {len(one.classes)} classes"
    shapes = {(1,), (1, *inputs.shape[2:]), inputs.shape}
    assert targets.shape in shapes, f"targets of shape {targets.shape[1:]} do not fit inputs of {inputs.shape[1:]}"


def _check_same(first: Mapping[str | None, Cases], second: Mapping[str | None, Cases], what: str) -> None:
    for site, cases in first.items():
        other = second[site]
        assert cases.columns.keys() == other.columns.keys() and len(cases) == len(other), f"{what}: {site} differs"
        for index in range(len(cases)):
            one, same = cases.take(np.array([index])), other.take(np.array([index]))
            for column in cases.columns:
                assert _values_of(one, column) == _values_of(same, column), f"{what}: {column} of {site} differ"


def _has(source: Any, option: str) -> bool:
    return any(field.name == option for field in fields(source))
