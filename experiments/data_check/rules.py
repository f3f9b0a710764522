"""What one hospital's data show by themselves, a function for each thing that can be found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from common.data.cases import Shape
from common.data.names import in_one_form
from common.errors import StudyError
from common.learning.abilities import shown_shape
from common.study.study import Study
from common.wire.train_requests import SPLITS
from experiments.data_check.finding import Finding
from experiments.data_check.holding import Holding
from experiments.data_check.names import alike
from server.reporting.wording import count, listed, percent

Rule = Callable[[Holding, Study], Iterable[Finding]]

GRAVE_LOSS = 0.05
"""Of a class's truth; what preprocessing removes of it below that is a note."""
LEFT_OUT_ON_PURPOSE = ("consent", "withdr")
"""Words of reasons that are no fault of the data."""
CODES = frozenset({-9.0, -99.0, -999.0, -9999.0, 99.0, 999.0, 9999.0, 99999.0, 999999.0})
LEAST_OF_A_CODE, LEAST_VALUES, CODE_GAP = 2, 3, 1.0
"""How often a code must stand there, among how many other values, and how many of their spreads off."""
SHAPES_SHOWN, MOST_IN_WORDS = 4, 6


def reading_stopped(holding: Holding, study: Study) -> Iterator[Finding]:
    """The source could not go on, or there is nothing to learn from."""
    if holding.fault:
        yield Finding("error", "unreadable", holding.site, holding.fault)
    elif not len(holding):
        yield Finding("error", "no case", holding.site, "There is no usable case.")
    elif not holding.persons_of["train"] and not study.split.is_by_hospital:
        words = "The study's split leaves nobody to train on here."
        yield Finding("error", "nobody trains", holding.site, words)


def empty_parts(holding: Holding, study: Study) -> Iterator[Finding]:
    """A part of the split that the study wants, and nobody is in."""
    if not len(holding) or not holding.persons_of["train"] or study.split.is_by_hospital:
        return
    for place, share in (("validation", study.split.validation), ("test", study.split.test)):
        if not holding.persons_of[place] and (share or place in holding.prescribed):
            words = f"Nobody is in {place}: nothing can be said of the model on {place} cases of this hospital."
            yield Finding("note" if place == "validation" else "warning", f"no {place}", holding.site, words)


def unusable(holding: Holding, study: Study) -> Iterator[Finding]:
    """What would be quarantined, each with its reason; and, apart from it, who is left out on purpose."""
    faulty = [one for one in holding.quarantined if not _is_on_purpose(one.reason)]
    on_purpose = [one for one in holding.quarantined if _is_on_purpose(one.reason)]
    if faulty:
        words = f"{count(len(faulty), 'case')} cannot be used and would be left out of the run."
        yield Finding(
            "warning", "unusable", holding.site, words, tuple(f"{one.name}: {one.reason}" for one in faulty)
        )
    if on_purpose:
        words = f"{count(len(on_purpose), 'case')} left out: no consent."
        names = tuple(f"{one.name}: {one.reason}" for one in on_purpose)
        yield Finding("note", "no consent", holding.site, words, names)


def _is_on_purpose(reason: str) -> bool:
    return any(word in reason.casefold() for word in LEFT_OUT_ON_PURPOSE)


def unlike_cases(holding: Holding, study: Study) -> Iterator[Finding]:
    """Cases that no network can be shown beside the others."""
    if holding.unlike:
        words = (
            f"{count(len(holding.unlike), 'case')} cannot stand beside the others: channels, axes or classes differ."
        )
        yield Finding("error", "unlike", holding.site, words, holding.unlike)
    shapes = holding.shapes
    if len(shapes) > 1 and not _brings_to_one_shape(study, len(next(iter(shapes)).split(" x "))):
        told = listed([f"{shape} ({number:,})" for shape, number in shapes.items()], SHAPES_SHOWN)
        words = f"Cases differ in shape ({told}): bring them to one size (source.size), or draw patches (task.patch)."
        yield Finding("error", "shapes", holding.site, words)


def _brings_to_one_shape(study: Study, axes: int) -> bool:
    """Whether the network is shown one shape of cases that differ in all their axes but the channels."""
    try:
        return 0 not in shown_shape(study.build_task(), Shape((1, *(0,) * (axes - 1)), 2)).inputs
    except StudyError:
        return False


