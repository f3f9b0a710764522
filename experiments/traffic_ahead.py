"""Bytes that a study will move, before it runs: by round, share of hospitals and how often they score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from client.even_lengths import LEAST_BYTES
from common.compression.cost import FULL_BYTES, update_bytes
from common.data.names import SiteId
from common.study.catalogue import AGGREGATIONS, STRATEGIES
from common.study.schedule import evaluated_split, final_splits, last_vote, votes_in
from common.study.study import Study
from common.sums.abilities import abilities, can
from common.sums.aggregation import Aggregation
from common.sums.cohorts import Cohorts, reveals
from common.wire.message_bytes import content_to_bytes
from common.wire.records import to_records
from common.wire.train_requests import Order, to_payload
from experiments.message_sizes import value_bytes
from server.reporting.wording import size
from server.strategy import Strategy

MOST_ROUNDS = 1000
"""That are counted one by one; of a longer study the others are taken to be as these."""
ANSWER_BYTES = 700
"""Of an answer beside its update: scores, seconds, names."""
LEGS_BESIDE, LEG_ANSWER_BYTES = 4, 130
"""Of a sum: keys, shares, survivors, opening; each request holds the study."""
SENT_A_PAIR, RECEIVED_A_PAIR = 316, 115
"""Of names, keys and shares, for each hospital and each other, as measured with 12 and 36 of them under `secagg`."""
RUN_NAME = "0" * 32
ENVELOPE_BYTES = 80
"""Of a message's own names and times, around its content."""


@dataclass(frozen=True)
class Ahead:
    """Bytes to hospitals and from them, over all rounds and the last scores; a round's are the mean.

    scoring: of all that is sent, what goes to hospitals that score, vote or train a model of their own, and do not
    train in that round.
    """

    sent_a_round: float
    received_a_round: float
    sent: float
    received: float
    scoring: float


def traffic_facts(study: Study, cohorts: Cohorts, parameters: int) -> Sequence[str]:
    """Sentences for whoever checks a study with a network of so many `parameters`."""
    if not study.rounds:
        return ()
    found = ahead(study, cohorts, parameters)
    aggregation = AGGREGATIONS.build(study.aggregation)
    if found is None:
        name = study.aggregation.name
        return (f"How many bytes its rounds move is not known beforehand: aggregation {name!r} does not say.",)
    said = (
        f"About {size(found.sent_a_round)} go to hospitals a round and {size(found.received_a_round)} come back: "
        f"a model of {parameters:,} parameters and the study to each hospital that is asked. In all "
        f"{size(found.sent)} and {size(found.received)}"
    )
    if found.scoring > 0.005 * found.sent:
        share = round(100 * found.scoring / found.sent)
        said += (
            f"; {share} % of what is sent goes to hospitals that score and do not train: less with "
            "federation.evaluate_fraction or a larger federation.evaluate_every"
        )
    paired = reveals(study) == "sum" and can(aggregation, "bytes_a_value")
    return (f"{said}{'. Keys and shares of its sums are in it' * paired}.", *_compressed(study, cohorts, parameters))


def _compressed(study: Study, cohorts: Cohorts, parameters: int) -> Sequence[str]:
    """What an update takes where the study compresses it, beside what it takes in full."""
    if study.federation.compression is None:
        return ()
    width = value_bytes(AGGREGATIONS.build(study.aggregation), len(cohorts.of_round(1).sites))
    less, full = update_bytes(study, parameters, width), FULL_BYTES * parameters
    return (
        f"An update takes {size(less)} of the {size(full)} that its values take in full (federation.compression).",
    )


