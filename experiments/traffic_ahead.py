"""Bytes that a study will move, before it runs: by round, share of hospitals and how often they score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from common.compression.cost import FULL_BYTES, update_bytes
from common.data.names import SiteId
from common.study.catalogue import AGGREGATIONS, STRATEGIES
from common.study.schedule import evaluated_split, final_splits, last_vote, votes_in
from common.study.study import Study
from common.sums.abilities import abilities, can
from common.sums.aggregation import Aggregation
from common.sums.cohort import Cohort
from common.sums.cohorts import Cohorts, reveals
from common.sums.exchange import Payload
from common.wire.train_requests import Order, protocol_payload, to_payload
from experiments.answers_ahead import BALLOT, OWN_MODEL, answer_bytes, message_bytes
from experiments.message_sizes import value_bytes
from server.reporting.wording import size
from server.strategy import Strategy

MOST_ROUNDS = 1000
"""That are counted one by one; of a longer study the others are taken to be as these."""
LEGS_BESIDE, LEG_ANSWER_BYTES = 4, 198
"""Of a sum: keys, shares, survivors, opening, unless its aggregation says how many; each request holds the study."""
SENT_A_PAIR, RECEIVED_A_PAIR = 316, 115
"""Of names, keys and shares, for each hospital and each other, as measured with 12 and 36 of them under `secagg`."""
LEG = Payload(data=np.zeros(1, np.uint8))
"""What every leg's request and answer holds, at least."""
AGREED_BYTES, REPLYING_BYTES = 600, 28
"""Of what hospitals agree on before a sum, with the keys and with the order, as measured with 24 of them; and of what
a message replies to."""
LEGS_THAT_NAME, NAME_BYTES = 2, 2
"""Legs that say which means are in the sum, and what a name takes beside its letters."""
RUN_NAME = "0" * 32


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


def traffic_facts(study: Study, cohorts: Cohorts, parameters: int, names: Sequence[str] = ()) -> Sequence[str]:
    """Sentences for whoever checks a study with so many `parameters`. names: of the task's statistics."""
    if not study.rounds:
        return ()
    found = ahead(study, cohorts, parameters, names)
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


def ahead(study: Study, cohorts: Cohorts, parameters: int, names: Sequence[str] = ()) -> Ahead | None:
    """None where the aggregation does not say how many bytes a value takes. names: of the task's statistics, which
    weigh where the model is small; () where they are not known.
    """
    aggregation: Aggregation = AGGREGATIONS.build(study.aggregation)
    strategy: Strategy = STRATEGIES.build(study.strategy)
    if not can(aggregation, "bytes_a_value"):
        return None
    work, sums = strategy.work(), reveals(study) == "sum"
    in_sums = cache(partial(_of_sums, study))
    numbers = range(1, min(study.rounds, MOST_ROUNDS) + 1)
    answer = cache(partial(answer_bytes, study, tuple(names)))
    sent = received = scoring = 0.0
    for number in numbers:
        cohort = cohorts.of_round(number)
        sites = cohort.sites
        votes = votes_in(study, number)
        request, vector = _request(study, number, votes), FULL_BYTES * parameters
        scored = request + vector * (1 + votes)
        own = scored + vector * work.controlled
        update = work.vectors * update_bytes(study, parameters, value_bytes(aggregation, len(sites)))
        beside = in_sums(len(sites), _sizes(cohort), votes) if sums else (0.0, 0.0)
        sent += len(sites) * own + beside[0]
        received += len(sites) * (update + answer(number, len(sites) * sums, True)) + beside[1]
        apart = _asked_beside(study, cohorts, number, sites) if not sums else 0
        scoring += apart * scored
        received += apart * answer(number, 0, False)
    times = study.rounds / len(numbers)
    a_round = (sent + scoring) / len(numbers), received / len(numbers)
    last, back = 0.0, 0.0
    for number, cohort, vectors in _after_the_rounds(study, cohorts):
        asked, summed = len(cohort.sites), sums and number != OWN_MODEL
        beside = in_sums(asked, _sizes(cohort), vectors > 1) if summed else (0.0, 0.0)
        last += asked * (_request(study, number, vectors > 1) + vectors * FULL_BYTES * parameters) + beside[0]
        back += asked * answer(number, asked * summed, False) + beside[1]
    total = times * (sent + scoring) + last, times * received + back
    return Ahead(*a_round, *total, times * scoring + last)


def _after_the_rounds(study: Study, cohorts: Cohorts) -> Iterator[tuple[int, Cohort, int]]:
    """By whose number hospitals are asked, who they are, and how many models each is sent: the vote on the last
    round's model, the last scores, and a model that each trains alone.
    """
    if votes_in(study, last_vote(study)):
        yield last_vote(study), cohorts.of_round(last_vote(study)), 2
    if cohorts.scored:
        yield cohorts.final_round, cohorts.of_round(cohorts.final_round), 1
    if study.baselines.local:
        yield OWN_MODEL, Cohort(tuple(cohorts.roster)), 1


def _sizes(cohort: Cohort) -> tuple[int, ...]:
    return tuple(map(len, cohort.groups))


def _of_sums(study: Study, hospitals: int, groups: tuple[int, ...], votes: bool) -> tuple[float, float]:
    """Sent and received of keys, shares and signatures, in one sum of so many."""
    names = LEGS_THAT_NAME * sum(len(name) + NAME_BYTES for name in BALLOT) if votes else 0
    aggregation = AGGREGATIONS.build(study.aggregation)
    abler = abilities(aggregation) if can(aggregation, "bytes_beside") else None
    told = None if abler is None else abler.bytes_beside(hospitals, groups)
    if told is None:
        sent = LEGS_BESIDE * _request(study, 1) + names + SENT_A_PAIR * hospitals
        return hospitals * sent, hospitals * (LEGS_BESIDE * LEG_ANSWER_BYTES + RECEIVED_A_PAIR * hospitals)
    asked = message_bytes(protocol_payload(LEG, "shares", study.json, RUN_NAME, 1))
    sent_each = told.legs * asked + AGREED_BYTES + names + told.sent
    received_each = told.legs * (message_bytes(LEG) + REPLYING_BYTES) + told.received
    return hospitals * sent_each, hospitals * received_each


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
    return message_bytes(to_payload(order, RUN_NAME))