def not_finite(holding: Holding, study: Study) -> Iterator[Finding]:
    """NaN or infinite values: one of them in a batch makes the whole model NaN."""
    for kind, what in (("not_finite", "Inputs"), ("target_not_finite", "Targets")):
        rows = np.flatnonzero(holding.rows.get(kind, np.zeros(0)))
        if len(rows):
            words = f"{what} of {count(len(rows), 'case')} hold NaN or infinite values: training would end in NaN."
            yield Finding("error", "not finite", holding.site, words, holding.named(rows))


def constant_images(holding: Holding, study: Study) -> Iterator[Finding]:
    """Images of one value throughout."""
    rows = np.flatnonzero(holding.is_constant)
    if len(rows):
        words = f"{count(len(rows), 'image')} of one value throughout: nothing is to be seen on them."
        yield Finding("warning", "constant", holding.site, words, holding.named(rows))


def constant_columns(holding: Holding, study: Study) -> Iterator[Finding]:
    """Features that are the same in every row."""
    features = holding.rows.get("features")
    if features is None or len(features) < 2:
        return
    names = tuple(holding.feature_name(k) for k in np.flatnonzero(np.ptp(features, axis=0) == 0).tolist())
    if names:
        words = f"{count(len(names), 'feature')} of one value in all rows: nothing can be learned from them here."
        yield Finding("note", "constant feature", holding.site, words, names)


def codes(holding: Holding, study: Study) -> Iterator[Finding]:
    """Numbers such as -9 and 999 that stand far from all others, again and again."""
    found = []
    columns = [
        (holding.feature_name(k), one) for k, one in enumerate(holding.rows.get("features", np.zeros((0, 0))).T)
    ]
    if "target" in holding.rows and holding.rows["target"].ndim == 1:
        columns.append(("the target", holding.rows["target"]))
    for name, values in columns:
        found += [f"{name}: {code:g} in {times:,} cases" for code, times in suspected_codes(values)]
    if found:
        words = "Numbers that often stand for “not measured” are taken as measured: name them as missing, or look."
        yield Finding("warning", "codes", holding.site, words, tuple(found))


def suspected_codes(values: NDArray[np.floating]) -> list[tuple[float, int]]:
    """(code, how often): the least or largest of all values, repeated, and far from the nearest other value."""
    found = []
    for code in sorted(CODES & set(np.unique(values).tolist())):
        others, times = values[values != code], int((values == code).sum())
        if times < LEAST_OF_A_CODE or len(np.unique(others)) < LEAST_VALUES:
            continue
        low, high = float(others.min()), float(others.max())
        spread = max(high - low, 1.0)
        gap = low - code if code < low else code - high
        if gap > CODE_GAP * spread or code < 0 <= low:
            found.append((code, times))
    return found


def no_class(holding: Holding, study: Study) -> Iterator[Finding]:
    """Labels that are none of the classes."""
    rows = np.flatnonzero(holding.rows.get("beyond", np.zeros(0)))
    if len(rows):
        words = f"Labels of {count(len(rows), 'case')} are none of the {len(holding.classes)} classes."
        yield Finding("error", "no class", holding.site, words, holding.named(rows))


def absent_classes(holding: Holding, study: Study) -> Iterator[Finding]:
    """Classes that nobody here has, or that nobody here trains on."""
    counts = holding.rows.get("class_counts")
    if counts is None or not len(holding):
        return
    here = counts.sum(axis=0) > 0
    trained = counts[holding.where("train")].sum(axis=0) > 0
    what = f"no {holding.counted.removesuffix('s')}"
    if not here.all():
        absent = tuple(np.array(holding.classes)[~here].tolist())
        words = f"{_classes(absent)}: {what} at this hospital."
        yield Finding("note", "absent class", holding.site, words, absent if len(absent) > MOST_IN_WORDS else ())
    if (here & ~trained).any() and holding.persons_of["train"]:
        untrained = tuple(np.array(holding.classes)[here & ~trained].tolist())
        words = f"{_classes(untrained)}: {what} in training, only in validation or test."
        yield Finding(
            "note", "untrained class", holding.site, words, untrained if len(untrained) > MOST_IN_WORDS else ()
        )


