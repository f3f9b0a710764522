"""What the probes of an encoder share: whose labels are used, how many there are, and the answer on other cases."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.asking.analysis import Public, Query
from common.asking.exact_sums import Integers, Total, counts
from common.asking.features import PART, feature_names, features_of
from common.asking.groups import levels_of
from common.asking.levels import CLASS
from common.asking.records import Records
from common.errors import AnalysisError, StudyError
from common.learning.label_draw import LabelDraw
from common.study.checks import between, non_negative, positive
from common.study.spelling import unknown

SETTING, TRAIN = "setting", "train"
ENCODERS = ("start", "random")
EVALUATED = ("test", "validation")
NO_NOISE = (
    "one person's features may be of any size, so that no noise hides them; train a last layer with "
    "privacy = 'dpsgd' and [start] instead, its encoder frozen."
)
LEAST = 5
CONSTANT = 1e-24
"""Of a column's mean square: a variance of less is none, as in scikit-learn's StandardScaler."""

Values = NDArray[np.float64]
Sums = dict[str, NDArray[np.integer] | Integers]


class ByShare:
    """What follows from options that say whose labels are used."""

    share: float
    draw: int
    seed: int

    @property
    def label_draw(self) -> LabelDraw | None:
        """Whose labels are used, where not everybody's."""
        return LabelDraw(self.share, self.draw, self.seed) if self.share < 1 else None

    @property
    def whole_hospitals(self) -> bool:
        """Where each draws among its own persons."""
        return self.share < 1


@dataclass(frozen=True)
class Probe(ByShare):
    """Options of every probe.

    outcome: a column of words, the class that the source gives where nothing else is said. levels: of it, as
    `grade=low|high`, where nobody named them. encoder: "start", of the model that the study begins from; "random",
    the same network as the seed draws it, never trained: the floor that a probe must stand beside. share: of each
    hospital's training persons, those whose labels are used, class by class, as `training.label_share`; draw, seed:
    which persons these are. evaluated: the part that is predicted. by_hospital: answers of each hospital as well.
    least: fewest persons of a class whose labels are used, over all hospitals; of fewer the sums would tell their
    features. bins: in which scores count as tied for the area under the curve, the answer saying by how much that may
    move it.
    """

    without_noise: ClassVar[str] = NO_NOISE
    outcome: str = CLASS
    levels: tuple[str, ...] = ()
    encoder: str = "start"
    share: float = 1.0
    draw: int = 0
    seed: int = 0
    evaluated: str = "test"
    by_hospital: bool = False
    least: int = LEAST
    bins: int = 1024

    def __post_init__(self) -> None:
        if self.encoder not in ENCODERS:
            raise unknown("encoder of a probe", self.encoder, ENCODERS)
        if self.evaluated not in EVALUATED:
            raise unknown("part to evaluate a probe on", self.evaluated, EVALUATED)
        positive("probe", share=self.share, least=self.least)
        between("probe", 0, 1, share=self.share)
        between("probe", 2, 65536, bins=self.bins)
        non_negative("probe", draw=self.draw, seed=self.seed)

    @property
    def of_hospitals(self) -> bool:
        """Where answers of each are wanted, or persons are drawn in each."""
        return self.by_hospital

    def classes_of(self, public: Public) -> tuple[str, ...]:
        """What the outcome may be. Raises StudyError where nobody named it."""
        return levels_of(self.outcome, self.levels, public)

    def drawn(self, records: Records, classes: tuple[str, ...]) -> tuple[Records, NDArray[np.int64]]:
        """Training cases whose labels are used, and their classes by place. Cases with gaps are left out."""
        kept, labels = complete(records, self.outcome, classes, TRAIN)
        if self.label_draw is not None and len(kept):
            strata = np.asarray(classes, np.str_)[labels]
            used = self.label_draw.persons(kept.persons, strata, records.site)
            rows = np.array([person in used for person in kept.persons.tolist()], bool)
            kept, labels = kept.take(rows), labels[rows]
        return kept, labels


@dataclass(frozen=True)
class Setting:
    """width: features. persons, cases: of each class, whose labels are used. classes: all of them, by name."""

    width: int
    classes: tuple[str, ...]
    cases: tuple[int, ...]
    persons: tuple[int, ...]
    tested: int
    left_out: int

    @property
    def present(self) -> tuple[int, ...]:
        """Places of the classes that anybody has a label of."""
        return tuple(place for place, count in enumerate(self.cases) if count)