def ahead(study: Study, cohorts: Cohorts, parameters: int) -> Ahead | None:
    """None where the aggregation does not say how many bytes a value takes."""
    aggregation: Aggregation = AGGREGATIONS.build(study.aggregation)
    strategy: Strategy = STRATEGIES.build(study.strategy)
    if not can(aggregation, "bytes_a_value"):
        return None
    work, sums = strategy.work(), reveals(study) == "sum"
    in_sums = cache(partial(_of_sums, study, bool(cohorts.groups)))
    numbers = range(1, min(study.rounds, MOST_ROUNDS) + 1)
    answer = ANSWER_BYTES if sums or not study.split.is_by_hospital else LEAST_BYTES + ENVELOPE_BYTES
    sent = received = scoring = 0.0
    for number in numbers:
        sites = cohorts.of_round(number).sites
        votes = votes_in(study, number)
        request, vector = _request(study, number, votes), FULL_BYTES * parameters
        scored = request + vector * (1 + votes)
        own = scored + vector * work.controlled
        update = work.vectors * update_bytes(study, parameters, value_bytes(aggregation, len(sites)))
        beside = in_sums(len(sites)) if sums else (0.0, 0.0)
        sent += len(sites) * own + beside[0]
        received += len(sites) * (update + answer) + beside[1]
        apart = _asked_beside(study, cohorts, number, sites) if not sums else 0
        scoring += apart * scored
        received += apart * answer
    times = study.rounds / len(numbers)
    a_round = (sent + scoring) / len(numbers), received / len(numbers)
    last, back = 0.0, 0.0
    for number, asked, vectors in _after_the_rounds(study, cohorts):
        beside = in_sums(asked) if sums and number != study.rounds else (0.0, 0.0)
        last += asked * (_request(study, number, vectors > 1) + vectors * FULL_BYTES * parameters) + beside[0]
        back += asked * answer + beside[1]
    total = times * (sent + scoring) + last, times * received + back
    return Ahead(*a_round, *total, times * scoring + last)


def _after_the_rounds(study: Study, cohorts: Cohorts) -> Iterator[tuple[int, int, int]]:
    """By whose number hospitals are asked, how many are, and how many models each is sent: the vote on the last
    round's model, the last scores, and a model that each trains alone.
    """
    if votes_in(study, last_vote(study)):
        yield last_vote(study), len(cohorts.of_round(last_vote(study)).sites), 2
    if cohorts.scored:
        yield cohorts.final_round, len(cohorts.of_round(cohorts.final_round).sites), 1
    if study.baselines.local:
        yield study.rounds, len(cohorts.roster), 1


def _of_sums(study: Study, whole_groups: bool, hospitals: int) -> tuple[float, float]:
    """Sent and received of keys and shares, in one sum of so many."""
    request, aggregation = LEGS_BESIDE * _request(study, 1), AGGREGATIONS.build(study.aggregation)
    abler = abilities(aggregation) if can(aggregation, "bytes_beside") else None
    known = None if abler is None else abler.bytes_beside(hospitals, whole_groups)
    to, back = (SENT_A_PAIR * hospitals, RECEIVED_A_PAIR * hospitals) if known is None else known
    return hospitals * (request + to), hospitals * (LEGS_BESIDE * LEG_ANSWER_BYTES + back)


def _asked_beside(study: Study, cohorts: Cohorts, number: int, trains: Sequence[SiteId]) -> int:
    """How many hospitals score or vote in a round, and do not train in it."""
    if votes_in(study, number):
        return len(set(cohorts.roster) - set(trains))
    if evaluated_split(study, number) is None:
        return 0
    return len(set(cohorts.scoring(number)) - set(trains))


def _request(study: Study, number: int, votes: bool = False) -> int:
    """Bytes of a request as serialised, without its arrays, every value of which takes FULL_BYTES."""
    splits = final_splits(study) if number > study.rounds else (study.federation.evaluate_split,)
    model = np.zeros(1, np.float32)
    order = Order(study.json, number, model, None, evaluate=splits, reference=model if votes else None)
    return ENVELOPE_BYTES + len(content_to_bytes(to_records(to_payload(order, RUN_NAME))))
