"""What a hospital answers to each leg. Errors rise to `client.app`, which lets no text out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from time import perf_counter
from typing import cast

import numpy as np
from numpy.typing import NDArray
from torch import nn

from client.approval import approve, approve_alone
from client.bounded_update import bounded
from client.compressed_updates import compressed, refuse_cut, written
from client.evaluation import evaluate
from client.fine_tuning import fine_tuned
from client.hospital import Hospital
from client.normalised_updates import fair, normalised
from client.own_parts import keep_own, put_own
from client.patient_scores import OwnScores, of_patients
from client.privacy import Private, Sources
from client.source_abilities import digest_of_columns
from client.steering_bounds import refuse_steering
from client.subgroups import subgroup_statistics
from client.training import Trainer
from client.voting import vote_of
from common.allocator import make_room_for
from common.data.cases import Cases, Shape
from common.errors import HospitalError, WireError
from common.learning.abilities import shown_shape, task_in_round
from common.learning.baseline import baseline_rounds
from common.learning.client_work import Work
from common.learning.parameters import write
from common.learning.score_names import statistic_names
from common.learning.task import Task
from common.metrics.intervals import with_intervals
from common.privacy.study_facts import mechanism_of
from common.seeding import generator
from common.study.catalogue import AGGREGATIONS, SOURCES
from common.study.fine_tuning import FINE_TUNED
from common.study.held_out import tells_labels
from common.study.program import this_program
from common.study.schedule import final_round
from common.sums.aggregation import Aggregation, Local
from common.sums.ballots import VOTES, Choice, ballot
from common.sums.exchange import Number, Payload, Word
from common.sums.mean import Mean
from common.sums.update import Update, Vector
from common.wire.decoding import statistics_to_numbers
from common.wire.train_requests import COLUMNS, PROGRAM, PROGRAM_VERSIONS, SPLITS, Order, from_payload

Scores = Mapping[str, Mapping[str, Mean]]
"""Means by split and name."""

Training = Callable[[Vector | None], tuple[Update, int]]
"""Trains with a correction of every gradient, if any; the update and the number of steps."""

Memory = MutableMapping[str, Vector]
"""What a hospital keeps between rounds, in itself; nothing of it is sent as such."""


@dataclass(frozen=True)
class RequestContext:
    """What a hospital has beside the request. local: its half of a protocol, opened only where one is run.

    sources: of the secret draws of a privacy mechanism. simulated: whether no real patient is behind it. go_forward:
    writes an order's round down, or refuses it; where an old order is only computed again, nothing. said: what the
    answer says beside its update, filled while it is made. keep_tuned: the hospital's fine-tuned model, with its
    scores before and after. keep_own: keeps, in simulation alone, what the hospital's own model scores on each of its
    patients. tell_groups: writes down by which groups of persons a model's scores are told, or refuses others.
    packed: the update as it travels, where the study compresses what is read singly, filled while it is made.
    """

    vectors: Memory
    local: Callable[[], Local]
    sources: Sources
    simulated: bool = False
    go_forward: Callable[[Order], None] = lambda order: None
    said: MutableMapping[str, Number] = field(default_factory=dict)
    keep_tuned: Callable[[Task, nn.Module, Mapping[str, Mean], Mapping[str, Mean]], None] = lambda *_: None
    keep_own: Callable[[OwnScores], None] = lambda scores: None
    tell_groups: Callable[[Vector], None] = lambda parameters: None
    packed: MutableMapping[str, NDArray[np.uint8]] = field(default_factory=dict)


def hello(hospital: Hospital, request: Payload, kept: RequestContext) -> Payload:
    """Who I am, what I run and what I hold: counts, labels, the shape of my cases. No case, no name of a patient.

    Where privacy is promised, labels are left out: their counts would be exact. So they are where hospitals are too
    small to be divided. Where the study expects numbers of
    patients, no counts are told at all.
    """
    private = hospital.study.privacy is not None
    told = not private or hospital.study.federation.expected_patients is None
    train = hospital.train
    numbers: dict[str, Number] = {f"{kind}/{name}": 0 for kind in ("cases", "patients") for name in SPLITS}
    numbers |= _counts(hospital) if told else {}
    numbers["quarantined"] = len(train.quarantined) if told else 0
    numbers["shape"] = list(shown_shape(hospital.task, train.shape).inputs)
    counted = [train] if hospital.study.rounds else list(hospital.splits.values())
    says = tells_labels(hospital.study.split, private)
    numbers["labels"] = _label_counts(counted) if says else [0] * len(train.classes)
    words: dict[str, Word] = {"site": hospital.site, "classes": list(train.classes)}
    program = this_program()
    words |= {COLUMNS: _columns_digest(hospital), PROGRAM: program.digest, PROGRAM_VERSIONS: program.words}
    return Payload(None, numbers, words)


def _columns_digest(hospital: Hospital) -> str:
    """Of the names of the inputs' columns, in order, where the source knows any: as many others are not the same."""
    return digest_of_columns(SOURCES.build(hospital.study.source))


