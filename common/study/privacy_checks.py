"""What a study may do to data before training, where it promises privacy to single patients or cases.

Preprocessing and splits are part of the mechanism: noise is made for what one patient's own cases add, and covers
nothing of what that patient changes in the cases or the places of others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from common.data.pooled_statistics import Pooled
from common.errors import StudyError
from common.study.catalogue import MECHANISMS, PARTITIONS, SOURCES
from common.study.options import Entry

Assignment = Literal["exact", "independent"]
PERSONAL_UNITS = ("patient", "sample")


@dataclass(frozen=True)
class Preprocessing:
    """What a study says of its data before training, and of privacy. assignment: `split.assignment`, as written.

    by_hospital: whether hospitals are divided, and no hospital's persons.
    """

    source: Entry
    partition: Entry | None
    assignment: Assignment | None
    privacy: Entry | None
    by_hospital: bool = False

    @property
    def is_personal(self) -> bool:
        """Whether noise is promised to hide one patient or one case, rather than a hospital."""
        return self.privacy is not None and MECHANISMS.build(self.privacy).unit in PERSONAL_UNITS

    @property
    def resolved(self) -> Assignment:
        """The assignment that was chosen, or else the one that the promise needs."""
        return self.assignment or ("independent" if self.is_personal else "exact")


def check_preprocessing(study: Preprocessing) -> None:
    """Raise StudyError, with the remedy, where one patient would change another's cases or place in a split."""
    if study.privacy is None or not study.is_personal:
        return
    promise = f"privacy {study.privacy.name!r} promises to hide one {MECHANISMS.build(study.privacy).unit}"
    for kind, name, pooled in _pooled(study):
        if pooled is None:
            raise StudyError(
                f"{promise}, and {kind} {name!r} does not say what it computes from several patients: it needs "
                "`pooled_statistics`, () where that is nothing. Until it has that, remove [privacy]."
            )
        for one in pooled:
            raise StudyError(
                f"{promise}, and {kind} {name!r} computes {one.what} ({one.option}): one patient changes the cases "
                f"of others, which no noise covers. {one.remedy[0].upper()}{one.remedy[1:]}, or remove [privacy]."
            )
    if study.assignment == "exact":
        raise StudyError(
            f"{promise}, and split.assignment = 'exact' ranks a hospital's patients and cuts the ranking: one "
            "patient moves others between training and test, which no noise covers. Set split.assignment = "
            "'independent', or leave it out."
        )


def _pooled(study: Preprocessing) -> Iterator[tuple[str, str, tuple[Pooled, ...] | None]]:
    """Kind, name and declaration of the source and the partition; None where it declares nothing at all."""
    yield "source", study.source.name, getattr(SOURCES.build(study.source), "pooled_statistics", None)
    if study.partition is not None:
        built = PARTITIONS.build(study.partition)
        yield "partition", study.partition.name, getattr(built, "pooled_statistics", None)


def remarks(study: Preprocessing) -> tuple[str, ...]:
    """What a reader of the study should know of its persons and its splits, as sentences."""
    said = [str(getattr(SOURCES.build(study.source), "persons", "The source does not say what a person is."))]
    said += [] if study.by_hospital else [_SPLITS[study.resolved]]
    if study.partition is not None:
        said.append(
            f"Partition {study.partition.name!r} stands for hospitals that exist: who is in which is taken to be "
            "public and fixed, and no promise covers it."
        )
    if study.privacy is not None and study.is_personal:
        mechanism = MECHANISMS.build(study.privacy)
        said += [ONE_CASE] * (mechanism.unit == "sample")
        said.append(TWO_HOSPITALS_ONE_NOISE if mechanism.place == "shares" else TWO_HOSPITALS)
    return tuple(said)


TWO_HOSPITALS = (
    "Epsilon is of one person at one hospital: for a person whom several hospitals hold, their epsilons and deltas "
    "add up."
)
TWO_HOSPITALS_ONE_NOISE = (
    "Epsilon is of one person at one hospital: a person whom k hospitals hold is hidden as a group of k persons is, "
    "which costs k times the epsilon or more."
)
ONE_CASE = "Epsilon is of one case: a person with k cases is hidden as a group of k is."
_SPLITS: dict[Assignment, str] = {
    "exact": "Splits are exact shares of a hospital's persons: one person more or less can move others.",
    "independent": (
        "Each person's place in the splits depends on that person's name and the seed alone, so that shares hold on "
        "average and a small hospital may have no validation or test case."
    ),
}
