"""What a hospital answers to each leg. Errors rise to `client.app`, which lets no text out."""

from __future__ import annotations

from collections import Counter
from collections.abc import MutableMapping
from dataclasses import replace
from time import perf_counter
from typing import cast

import numpy as np

from client.evaluation import evaluate
from client.hospital import Hospital
from client.training import Trainer
from common.baseline import baseline_training
from common.cases import Cases
from common.catalogue import AGGREGATIONS
from common.decoding import statistics_to_numbers
from common.errors import WireError
from common.exchange import Aggregation, Number, Payload, Word
from common.order import SPLITS, Order, from_payload
from common.parameters import write
from common.seeding import generator
from common.update import Update, Vector

Memory = MutableMapping[str, Vector]
"""What a hospital keeps between rounds, in itself; nothing of it is sent as such."""


def hello(hospital: Hospital, request: Payload, memory: Memory) -> Payload:
    """Who I am and what I hold: counts, labels, the shape of my cases. No case, no name of a patient."""
    numbers: dict[str, Number] = {}
    for name in SPLITS:
        cases = hospital.splits[name]
        numbers[f"cases/{name}"] = len(cases)
        numbers[f"patients/{name}"] = len(np.unique(cases.patients))
    train = hospital.train
    numbers["quarantined"] = len(train.quarantined)
    numbers["shape"] = list(train.shape.inputs)
    numbers["labels"] = _label_counts(train)
    words: dict[str, Word] = {"site": hospital.site, "classes": list(train.classes)}
    return Payload(None, numbers, words)


def _label_counts(cases: Cases) -> list[int]:
    """Cases of each class, or pixels of each where a case has many."""
    counts = Counter(dict(zip(*np.unique(cases.targets, return_counts=True), strict=True)))
    return [int(counts[label]) for label in range(len(cases.classes))]


def round_(hospital: Hospital, request: Payload, memory: Memory) -> Payload:
    """Evaluate the received model where asked, train where asked, and answer through the study's aggregation."""
    order = from_payload(request)
    numbers = _evaluations(hospital, order)
    if order.work is None:
        return Payload(None, numbers)
    begin = perf_counter()
    aggregation = cast(Aggregation, AGGREGATIONS.build(hospital.study.aggregation))
    protected = aggregation.protect(_update(hospital, order, memory))
    numbers["seconds/training"] = perf_counter() - begin
    return replace(protected, numbers={**protected.numbers, **numbers})


def evaluate_(hospital: Hospital, request: Payload, memory: Memory) -> Payload:
    """Scores of the received model."""
    return Payload(None, _evaluations(hospital, from_payload(request)))


def local(hospital: Hospital, request: Payload, memory: Memory) -> Payload:
    """The hospital's own model, trained on its own cases alone; only its scores leave."""
    order = from_payload(request)
    write(hospital.network, order.parameters)
    begin = perf_counter()
    training = baseline_training(hospital.study)
    rng = generator(hospital.study.seed, hospital.site, "local-only")
    Trainer(hospital.task, hospital.network, hospital.train, training, rng).train()
    numbers: dict[str, Number] = {"seconds/training": perf_counter() - begin}
    return Payload(None, numbers | _scores(hospital, order.evaluate))


def _evaluations(hospital: Hospital, order: Order) -> dict[str, Number]:
    if not order.evaluate:
        return {}
    write(hospital.network, order.parameters)
    begin = perf_counter()
    numbers = _scores(hospital, order.evaluate)
    return numbers | {"seconds/evaluation": perf_counter() - begin}


def _scores(hospital: Hospital, splits: tuple[str, ...]) -> dict[str, Number]:
    numbers: dict[str, Number] = {}
    for name in splits:
        scores = evaluate(hospital.task, hospital.network, hospital.splits[name])
        numbers |= statistics_to_numbers(name, scores)
    return numbers


def _update(hospital: Hospital, order: Order, memory: Memory) -> Update:
    write(hospital.network, order.parameters)
    rng = generator(hospital.study.seed, order.round, hospital.site, "training")
    trainer = Trainer(hospital.task, hospital.network, hospital.train, hospital.study.training, rng)
    assert order.work is not None
    if order.work.sends == "gradient":
        return trainer.gradient_update()
    if order.control is None:
        return trainer.local_update(order.work.proximal_mu)[0]
    return _controlled_update(trainer, order.control, memory)


def _controlled_update(trainer: Trainer, control: Vector, memory: Memory) -> Update:
    """SCAFFOLD's hospital half, option II (Karimireddy et al. 2020, Algorithm 1): delta y_k and delta c_k."""
    own = memory.get("control", np.zeros_like(control))
    if own.shape != control.shape:
        raise WireError("the control variate kept here is of another model.")
    update, steps = trainer.local_update(correction=control - own)
    change = update.vectors[0].astype(np.float64) / update.weight
    next_own = (own - control - change / (steps * trainer.training.learning_rate)).astype(np.float32)
    memory["control"] = next_own
    difference = ((next_own.astype(np.float64) - own) * update.weight).astype(np.float32)
    return replace(update, vectors=(update.vectors[0], difference))