def _counts(hospital: Hospital) -> dict[str, Number]:
    numbers: dict[str, Number] = {}
    for name in SPLITS:
        numbers[f"patients/{name}"], numbers[f"cases/{name}"] = hospital.sizes(name)
    return numbers


def _label_counts(parts: Sequence[Cases]) -> list[int]:
    """Over all parts; none where targets are no classes."""
    return [sum(of_class) for of_class in zip(*(cases.label_counts for cases in parts), strict=True)]


def round_(hospital: Hospital, request: Payload, kept: RequestContext, half: Half | None = None) -> Payload:
    """Evaluate the received model where asked, train where asked, and answer through the study's aggregation.

    half: how it votes and trains; not given, as an honest hospital does.
    How long private training took is not told: it depends on who was drawn.
    """
    order = _approved(hospital, request, kept)
    aggregation = _aggregation(hospital)
    half = half or Half()
    vote = half.vote(hospital, order, kept)
    scores, seconds = _told(hospital, order, kept, vote)
    if order.work is None and aggregation.reveals == "each":
        return Payload(None, _numbers(scores, seconds))
    if order.work is not None:
        _demand_somebody(hospital)
    begin = perf_counter()
    update = Update((), 0.0) if order.work is None else half.train(hospital, order, kept, vote)
    if hospital.study.privacy is None:
        seconds["training"] = perf_counter() - begin
    if aggregation.reveals == "sum":
        refuse_cut(update, hospital)
        protected = aggregation.protect(_with_all_statistics(update, scores, seconds), request, kept.local())
        return replace(protected, numbers={**protected.numbers, **kept.said})
    protected = written(hospital, order, aggregation.protect(update, request, kept.local()), kept.packed)
    return replace(protected, numbers={**protected.numbers, **_numbers(scores, seconds), **kept.said})


def _vote(hospital: Hospital, order: Order, kept: RequestContext) -> Choice | None:
    """Of the received model beside the one before it, where the order asks for a vote."""
    if order.reference is None:
        return None

    def load(parameters: Vector) -> None:
        _load(hospital, replace(order, parameters=parameters), kept.vectors)

    return vote_of(hospital, load, order.parameters, order.reference)


def _told(
    hospital: Hospital, order: Order, kept: RequestContext, vote: Choice | None
) -> tuple[Scores, dict[str, float]]:
    """Scores, the vote among them, and seconds. A ruined model may have no scores: then its vote alone is told."""
    try:
        scores, seconds = _evaluations(hospital, order, kept)
    except (HospitalError, ValueError, OverflowError):
        if vote != "worse":
            raise
        scores, seconds = {}, {"evaluation": 0.0}
    return (scores if vote is None else {**scores, VOTES: ballot(vote)}), seconds


def _trained(hospital: Hospital, order: Order, kept: RequestContext, vote: Choice | None) -> Update:
    """The update; one of zeros where a model that is worse cannot be trained at all: it is to be taken back."""
    try:
        return update_of(hospital, order, kept)
    except HospitalError:
        if vote != "worse" or order.work is None:
            raise
        zeros = tuple(np.zeros_like(order.parameters) for _ in range(order.work.vectors))
        return compressed(Update(zeros, float(len(hospital.train))), hospital, order, kept.vectors, kept.packed)


def _demand_somebody(hospital: Hospital) -> None:
    """An update of nobody would be no part of a sum: one that others rely on to hide theirs would hide less.

    Raises HospitalError, except where noise of the hospital's own hides whether anybody is left.
    """
    mechanism = mechanism_of(hospital.study)
    if not len(hospital.train) and (mechanism is None or mechanism.place == "server"):
        raise HospitalError(
            f"{hospital.site} has nobody left to train on: everyone withdrew, gave no consent, or was placed in "
            "another part. It takes part again when there are training cases."
        )


