"""What every source must do. A new one needs a maker of tiny data, and changes of a person, in source_makers.py."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.source import Source
from client.sources.heart import Heart
from client.sources.medmnist import MedMnist
from client.sources.nifti_pairs import NiftiPairs
from client.splitting import split
from client.taking_part import taking_part
from common.data.cases import Cases, SiteId
from common.data.pooled_statistics import Pooled
from common.errors import SourceError
from common.study.catalogue import SOURCES
from common.study.options import Entry
from common.study.plugins import ANYTHING, trusting
from common.study.study import Split
from tests.client import source_makers
from tests.client.source_makers import CHANGES, heart_with_another_first_row


def made(name: str, folder: Path) -> tuple[Source, Callable[[], None] | None]:
    maker = getattr(source_makers, f"make_{name}", None)
    assert maker is not None, f"source {name!r} has no maker of tiny data in source_makers.py: add make_{name}"
    folder.mkdir(exist_ok=True)
    options, spoil = maker(folder)
    return SOURCES.build(Entry(name, options)), spoil


def everything(source: Source) -> dict[str | None, Cases]:
    sites: tuple[str | None, ...] = source.sites() if source.has_sites else (None,)
    return {site: taking_part(source, source.cases(site, seed=3), frozenset(), None) for site in sites}


@pytest.fixture(autouse=True)
def trusted() -> Iterator[None]:
    """Datasets of these tests are code of their own."""
    with trusting(ANYTHING):
        yield


@pytest.fixture(params=SOURCES.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_hospitals_are_sorted_and_share_no_patient(name: str, tmp_path: Path) -> None:
    source, _ = made(name, tmp_path / "data")
    assert list(source.sites()) == sorted(set(source.sites()))
    assert bool(source.sites()) == source.has_sites
    patients = [set(cases.patients) for cases in everything(source).values()]
    assert sum(map(len, patients)) == len(set().union(*patients))


def test_cases_are_well_formed(name: str, tmp_path: Path) -> None:
    for cases in everything(made(name, tmp_path / "data")[0]).values():
        assert len(cases) > 0
        assert np.isfinite(cases.inputs).all()
        assert 0 <= cases.targets.min() <= cases.targets.max() < len(cases.classes)
        assert cases.targets.shape in {(len(cases),), (len(cases), *cases.inputs.shape[2:]), cases.inputs.shape}
        assert cases.quarantined == ()


def test_two_loads_are_the_same(name: str, tmp_path: Path) -> None:
    source, _ = made(name, tmp_path / "data")
    first, second = everything(source), everything(source)
    for site, cases in first.items():
        assert cases.inputs.tobytes() == second[site].inputs.tobytes()
        assert cases.targets.tobytes() == second[site].targets.tobytes()


def test_the_order_of_files_does_not_matter(name: str, tmp_path: Path) -> None:
    source, _ = made(name, tmp_path / "data")
    before = everything(source)
    for path in sorted((p for p in (tmp_path / "data").rglob("*") if p.is_file()), reverse=True):
        shutil.copy(path, moved := path.with_name(path.name + ".moved"))
        path.unlink()
        moved.rename(path)
    after = everything(source)
    assert all(before[site].inputs.tobytes() == after[site].inputs.tobytes() for site in before)


def test_splits_share_no_patient(name: str, tmp_path: Path) -> None:
    for cases in everything(made(name, tmp_path / "data")[0]).values():
        parts = [set(part.patients) for part in split(cases, Split(0.2, 0.2), seed=1).values()]
        assert sum(map(len, parts)) == len(set(cases.patients))
        assert parts[0]


def test_a_broken_case_is_quarantined_and_the_others_stay(name: str, tmp_path: Path) -> None:
    source, spoil = made(name, tmp_path / "data")
    if spoil is None:
        pytest.skip(f"{name} has no files of single cases")
    before = sum(len(cases) for cases in everything(source).values())
    spoil()
    after = everything(source)
    assert [len(cases.quarantined) for cases in after.values() if cases.quarantined] == [1]
    assert 0 < sum(len(cases) for cases in after.values()) <= before


def test_a_missing_folder_is_named_with_the_remedy(name: str, tmp_path: Path) -> None:
    source, _ = made(name, tmp_path / "data")
    if "folder" not in SOURCES.options(name):
        pytest.skip(f"{name} has no folder")
    missing = replace(source, folder=str(tmp_path / "absent"))  # type: ignore[type-var]
    with pytest.raises(SourceError, match=r"no folder .*absent.*(source\.folder|fetch)"):
        everything(missing)


def contents(source: Source) -> Counter[tuple[str, ...]]:
    """Every case with all that a network and an evaluation can see of it, and its place in the splits."""
    found: Counter[tuple[str, ...]] = Counter()
    for site, cases in everything(source).items():
        for part, own in split(cases, Split(0.3, 0.3, "independent"), seed=1).items():
            for index in range(len(own)):
                one = own.take(np.array([index]))
                seen = [values_of(one, column) for column in sorted(one.columns) if column != "patients"]
                digest = sha256(b"|".join(seen))
                found[str(site), str(own.patients[index]), part, digest.hexdigest(), repr(own.classes)] += 1
    return found


def values_of(one: Cases, column: str) -> bytes:
    value = one.columns[column].gather()[0]
    return str(value).encode() if np.asarray(value).dtype.kind == "U" else np.asarray(value).tobytes()


def check_that_only_one_person_changes(source: Source, change: Callable[[], Source]) -> None:
    before = contents(source)
    after = contents(change())
    gone, new = ({person for _, person, *_ in part} for part in (before - after, after - before))
    assert gone or new, "the change reached no case"
    assert len(gone) <= 1 and len(new) <= 1, f"one person changed the cases of {sorted(gone | new)}"


def test_one_person_changes_no_other_persons_cases_nor_place(name: str, tmp_path: Path) -> None:
    assert CHANGES.get(name), f"source {name!r} has no change of one person in source_makers.py: add CHANGES"
    for number, change in enumerate(CHANGES[name]):
        folder = tmp_path / str(number)
        source, _ = made(name, folder)
        if source.pooled_statistics:
            pytest.skip(f"{name} says that it computes {source.pooled_statistics[0].what}")

        def changed(change: Callable[[Path], Any] = change, source: Source = source, place: Path = folder) -> Source:
            return replace(source, **(change(place) or {}))  # type: ignore[type-var]

        check_that_only_one_person_changes(source, changed)


def test_every_source_says_what_a_person_is(name: str, tmp_path: Path) -> None:
    source, _ = made(name, tmp_path / "data")
    assert source.persons.endswith(".") and "person" in source.persons
    for one in source.pooled_statistics:
        assert one.what and one.option.startswith("source.") and one.remedy


@dataclass(frozen=True)
class Undeclared(Heart):
    """A planted fault: what it computes from several patients, it does not say."""

    @property
    def pooled_statistics(self) -> tuple[Pooled, ...]:
        return ()


@dataclass(frozen=True)
class Shuffled(Undeclared):
    """A planted fault: FLamby's own way to split, by a shuffle of all patients."""

    def cases(self, site: SiteId | None, seed: int) -> Cases:
        cases = super().cases(site, seed)
        test = np.random.default_rng(43).permutation(len(cases)) < len(cases) // 3
        return replace(cases.with_columns(given_split=np.where(test, "test", "train")), prescribed=("test",))