def _classes(names: tuple[str, ...]) -> str:
    return f"Class{'es' if len(names) > 1 else ''} {listed(names)}"


def only_background(holding: Holding, study: Study) -> Iterator[Finding]:
    """Masks with nothing but the first class on them."""
    if not holding.has_masks:
        return
    empty = holding.rows["class_counts"][:, 1:].sum(axis=1) == 0
    if empty.all():
        words = f"Every mask is all {holding.classes[0]}: there is nothing to learn to outline."
        yield Finding("error", "only background", holding.site, words)
    elif empty.any():
        rows = np.flatnonzero(empty)
        words = f"{len(rows):,} of {count(len(holding), 'mask')} all {holding.classes[0]}."
        yield Finding("note", "only background", holding.site, words, holding.named(rows))


def truth_lost(holding: Holding, study: Study) -> Iterator[Finding]:
    """What preprocessing removes of the truth, or leaves in slices that nobody looks at."""
    for column, verb, end in (
        ("removed", "cuts away", "It is scored as missed: look at source.size and source.spacing_mm."),
        ("unsampled", "leaves out", "That is in slices which source.slices_per_patient does not draw."),
    ):
        lost = holding.rows.get(column, np.zeros((0, 0), np.int64))[:, 1:]
        if not lost.any() or not holding.has_masks:
            continue
        of_class = dict(zip(holding.classes[1:], lost.sum(axis=0).tolist(), strict=False))
        shares = {name: number / (number + holding.class_totals[name]) for name, number in of_class.items() if number}
        grave = column == "removed" and max(shares.values()) > GRAVE_LOSS
        said = listed([f"{of_class[name]:,} voxels of {name} ({percent(share)})" for name, share in shares.items()])
        rows = np.flatnonzero(lost.any(axis=1)).tolist()
        names = tuple(f"{holding.scan_named(row)}: {int(lost[row].sum()):,} voxels" for row in rows)
        words = f"Preprocessing {verb} {said}. {end}"
        yield Finding("warning" if grave else "note", column, holding.site, words, names)


def persons_alike(holding: Holding, study: Study) -> Iterator[Finding]:
    """Names of persons that differ in capitals, zeros, blanks or accents alone."""
    groups = alike(holding.persons)
    if not groups:
        return
    words = (
        f"{count(len(groups), 'group')} of persons whose names differ only in capitals, zeros, blanks, dashes or "
        "accents: is each one person? Counted apart they may part into training and test."
    )
    yield Finding("warning", "persons alike", holding.site, words, tuple(map(_both, groups)))


def _both(group: tuple[str, ...]) -> str:
    return " and ".join(f"“{name}”" for name in group)


def names_not_in_one_form(holding: Holding, study: Study) -> Iterator[Finding]:
    """Names with blanks at their ends, two in a row, or in another form of Unicode than NFC."""
    names = tuple(name for name in holding.persons if name != in_one_form(name))
    if names:
        words = (
            f"{count(len(names), 'name')} of persons not in one form (Unicode NFC, single blanks, none at the ends)."
        )
        yield Finding("warning", "form of names", holding.site, words, names)


def prescribed_splits_mixed(holding: Holding, study: Study) -> Iterator[Finding]:
    """Persons whom the data set itself puts into two splits."""
    given = holding.rows.get("given_split")
    if given is None:
        return
    places: dict[str, set[str]] = {}
    for person, place in zip(holding.patients.tolist(), given.tolist(), strict=True):
        places.setdefault(person, set()).add(place)
    mixed = {person: sorted(found, key=SPLITS.index) for person, found in places.items() if len(found) > 1}
    if mixed:
        words = (
            f"The data put {count(len(mixed), 'person')} into two splits; all cases of each go to the stricter one, "
            "so that figures differ from those of others who follow the given split."
        )
        names = tuple(f"{person}: {' and '.join(found)}" for person, found in sorted(mixed.items()))
        yield Finding("warning", "two splits", holding.site, words, names)


RULES: tuple[Rule, ...] = (
    reading_stopped,
    unlike_cases,
    not_finite,
    no_class,
    unusable,
    only_background,
    truth_lost,
    constant_images,
    codes,
    persons_alike,
    names_not_in_one_form,
    prescribed_splits_mixed,
    empty_parts,
    absent_classes,
    constant_columns,
)