def setting(probe: Probe, public: Public, fewest: int = 2) -> Generator[Query, Total, Setting]:
    """One round: how many features and labels there are. Raises AnalysisError where they are too few."""
    classes = probe.classes_of(public)
    parts = {
        "rows": counts(),
        "width": counts(most_by_one=None),
        "cases": counts(len(classes), most_by_one=None),
        "persons": counts(len(classes), most_by_one=None),
        "tested": counts(),
        "left out": counts(),
    }
    total = yield Query(parts, {"classes": classes}, SETTING)
    rows, width = int(total.count("rows")), int(total.count("width"))
    if not rows:
        raise AnalysisError("no hospital has a case.")
    if width % rows:
        raise AnalysisError("hospitals have features of different numbers: their encoders are not the same.")
    persons = tuple(total.count("persons").tolist())
    found = Setting(
        width // rows,
        classes,
        tuple(total.count("cases").tolist()),
        persons,
        int(total.count("tested")),
        int(total.count("left out")),
    )
    _demand_enough(probe, found, fewest)
    return found


def setting_sums(probe: Probe, records: Records, query: Query) -> Sums:
    """The hospital's half of it."""
    classes = words(query, "classes")
    drawn, labels = probe.drawn(records, classes)
    tested, _ = complete(records, probe.outcome, classes, probe.evaluated)
    of_part = np.isin(records.words(PART), [TRAIN, probe.evaluated])
    known = sum(len(complete(records, probe.outcome, classes, part)[0]) for part in (TRAIN, probe.evaluated))
    own = [np.unique(drawn.persons[labels == place]) for place in range(len(classes))]
    return {
        "rows": np.array(len(records)),
        "width": np.array(len(feature_names(records)) * len(records)),
        "cases": np.bincount(labels, minlength=len(classes)),
        "persons": np.array([len(one) for one in own]),
        "tested": np.array(len(tested)),
        "left out": np.array(int(np.count_nonzero(of_part)) - known),
    }


def complete(
    records: Records, outcome: str, classes: tuple[str, ...], part: str
) -> tuple[Records, NDArray[np.int64]]:
    """Cases of a part of which class and all features are known, and the classes by place."""
    said, places = records.words(outcome), {word: place for place, word in enumerate(classes)}
    labels = np.array([places.get(word, -1) for word in said.tolist()], np.int64)
    known = (labels >= 0) & (records.words(PART) == part)
    known &= np.isfinite(features_of(records)).all(axis=1)
    return records.take(known), labels[known]


def words(query: Query, name: str) -> tuple[str, ...]:
    """What was told in words. Raises StudyError where it was told otherwise."""
    told = query.tells.get(name)
    if not isinstance(told, tuple):
        raise StudyError(f"the query does not tell {name!r} in words.")
    return told


def numbers(query: Query, name: str) -> Values:
    """What was told in numbers. Raises StudyError where it was told otherwise."""
    told = query.tells.get(name)
    if told is None or isinstance(told, tuple):
        raise StudyError(f"the query does not tell {name!r} in numbers.")
    return np.asarray(told, np.float64)


def with_labels_words(found: Setting) -> tuple[str, ...]:
    """Of classes that nobody has, and of cases that are left out."""
    absent = [word for word, count in zip(found.classes, found.cases, strict=True) if not count]
    said = [f"Nobody has a label {', '.join(absent)}: it is never predicted."] * bool(absent)
    said += [f"{found.left_out} cases are left out: the class or a feature is not known."] * bool(found.left_out)
    return tuple(said)


def _demand_enough(probe: Probe, found: Setting, fewest: int) -> None:
    if len(found.present) < fewest:
        only = ", ".join(found.classes[place] for place in found.present) or "none"
        raise AnalysisError(
            f"labels are used of {len(found.present)} classes ({only}): nothing tells them apart. Use a larger share."
        )
    few = [(found.classes[place], found.persons[place]) for place in found.present]
    short = [f"{count} of {word}" for word, count in few if count < probe.least]
    if short:
        raise AnalysisError(
            f"there are labels of {', '.join(short)} persons, and sums of fewer than least = {probe.least} would "
            "tell what their features are: use a larger share."
        )
    if not found.tested:
        raise AnalysisError(f"no hospital has a {probe.evaluated} case whose class and features are known.")
