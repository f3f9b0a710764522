"""This hospital's part of every sum of a query: decided, logged, charged and remembered before it leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import cast

import numpy as np

from client.asking import answered
from client.asking.answered import ExactAnswer, State, same_data
from client.asking.asked import Asked, Levels, Place
from client.asking.decision import Decision, decide, table_of
from client.audit_log import note
from client.case_images import measured_records
from client.case_maps import mapped_records
from client.charge_once import charge_once, release
from client.features import featured_records
from client.hospital import Hospital
from client.ledger import NO_ROUND, Charge
from client.policy import Policy
from client.records import records_of
from common.asking.abilities import encoder_read, maps_read, reads_images
from common.asking.analysis import Analysis
from common.asking.exact_sums import Integers, checked
from common.asking.features import FEATURE, FEATURES, LEAST, PART
from common.asking.images import IMAGES, is_of_images
from common.asking.levels import levels_of
from common.asking.maps import MAPS, MapReading, is_of_maps
from common.asking.predicates import parse_all
from common.asking.records import Records
from common.errors import RefusedError, StudyError
from common.privacy.noise_source import IntegerNoise
from common.study.expected_patients import expected_patients
from common.wire.train_requests import SPLITS

EVENT = "question"
STATE = b"state of records"
OF_ENCODER = "\x1fencoder"
"""In a state, beside the digests of columns, none of which has such a name."""
OF_IMAGES = "\x1fimages"
"""The same, of whose images were measured."""
ENCODER, DIFFERENCE = "encoder", "difference"
DELTA_SHOWN = 1e-6
"""At which the ledger shows what noise costs that needs no delta."""


def part_of(
    hospital: Hospital, analysis: Analysis, asked: Asked, policy: Policy, place: Place | None, source: IntegerNoise
) -> Mapping[str, Integers]:
    """Whole numbers of units by part, ready to be added up.

    place: None of a simulated hospital, behind which no patient is: it remembers, logs and charges nothing, and
    answers free questions as they are. Raises RefusedError with a word, HospitalError where its folder is not as it
    was left.
    """
    levels = levels_of(hospital.study)
    which, reading = encoder_read(analysis), maps_read(analysis)
    measured = reads_images(analysis)
    read = measured_records(hospital) if measured else _records(hospital, which, reading, place is not None)
    records = permitted(read, policy)
    if place is None:
        return _numbers(analysis, asked, chosen(records, asked, levels), source)
    records = replace(records, least=LEAST) if which and reading is None else records
    with answered.alone(place):
        return _decided(hospital, analysis, asked, policy, place, source, records, levels)


def _records(hospital: Hospital, which: str, reading: MapReading | None, is_judged: bool) -> Records:
    if reading is not None:
        return mapped_records(hospital, reading)
    return featured_records(hospital, which, is_judged) if which else records_of(hospital)


def _state(hospital: Hospital) -> State:
    """Of all its records, whatever the policy lets questions read; worked out once while it is warm."""
    if STATE not in hospital.hashes:
        hospital.hashes[STATE] = answered.state_of(records_of(hospital))
    return cast(State, hospital.hashes[STATE])


def _encoder(hospital: Hospital, analysis: Analysis) -> State:
    """Through what an answer sees the data, trained or drawn: the model, which whoever coordinates chooses, how cases
    are shown to it, the code of the study's plug-ins, and which persons are of which part.
    """
    if not encoder_read(analysis):
        return {}
    study = hospital.study
    start = None if study.start is None else replace(study.start, model="a model")
    parts = [(part, sorted(set(cases.patients.tolist()))) for part, cases in sorted(hospital.everybody.items())]
    seen = (start, study.task, study.source, study.seed, study.split, sorted(study.plugins.items()), parts)
    return {OF_ENCODER: sha256(repr(seen).encode()).hexdigest()}


def _measured(hospital: Hospital, analysis: Analysis) -> State:
    """Whose images are measured: those of training cases, which are what a study's split and labels make of them."""
    if not reads_images(analysis):
        return {}
    persons = sorted(hospital.train.patients.astype(np.str_).tolist())
    return {OF_IMAGES: sha256(repr(persons).encode()).hexdigest()}


def permitted(records: Records, policy: Policy) -> Records:
    """With the columns that the policy lets questions read."""
    names = policy.questions.columns
    if names is None:
        return records
    kept = {*names, PART} if {FEATURES, MAPS} & {*names} else {*names}
    columns = {name: values for name, values in records.columns.items() if _beginning(name) in kept}
    return replace(records, columns=columns)


def _beginning(name: str) -> str:
    """A column's name, and one word for all features, for all that is of maps, or of images."""
    if is_of_maps(name) or is_of_images(name):
        return MAPS if is_of_maps(name) else IMAGES
    return FEATURES if name.startswith(FEATURE) else name


def chosen(records: Records, asked: Asked, levels: Levels) -> Records:
    """The rows that meet the question's conditions. Raises RefusedError for a column that is not there."""
    try:
        return records.take(parse_all(asked.question.where, levels).rows(records))
    except StudyError as error:
        raise RefusedError("columns", str(error)) from error


