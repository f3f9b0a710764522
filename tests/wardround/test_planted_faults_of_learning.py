"""Every law that entries inherit finds the fault that it is there for: one planted for each."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from common.asking.records import Records
from common.data.cases import Cases, Quarantined, Shape
from common.errors import SourceError
from common.learning.task import Task
from tests.wardround.faulty_tasks import (
    AugmentedByChance,
    AugmentedInPlace,
    Averaged,
    Centred,
    Changing,
    Coupled,
    Drawing,
    Headless,
    Idling,
    Led,
    Mixing,
    Normalised,
    NotFrozen,
    OneForAll,
    Real,
    Sound,
    Undetermined,
)
from tests.wardround.planted import broken, laws, pairs
from wardround.testing import LossTests, Made, NetworkTests, SourceTests, TaskTests
from wardround.testing.losses import fitting_answers
from wardround.testing.makers import rows_with_classes

TASKS = {
    "what_scores_are_made_of_is_of_each_case_alone": (Mixing,),
    "a_companion_that_is_said_to_follow_the_model_is_moved_by_no_case": (Led,),
    "its_options_are_a_frozen_dataclass_that_survives_a_copy": (NotFrozen,),
    "its_network_can_be_exchanged_and_follows_from_the_seed_alone": (Normalised, Undetermined),
    "it_overfits_four_cases": (Idling,),
    "the_loss_is_one_number_a_case": (OneForAll,),
    "a_case_has_the_same_loss_whoever_else_is_in_the_batch": (Centred,),
    "gradients_of_chunks_add_up_to_that_of_the_whole": (Centred,),
    "the_headline_is_among_the_scores": (Headless,),
    "scores_of_hospitals_merge_exactly_into_those_of_all_patients": (Averaged,),
    "augmentation_depends_on_its_generator_alone": (AugmentedByChance, AugmentedInPlace),
    "nothing_that_is_given_is_changed_and_no_shared_generator_is_drawn_from": (Drawing, Changing),
    "predictions_are_one_a_case_classes_or_numbers": (Real,),
}


@pytest.mark.parametrize(("law", "fault"), pairs(TASKS))
def test_a_faulty_task_is_caught(law: str, fault: type[Task]) -> None:
    broken(TaskTests, law, (fault(), rows_with_classes()))


def test_a_task_without_fault_passes_and_one_that_declares_that_it_couples_cases_is_let_be() -> None:
    for law in laws(TaskTests):
        with suppress(pytest.skip.Exception):
            getattr(TaskTests(), f"test_{law}")((Sound(), rows_with_classes()))
    with pytest.raises(pytest.skip.Exception, match="declares"):
        TaskTests().test_a_case_has_the_same_loss_whoever_else_is_in_the_batch((Coupled(), rows_with_classes()))


@dataclass(frozen=True)
class Built:
    """A network whose class is given; (2,) inputs, 3 classes."""

    layers: ClassVar[Callable[[], nn.Module]]

    def build(self, shape: Shape) -> nn.Module:
        return type(self).layers()


class Statistics(nn.Linear):
    def __init__(self) -> None:
        super().__init__(2, 3)
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.seen += 1
        return super().forward(inputs)


class Idle(nn.Linear):
    def __init__(self) -> None:
        super().__init__(2, 3)
        self.never = nn.Parameter(torch.zeros(3))


class OfBatch(nn.Linear):
    def __init__(self) -> None:
        super().__init__(2, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return super().forward(inputs - inputs.mean(0))


class Chance(nn.Linear):
    def __init__(self) -> None:
        super().__init__(2, 3)
        nn.init.constant_(self.weight, random.random())


class Thawed(Built):
    layers = staticmethod(lambda: nn.Linear(2, 3))
    __dataclass_params__ = copy.copy(Built.__dataclass_params__)
    __dataclass_params__.frozen = False


def of(name: str, made: Callable[[], nn.Module]) -> type:
    return type(name, (Built,), {"layers": staticmethod(made)})


NETWORKS = {
    "its_options_are_a_frozen_dataclass_that_survives_a_copy": (Thawed,),
    "it_can_be_exchanged": (
        of("BatchNorm", lambda: nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))),
        of("Half", lambda: nn.Linear(2, 3, dtype=torch.float16)),
        of("Statistics", Statistics),
    ),
    "what_it_gives_is_one_row_of_class_scores_a_case": (of("OneTooMany", lambda: nn.Linear(2, 4)),),
    "a_case_gets_the_same_output_whoever_else_is_in_the_batch": (of("OfBatch", OfBatch),),
    "it_learns_with_all_its_parameters": (of("Idle", Idle),),
    "it_follows_from_torchs_seed_alone": (of("Chance", Chance),),
}


@pytest.mark.parametrize(("law", "fault"), pairs(NETWORKS))
def test_a_faulty_network_is_caught(law: str, fault: type) -> None:
    broken(NetworkTests, law, (fault(), Shape((2,), 3)))


@dataclass(frozen=True)
class Rows:
    """A source without fault: a file for each person, in folders of hospitals."""

    folder: str = ""
    has_sites: ClassVar[bool] = True
    pooled_statistics: ClassVar[tuple[Any, ...]] = ()
    persons: ClassVar[str] = "A person is a file."

    def sites(self) -> tuple[str, ...]:
        return tuple(sorted(path.name for path in self.place().iterdir()))

    def place(self) -> Path:
        if not Path(self.folder).is_dir():
            raise SourceError(f"There is no folder {self.folder}: set source.folder.")
        return Path(self.folder)

    def files(self, site: str) -> list[Path]:
        return sorted((self.place() / site).iterdir())

    def cases(self, site: str | None, seed: int) -> Cases:
        assert site is not None
        rows, left_out = {}, []
        for path in self.files(site):
            try:
                rows[path.stem] = [float(word) for word in path.read_text().split()]
            except ValueError:
                left_out.append(Quarantined(path.stem, "holds a word that is no number"))
        inputs = np.array(list(rows.values()), np.float32)
        targets = np.array([int(name[-1]) % 2 for name in rows])
        return Cases.of(inputs, targets, list(rows), ("no", "yes"), quarantined=tuple(left_out))


@dataclass(frozen=True)
class Doubled(Rows):
    def cases(self, site: str | None, seed: int) -> Cases:
        return super().cases("a", seed)


@dataclass(frozen=True)
class Unlike(Rows):
    def cases(self, site: str | None, seed: int) -> Cases:
        cases = super().cases(site, seed)
        return replace(cases, columns={**cases.columns, **cases.with_columns(targets=cases.targets + 5).columns})


@dataclass(frozen=True)
class AnotherEachTime(Rows):
    def cases(self, site: str | None, seed: int) -> Cases:
        cases = super().cases(site, seed)
        return cases.with_columns(inputs=cases.inputs + np.float32(np.random.rand()))


@dataclass(frozen=True)
class AsListed(Rows):
    def files(self, site: str) -> list[Path]:
        return sorted((self.place() / site).iterdir(), key=lambda path: path.stat().st_ctime_ns)


@dataclass(frozen=True)
class LostInSilence(Rows):
    def cases(self, site: str | None, seed: int) -> Cases:
        return replace(super().cases(site, seed), quarantined=())


@dataclass(frozen=True)
class NoRemedy(Rows):
    def place(self) -> Path:
        return Path(self.folder)


@dataclass(frozen=True)
class Undeclared(Rows):
    def cases(self, site: str | None, seed: int) -> Cases:
        cases = super().cases(site, seed)
        return cases.with_columns(inputs=cases.inputs - cases.inputs.mean(0))


@dataclass(frozen=True)
class NobodyTrains(Rows):
    def cases(self, site: str | None, seed: int) -> Cases:
        cases = super().cases(site, seed)
        return replace(cases.with_columns(given_split=np.full(len(cases), "test")), prescribed=("test",))


@dataclass(frozen=True)
class Nameless(Rows):
    persons: ClassVar[str] = "?"


@dataclass(frozen=True)
class NamesPersons(Rows):
    def records(self, site: str | None, seed: int) -> Records:
        persons = self.cases(site, seed).patients
        return Records({"bed": persons}, persons)


@dataclass(frozen=True)
class OfOtherRows(Rows):
    def records(self, site: str | None, seed: int) -> Records:
        cases = self.cases(site, seed)
        return Records({"first": cases.inputs[::-1, 0].astype(np.float64)}, cases.patients[::-1])


@dataclass
class RowsThawed(Rows.__bases__[0]):  # type: ignore[misc, name-defined]
    folder: str = ""


SOURCES = {
    "hospitals_are_sorted_and_share_no_patient": (Doubled,),
    "cases_are_well_formed": (Unlike,),
    "questions_read_rows_of_the_same_persons_and_never_who_they_are": (NamesPersons, OfOtherRows),
    "two_loads_are_the_same": (AnotherEachTime,),
    "the_order_of_files_does_not_matter": (AsListed,),
    "splits_share_no_patient": (NobodyTrains,),
    "a_broken_case_is_quarantined_with_a_reason_and_the_others_stay": (LostInSilence,),
    "a_missing_folder_is_named_with_the_remedy": (NoRemedy,),
    "one_person_changes_no_other_persons_cases_nor_place": (Undeclared,),
    "it_says_what_a_person_is": (Nameless,),
    "its_options_are_a_frozen_dataclass_that_survives_a_copy": (RowsThawed,),
}


def made_of(source: type) -> Callable[[Path], Made]:
    def made(folder: Path) -> Made:
        for site in "ab":
            (folder / site).mkdir(parents=True)
            for number in range(6):
                (folder / site / f"{site}{number}.txt").write_text(f"{number} {number**2} {ord(site)}")
        tried = source(str(folder))

        def another() -> Any:
            (folder / "a" / "a3.txt").write_text("50 -7 1")
            return tried

        return Made(tried, lambda: (folder / "b" / "b2.txt").write_text("oops 1 2"), (another,))

    return made


@pytest.mark.parametrize(("law", "fault"), pairs(SOURCES))
def test_a_faulty_source_is_caught(law: str, fault: type, tmp_path: Path) -> None:
    broken(SourceTests, law, made_of(fault), tmp_path)


def test_a_source_without_fault_passes(tmp_path: Path) -> None:
    for law in laws(SourceTests):
        (tmp_path / law).mkdir()
        getattr(SourceTests(), f"test_{law}")(made_of(Rows), tmp_path / law)


@pytest.mark.parametrize(("tests", "faults"), [(TaskTests, TASKS), (NetworkTests, NETWORKS), (SourceTests, SOURCES)])
def test_no_law_is_without_a_planted_fault(tests: type, faults: dict[str, Any]) -> None:
    assert laws(tests) == faults.keys()


def focal(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    right = logits.log_softmax(1).gather(1, targets[:, None])[:, 0]
    return -((1 - right.exp()) ** 2) * right


def mean_of_all(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return cross_entropy(logits, targets)


def of_the_batch(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return cross_entropy(logits - logits.mean(0), targets, reduction="none")


def of_choices(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (logits.argmax(1) != targets).float()


def of_logarithms(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return -logits.softmax(1).gather(1, targets[:, None])[:, 0].log()


def in_place(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return cross_entropy(logits.mul_(2), targets, reduction="none")


LOSSES = {
    "it_is_one_number_a_case": (mean_of_all,),
    "a_case_has_the_same_loss_whoever_else_is_in_the_batch": (of_the_batch,),
    "it_can_be_learned_from": (of_choices,),
    "it_is_finite_for_answers_that_are_very_sure": (of_logarithms,),
    "it_changes_nothing_and_draws_nothing": (in_place,),
}


@pytest.mark.parametrize(("law", "fault"), pairs(LOSSES))
def test_a_faulty_loss_is_caught(law: str, fault: Callable[..., Any]) -> None:
    broken(LossTests, law, (fault, *fitting_answers(focal)))


def test_a_loss_without_fault_passes() -> None:
    assert laws(LossTests) == LOSSES.keys()
    for law in LOSSES:
        getattr(LossTests(), f"test_{law}")((focal, *fitting_answers(focal)))