def many_hearts(folder: Path) -> None:
    folder.mkdir()
    for site in ("cleveland", "hungarian", "switzerland", "va"):
        rows = [f"{30 + index},1,{1 + index % 4},{120 + index},233,1,2,150,0,2.3,3,0,6,0" for index in range(40)]
        (folder / f"processed.{site}.data").write_text("\n".join(rows) + "\n")


@pytest.mark.parametrize("change", CHANGES["heart"])
@pytest.mark.parametrize("planted", [Undeclared(scaling="hospital"), Shuffled()])
def test_a_planted_source_that_mixes_patients_is_caught(
    planted: Undeclared, change: Callable[[Path], Any], tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    many_hearts(folder)

    def changed() -> Source:
        change(folder)
        return planted_here

    planted_here = replace(planted, folder=str(folder))
    if isinstance(planted, Shuffled) and change is heart_with_another_first_row:
        pytest.skip("a shuffle by number alone follows no value")
    with pytest.raises(AssertionError, match="one person changed"):
        check_that_only_one_person_changes(planted_here, changed)


@pytest.mark.parametrize("change", CHANGES["heart"])
@pytest.mark.parametrize("given_split", ["none", "flamby"])
def test_of_forty_patients_one_moves_no_other(
    given_split: Any, change: Callable[[Path], Any], tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    many_hearts(folder)
    source = Heart(str(folder), given_split=given_split)
    check_that_only_one_person_changes(source, lambda: (change(folder), source)[1])


def test_what_a_source_computes_from_several_patients_is_declared() -> None:
    assert [one.option for one in Heart(scaling="hospital").pooled_statistics] == ["source.scaling = 'hospital'"]
    assert [one.option for one in MedMnist().pooled_statistics] == ["source.classes = []"]
    assert [one.option for one in NiftiPairs().pooled_statistics] == ["source.name = 'nifti_pairs'"]