def _decided(
    hospital: Hospital,
    analysis: Analysis,
    asked: Asked,
    policy: Policy,
    place: Place,
    source: IntegerNoise,
    records: Records,
    levels: Levels,
) -> Mapping[str, Integers]:
    before, data = answered.exact_answers(place, policy.questions.since), _state(hospital)
    state = {**data, **_encoder(hospital, analysis), **_measured(hospital, analysis)}
    _refuse_more(asked, policy, place)
    persons = hospital.sizes("train")[0] if OF_IMAGES in state else _persons_told(hospital)
    decision = decide(asked, hospital.study, levels, policy, persons, before)
    if decision == "exact":
        if not all(same_data(one.state, data) for one in before):
            raise RefusedError("changed", "the data changed since an exact answer (questions.since forgets it).")
        _refuse_encoder(state, before, policy.questions.exact_encoders)
        _refuse_other_images(state, before)
        sums = _numbers(analysis, asked, chosen(records, asked, levels), source)
        _log(hospital, asked, place, decision)
        answered.keep_exact(place, asked, table_of(asked.question, levels), state)
        return sums
    return _noisy(hospital, analysis, asked, place, source, records, levels, state)


def _persons_told(hospital: Hospital) -> int:
    """How many persons everybody may know of."""
    expected = expected_patients(hospital.study.federation, hospital.site)
    return sum(hospital.sizes(part)[0] for part in SPLITS) if expected is None else expected


def _noisy(
    hospital: Hospital,
    analysis: Analysis,
    asked: Asked,
    place: Place,
    source: IntegerNoise,
    records: Records,
    levels: Levels,
    state: State,
) -> Mapping[str, Integers]:
    """The numbers of before where it was asked before; else with new noise, once everybody here was charged."""
    key = answered.noisy_key(place, asked, state)
    before = answered.noisy_answer(place, key)
    if (numbers := answered.again(before, asked)) is not None:
        _log(hospital, asked, place, "noise", charged=False)
        return numbers
    assert asked.noise is not None
    if before is not None and len(before.queries) >= asked.noise.rounds:
        raise RefusedError("query", f"the question was charged for {asked.noise.rounds} queries, and has no more.")
    sums = _numbers(analysis, asked, chosen(records, asked, levels), source)
    _log(hospital, asked, place, "noise", charged=before is None)
    if before is None:
        charge_once(place.folder, key, _charge(hospital, asked, records))
    answered.keep_noisy(place, key, asked, sums)
    release(place.folder, hospital.digest)
    return sums


def _numbers(analysis: Analysis, asked: Asked, records: Records, source: IntegerNoise) -> Mapping[str, Integers]:
    if asked.noise is not None:
        records, _ = asked.noise.rows_of(records)
    try:
        sums = checked(asked.query.parts, analysis.summarise(records, asked.query))
        return sums if asked.noise is None else asked.noise.add_share(asked.query, sums, source)
    except StudyError as error:
        raise RefusedError("columns", str(error)) from error


def _charge(hospital: Hospital, asked: Asked, records: Records) -> Charge:
    """Of everybody here: who meets a condition is nobody's to know."""
    assert asked.noise is not None
    persons = tuple(np.unique(records.persons).tolist())
    title = f"{hospital.study.title}: {asked.question.words}"
    delta = asked.noise.delta or DELTA_SHOWN
    return Charge(hospital.digest, title, NO_ROUND, "patient", delta, asked.noise.releases(), persons)


def _refuse_more(asked: Asked, policy: Policy, place: Place) -> None:
    most = policy.questions.most
    if most is None:
        return
    before = answered.questions_answered(place, policy.questions.since)
    if answered.question_digest(asked) not in before and len(before) >= most:
        raise RefusedError("questions", f"questions.most = {most}, and so many were answered of these data.")


def _refuse_encoder(state: State, before: Sequence[ExactAnswer], most: int) -> None:
    """Exact sums by models that part persons a little differently, one subtracted from the other, are of these; and
    so are sums by one model over parts that differ by few. A trained encoder and its drawn one count as one.
    """
    known = {digest for one in before for name, digest in one.state.items() if name.startswith(OF_ENCODER)}
    if OF_ENCODER in state and state[OF_ENCODER] not in known and len(known) >= most:
        raise RefusedError(
            ENCODER,
            f"questions.exact_encoders = {most}: these cases were seen by another encoder or in other parts, and "
            "exact sums of both would tell of single persons. With noise it is answered; questions.since forgets.",
        )


def _refuse_other_images(state: State, before: Sequence[ExactAnswer]) -> None:
    """Exact measurements of two training parts differ by the persons who are in one of them."""
    if OF_IMAGES in state and any(one.state.get(OF_IMAGES, state[OF_IMAGES]) != state[OF_IMAGES] for one in before):
        raise RefusedError(
            DIFFERENCE, "images of other training cases were measured: both would tell of single persons."
        )


def _log(hospital: Hospital, asked: Asked, place: Place, decision: Decision, charged: bool = False) -> None:
    """On the disk before anything leaves. What is asked is in the coordinator's words: they are cut, and one line."""
    note(
        place.folder,
        EVENT,
        study=hospital.digest,
        run=place.run,
        analysis=asked.question.analysis.name,
        question=answered.question_digest(asked),
        asked=replace(asked.question, title="").words,
        listed=asked.is_listed,
        query=asked.number,
        numbers=sum(part.size for part in asked.query.parts.values()),
        answer=decision,
        epsilon=0.0 if asked.noise is None else asked.noise.epsilon,
        charged=charged,
    )
