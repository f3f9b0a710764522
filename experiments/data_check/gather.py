"""Every hospital's holding, from streams that are read once, a part in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

import numpy as np

from client.consent import COLUMN, Called, consenting
from client.hospital import site_names
from client.partition import Partition
from common.data.cases import Cases, Quarantined, Shape
from common.errors import WardroundError
from common.seeding import generator
from common.study.held_out import part_of
from experiments.data_check.holding import Holding
from experiments.data_check.measures import Measured, joined, measured
from experiments.data_check.reading import Reading, Stream, Told

JOINED_PARTS = 512
MOST_UNLIKE = 1000
NOT_ASKED = "\x01"
SHARE_STEPS = 1 << 40
"""Shares as whole numbers: targets that are real numbers have no more than single precision."""


def gathered(reading: Reading, told: Told, begun: Told) -> tuple[Holding, ...]:
    """What every hospital holds, by name, its persons in the study's splits.

    begun: called with the number of a stream's files before it is read, 0 where it is not known. A source that cannot
    read a hospital's data at all leaves a holding with its fault; what it reads of others is not lost.
    """
    study = reading.study
    found: list[Holding] = []
    for stream in reading.streams:
        whole = _gathered(stream, told, begun)
        found += [whole] if reading.partition is None else _divided(whole, reading, reading.partition)
    called, shares = Called.of(study, sha256(study.json.encode()).hexdigest()), study.split
    taking_part = (_taking_part(one, called) for one in found if reading.chosen in (None, one.site))
    sites = (study.federation.names or site_names(study)) if shares.is_by_hospital else ()
    return tuple(one.split(shares, study.seed, part_of(shares, study.seed, sites, one.site)) for one in taking_part)


def _taking_part(holding: Holding, called: Called) -> Holding:
    """Without persons whose consent does not cover the study: as in a run, once all of theirs is read."""
    said = holding.rows.get(COLUMN)
    if said is None or not len(holding):
        return holding
    numbers, nothing = np.arange(len(holding)), np.zeros((len(holding), 1), np.float32)
    try:
        kept = consenting(Cases.of(nothing, numbers, holding.patients).with_columns(**{COLUMN: said}), called)
    except WardroundError as error:
        return replace(holding, rows={}, fault=holding.fault or str(error))
    left_out = (*holding.quarantined, *kept.quarantined)
    return holding.of_hospital(holding.site, kept.targets, left_out, holding.unlike, holding.fault)


def _gathered(stream: Stream, told: Told, begun: Told) -> Holding:
    holding = Holding(stream.name, parts=stream.has_parts)
    kept: list[Measured] = []
    left_out: list[Quarantined] = []
    unlike: list[str] = []
    first: Cases | None = None
    count = 0
    try:
        begun(stream.files() or 0)
        for number, part in enumerate(stream.parts()):
            if isinstance(part, Quarantined):
                left_out.append(part)
                continue
            left_out += part.quarantined
            if not len(part):
                continue
            first = first or part.take(np.arange(1)).copied()
            if (fault := _unlike(part, first)) and len(unlike) < MOST_UNLIKE:
                unlike.append(f"{part.patients[0]}: {fault}")
            if fault:
                continue
            for block in map(_with_consent, measured(part)):
                count += len(block["patients"])
                kept.append({**block, "part": np.full(len(block["patients"]), number)})
                told(count)
            if len(kept) > JOINED_PARTS:
                kept = [joined(kept)]
    except WardroundError as error:
        holding = replace(holding, fault=str(error))
    if first is not None:
        holding = replace(
            holding, rows=_without_consent(joined(kept)), classes=first.classes, prescribed=first.prescribed
        )
        holding = replace(
            holding,
            features=stream.features(),
            dtypes=_dtypes(first),
        )
    return replace(holding, quarantined=tuple(dict.fromkeys(left_out)), unlike=tuple(unlike))


def _with_consent(block: Measured) -> Measured:
    """Where other parts say who consents, one that does not says that nothing is known of it."""
    return {COLUMN: np.full(len(block["patients"]), NOT_ASKED), **block}


def _without_consent(rows: Measured) -> Measured:
    """Where no part says who consents, there is no such measure; elsewhere silence is an empty cell."""
    silent = rows[COLUMN] == NOT_ASKED
    if silent.all():
        return {name: values for name, values in rows.items() if name != COLUMN}
    return {**rows, COLUMN: np.where(silent, "", rows[COLUMN])}


def _unlike(part: Cases, first: Cases) -> str:
    """Why a part cannot stand beside the first, as `concatenate` would refuse it; "" where it can."""
    ours, theirs = part.shape, first.shape
    if part.classes != first.classes:
        return f"its classes are {', '.join(part.classes) or 'none'}, the first case's {', '.join(first.classes)}"
    if len(ours.inputs) != len(theirs.inputs) or ours.inputs[:1] != theirs.inputs[:1]:
        return f"its input is {_in_words(ours)}, the first case's {_in_words(theirs)}"
    return ""


def _dtypes(cases: Cases) -> dict[str, str]:
    kinds = {name: column.dtype for name, column in cases.columns.items()}
    return {name: "words" if kind.kind == "U" else kind.name for name, kind in kinds.items()}


def _in_words(shape: Shape) -> str:
    channels, *sides = shape.inputs
    return f"{channels} x {' x '.join(map(str, sides))}" if sides else f"{channels} numbers"


def _divided(whole: Holding, reading: Reading, partition: Partition) -> Iterator[Holding]:
    """The pool as the study's partition divides it: by persons, and by what their truth is, as in a run."""
    names = reading.hospitals
    if not len(whole):
        yield from (replace(whole, site=name) for name in names)
        return
    try:
        assigned = partition.assign(_bare(whole), generator(reading.study.seed, "partition"))
    except WardroundError as error:
        yield replace(whole, fault=str(error))
        return
    for index, name in enumerate(names):
        chosen = np.flatnonzero(assigned == index)
        left_out, unlike = whole.quarantined[index :: len(names)], whole.unlike if index == 0 else ()
        own = whole.of_hospital(name, chosen, left_out, unlike, whole.fault)
        yield own


def _bare(whole: Holding) -> Cases:
    """What a partition looks at: persons, and of each case its class, its number, or its share of foreground."""
    rows = whole.rows
    nothing, given = np.zeros((len(whole), 1), np.float32), rows.get("given_split")
    if whole.classes and not whole.has_masks:
        return Cases.of(
            nothing, rows["class_counts"].argmax(axis=1), rows["patients"], whole.classes, given_split=given
        )
    if whole.classes:
        counts = rows["class_counts"]
        share = counts[:, 1:].sum(axis=1) / np.maximum(counts.sum(axis=1), 1)
        whole_numbers = np.rint(share[:, None] * SHARE_STEPS).astype(np.int64)
        return Cases.of(nothing, whole_numbers, rows["patients"], given_split=given)
    number = rows["target"] if "target" in rows else rows["target_range"][:, 1]
    return Cases.of(nothing, number[:, None].astype(np.float32), rows["patients"], given_split=given)
