"""Every source of ours passes the tests that anybody's inherits. A new one needs a maker of tiny data, and changes of
a person, in source_makers.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.source import Source
from client.sources.heart import Heart
from client.sources.medmnist import MedMnist
from client.sources.nifti_pairs import NiftiPairs
from common.data.cases import Cases, SiteId
from common.data.pooled_statistics import Pooled
from common.study.catalogue import SOURCES
from common.study.options import Entry
from tests.client import source_makers
from tests.client.source_makers import CHANGES, heart_with_another_first_row
from wardround.testing import Made, SourceTests
from wardround.testing.sources import changed, check_that_only_one_person_changes


class TestEverySource(SourceTests):
    @pytest.fixture(params=SOURCES.names())
    def make_in(self, request: pytest.FixtureRequest) -> Callable[[Path], Made]:
        name = str(request.param)
        maker = getattr(source_makers, f"make_{name}", None)
        assert maker is not None, f"source {name!r} has no maker of tiny data in source_makers.py: add make_{name}"
        assert CHANGES.get(name), f"source {name!r} has no change of one person in source_makers.py: add CHANGES"

        def made(folder: Path) -> Made:
            folder.mkdir()
            options, spoil = maker(folder)
            source = SOURCES.build(Entry(name, options))
            return Made(source, spoil, tuple(partial(changed, source, change, folder) for change in CHANGES[name]))

        return made

    def test_it_says_what_it_computes_from_several_persons(
        self, make_in: Callable[[Path], Made], tmp_path: Path
    ) -> None:
        assert make_in(tmp_path / "data").source.pooled_statistics is not None


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

    def after() -> Source:
        change(folder)
        return planted_here

    planted_here = replace(planted, folder=str(folder))
    if isinstance(planted, Shuffled) and change is heart_with_another_first_row:
        pytest.skip("a shuffle by number alone follows no value")
    with pytest.raises(AssertionError, match="one person changed"):
        check_that_only_one_person_changes(planted_here, after)


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