@dataclass(frozen=True)
class Half:
    """What a hospital makes of an order, apart from how the answer is protected."""

    vote: Callable[[Hospital, Order, RequestContext], Choice | None] = _vote
    train: Callable[[Hospital, Order, RequestContext, Choice | None], Update] = _trained


def protocol(hospital: Hospital, request: Payload, kept: RequestContext) -> Payload:
    """Whatever leg of its own the study's aggregation asks for."""
    leg = request.words.get("leg")
    if not isinstance(leg, str):
        raise WireError("a protocol's request must name its leg.")
    return _aggregation(hospital).answer(leg, request, kept.local())


def _approved(hospital: Hospital, request: Payload, kept: RequestContext) -> Order:
    order = from_payload(request)
    approve(hospital, order)
    refuse_steering(hospital, order, request)
    kept.go_forward(order)
    make_room_for(order.parameters.size)  # what the checks needed would lie beside gradients, or beside doubles
    return order


def _aggregation(hospital: Hospital) -> Aggregation:
    return cast(Aggregation, AGGREGATIONS.build(hospital.study.aggregation))


def _with_all_statistics(update: Update, scores: Scores, seconds: Mapping[str, float]) -> Update:
    """Scores and seconds inside the sum, so that nothing of a single hospital travels beside it."""
    found = {f"training/{name}": mean for name, mean in update.statistics.items()}
    for split, means in scores.items():
        found |= {f"{split}/{name}": mean for name, mean in means.items()}
    return replace(
        update, statistics=found | {f"seconds/{kind}": Mean.of([spent]) for kind, spent in seconds.items()}
    )


def _numbers(scores: Scores, seconds: Mapping[str, float]) -> dict[str, Number]:
    numbers: dict[str, Number] = {f"seconds/{kind}": spent for kind, spent in seconds.items()}
    for split, means in scores.items():
        numbers |= statistics_to_numbers(split, means)
    return numbers


def evaluate_(hospital: Hospital, request: Payload, kept: RequestContext) -> Payload:
    """Scores of the received model. Refused where the study's aggregation promises to reveal sums alone."""
    if _aggregation(hospital).reveals == "sum":
        raise WireError("single scores were asked for in a study whose aggregation reveals sums alone.")
    order = _approved(hospital, request, kept)
    return Payload(None, _numbers(*_told(hospital, order, kept, _vote(hospital, order, kept))))


def local(hospital: Hospital, request: Payload, kept: RequestContext) -> Payload:
    """The hospital's own model, trained on its own cases alone; only its scores leave.

    They are exact and of this hospital alone: a real one keeps them to itself where the study promises otherwise.
    """
    if not kept.simulated and (hospital.study.privacy is not None or _aggregation(hospital).reveals == "sum"):
        raise WireError("scores of a hospital's own model would break what this study promises.")
    order = from_payload(request)
    approve_alone(hospital, order)
    study = hospital.study
    _load(hospital, order, {})
    begin = perf_counter()
    rng = generator(study.seed, hospital.site, "local-only")
    for task, training in baseline_rounds(study, hospital.task):
        Trainer(task, hospital.network, hospital.train, training, rng).train()
    seconds = {"training": perf_counter() - begin}
    if kept.simulated and "test" in order.evaluate:
        kept.keep_own(of_patients(hospital, "test"))
    return Payload(None, _numbers(_scores(hospital, order.evaluate), seconds))


def _evaluations(hospital: Hospital, order: Order, kept: RequestContext) -> tuple[Scores, dict[str, float]]:
    """Scores of the received model by split, and the seconds it took."""
    if not order.evaluate:
        return {}, {}
    _load(hospital, order, kept.vectors)
    begin = perf_counter()
    splits = [name for name in order.evaluate if name != FINE_TUNED]
    if order.round == final_round(hospital.study):
        kept.tell_groups(order.parameters)
        scores = {name: _final_scores(hospital, hospital.network, hospital.splits[name]) for name in splits}
    else:
        scores = _scores(hospital, splits)
    if FINE_TUNED in order.evaluate and hospital.study.fine_tuning is not None:
        network = fine_tuned(hospital, hospital.study.fine_tuning)
        scores[FINE_TUNED] = _final_scores(hospital, network, hospital.splits["test"])
        kept.keep_tuned(hospital.task, network, scores.get("test", {}), scores[FINE_TUNED])
    return scores, {"evaluation": perf_counter() - begin}


