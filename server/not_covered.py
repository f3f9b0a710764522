"""What leaves in clear beside a promise: what it is, to whom it is told, and why epsilon says nothing of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from common.privacy.mechanism import Place
from common.privacy.release import Unit
from common.study.expected_patients import ExpectedPatients
from common.sums.exchange import Reveals

COORDINATOR = "the coordinator"
EVERYONE = "the coordinator, and whoever has the models or the report"
NETWORK = "the coordinator, and whoever watches the network"


@dataclass(frozen=True)
class Uncovered:
    """One row. to_whom, why: in words."""

    what: str
    to_whom: str
    why: str


def not_covered(
    unit: Unit,
    place: Place,
    reveals: Reveals,
    expected: ExpectedPatients | None,
    simulated: bool,
    compared: bool = False,
    started: bool = False,
    squares: bool = False,
    features: bool = False,
) -> list[dict[str, str]]:
    """The table, as in `privacy.json`; rows that matter most first.

    compared: whether the study trains other models to compare with, which only simulation does. started: whether it
    begins from a model that was trained before. squares: whether final scores leave with sums for intervals.
    features: whether scores are made of sums of what an encoder answers.
    """
    rows = [
        *_noise(place, simulated),
        *_compared(compared),
        *_started(started),
        *_numbers(expected),
        *_scores(reveals, squares, features),
        Uncovered(
            "how long a hospital takes to answer, and whether it answers",
            NETWORK,
            "training takes longer with more cases, and with more of them drawn; seconds of training are not sent, "
            "but a clock sees the reply",
        ),
        Uncovered(
            "that a hospital refuses a round because its own limit of privacy is spent",
            COORDINATOR,
            "it tells that some of its patients took part in other studies",
        ),
        Uncovered(
            "the shape of cases, the names of classes, and a digest of the names of a table's columns",
            EVERYONE,
            "they are agreed for a study, and taken to be public",
        ),
        *_beyond(unit),
    ]
    return [asdict(row) for row in rows]


def _noise(place: Place, simulated: bool) -> Iterator[Uncovered]:
    if simulated:
        yield Uncovered(
            "the noise itself",
            "whoever knows the study's seed",
            "a simulation's noise comes from the seed, and can be taken off again: what is promised is what real "
            "hospitals would get, and protects nobody here",
        )
    if place == "server":
        yield Uncovered("the sum of updates without noise", COORDINATOR, "the coordinator adds the noise itself")


def _compared(compared: bool) -> Iterator[Uncovered]:
    if compared:
        yield Uncovered(
            "scores of the models of single hospitals, and of all data together, that the study compares with",
            EVERYONE,
            "they are trained without noise ([baselines]); real hospitals refuse to tell them",
        )


def _started(started: bool) -> Iterator[Uncovered]:
    if started:
        yield Uncovered(
            "what the model that the run begins from has learned",
            EVERYONE,
            "epsilon is of this run's rounds alone: where that model was trained on the same patients, what it tells "
            "of them comes on top, and without noise is bounded by nothing",
        )


def _numbers(expected: ExpectedPatients | None) -> Iterator[Uncovered]:
    if expected is not None:
        return
    yield Uncovered(
        "each hospital's numbers of cases and patients, for training, validation and test, and of unusable cases",
        EVERYONE,
        "noise, sampling and weights are worked out from them: they are taken to be public",
    )


def _scores(reveals: Reveals, squares: bool, features: bool) -> Iterator[Uncovered]:
    whose = (
        "of every hospital"
        if reveals == "each"
        else "of all hospitals together, and by the difference of two sums of one"
    )
    sums = " sums over patients of their squares (final_intervals)," * squares
    sums += " sums of a dozen numbers that the encoder makes of them, and of their products (rank and spread)," * features
    yield Uncovered(
        f"scores of validation and test patients {whose},{sums} the numbers scored, and seconds of evaluation",
        EVERYONE,
        "the promise is about those who were trained on; scores of others are exact, and carry no noise"
        + "; of a single patient such sums would be that patient's features, by which one is known again" * features,
    )


def _beyond(unit: Unit) -> Iterator[Uncovered]:
    if unit == "hospital":
        yield Uncovered("single patients", EVERYONE, "the promise is about a hospital as a whole")
        return
    yield Uncovered(
        "what is true of a group as a whole",
        "whoever has the models",
        f"epsilon is about one {'case' if unit == 'sample' else unit}; for related persons, and for one person in "
        "several hospitals, the larger ones above hold",
    )
    if unit == "sample":
        yield Uncovered("a patient with several cases", EVERYONE, "the promise is about one case: epsilons add")