@dataclass(frozen=True)
class _Scored:
    """What the names of scores follow from: the study by its digest, and the shape of cases."""

    digest: str
    shape: Shape
    task: Task = field(compare=False)


@lru_cache(maxsize=8)
def _names_of(scored: _Scored) -> tuple[str, ...]:
    """Shared by all hospitals of a process: to tell them takes a network, and scoring by it."""
    return statistic_names(scored.task, scored.shape)


def _statistics(hospital: Hospital) -> tuple[str, ...]:
    """Of the last model, where the study may ask for sums over patients beside its scores."""
    if not hospital.study.federation.final_intervals:
        return ()
    return with_intervals(_names_of(_Scored(hospital.digest, hospital.train.shape, hospital.task)))


def _scores(hospital: Hospital, splits: Sequence[str]) -> dict[str, Mapping[str, Mean]]:
    return {name: evaluate(hospital.task, hospital.network, hospital.splits[name]) for name in splits}


def _final_scores(hospital: Hospital, network: nn.Module, cases: Cases) -> Mapping[str, Mean]:
    """Of the last model: with sums over patients and scores of groups of persons, where the study wants them."""
    scores = evaluate(hospital.task, network, cases, _statistics(hospital))
    if not hospital.study.report.subgroups:
        return scores
    return {**scores, **subgroup_statistics(hospital.task, network, cases, hospital.study.report)}


def update_of(hospital: Hospital, order: Order, kept: RequestContext) -> Update:
    """What the order asks this hospital to train, before any aggregation protects it. Its own parts are kept."""
    _load(hospital, order, kept.vectors)
    update = bounded(_update(hospital, order, kept), hospital.study.defence.update_norm)
    keep_own(hospital.network, kept.vectors)
    return compressed(update, hospital, order, kept.vectors, kept.packed)


def _load(hospital: Hospital, order: Order, memory: Mapping[str, Vector]) -> None:
    """The order's model, with the parts that the hospital kept to itself; the first ones where it kept none."""
    write(hospital.network, order.parameters)
    put_own(hospital.network, memory)


def _update(hospital: Hospital, order: Order, kept: RequestContext) -> Update:
    assert order.work is not None
    if order.work.beside:
        return _weighed_update(_trainer(hospital, order), order.work)
    training = _training(hospital, order, kept)
    if order.control is None:
        return training(None)[0]
    rate = hospital.study.training.in_round(order.round).learning_rate
    return _controlled_update(training, rate, order.control, kept.vectors)


def _training(hospital: Hospital, order: Order, kept: RequestContext) -> Training:
    """How this hospital trains in this round: privately, where the study says so."""
    mechanism = mechanism_of(hospital.study)
    if mechanism is not None:
        return Private(hospital, order, mechanism, kept.sources, kept.said).update
    trainer = _trainer(hospital, order)
    assert order.work is not None
    if order.work.sends == "gradient":
        return lambda correction: (trainer.gradient_update(), 1)
    return partial(trainer.local_update, order.work.proximal_mu)


def _trainer(hospital: Hospital, order: Order) -> Trainer:
    settings = hospital.study.training.in_round(order.round)
    task = task_in_round(hospital.task, order.round)
    rng = hospital.training_draws(order.round)
    return Trainer(task, hospital.network, hospital.train, settings, rng, order.parameters)


def _weighed_update(trainer: Trainer, work: Work) -> Update:
    """FedNova's or q-FedAvg's hospital half: no privacy is promised with either."""
    if work.fairness is None:
        update, steps = trainer.local_update(work.proximal_mu)
        return normalised(update, steps, trainer.training, work.proximal_mu)
    loss_before = trainer.mean_loss()
    update, _ = trainer.local_update(work.proximal_mu)
    return fair(update, loss_before, work.fairness, trainer.training.learning_rate)


def _controlled_update(training: Training, learning_rate: float, control: Vector, memory: Memory) -> Update:
    """SCAFFOLD's hospital half, option II (Karimireddy et al. 2020, Algorithm 1): delta y_k and delta c_k."""
    own = memory.get("control", np.zeros_like(control))
    if own.shape != control.shape:
        raise WireError("the control variate kept here is of another model.")
    update, steps = training(control - own)
    change = update.vectors[0].astype(np.float64) / update.weight
    next_own = (own - control - change / (steps * learning_rate)).astype(np.float32)
    memory["control"] = next_own
    difference = ((next_own.astype(np.float64) - own) * update.weight).astype(np.float32)
    return replace(update, vectors=(update.vectors[0], difference))
