"""A round whose updates come in fewer bytes: read as the study says that they are written, or added up as such.

Single updates are read before the aggregation sees them, so that none needs to know of compression; what no honest
hospital would write is dropped with a reason. In sums the aggregation adds up whole multiples of a step, or the
values at the places of this round, which the sum is spread to afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from common.compression.form import Form, drawn_of, form_of
from common.compression.told import told_in_sums
from common.compression.whole_steps import step_of
from common.data.names import SiteId
from common.errors import WireError
from common.learning.client_work import Work
from common.study.compression import Compression, keeps_memory
from common.study.study import Study
from common.sums.abilities import needed_codec
from common.sums.aggregation import Aggregation
from common.sums.aggregations._agreement import Agreement
from common.sums.exchange import Collected, Exchange, Expected, Payload
from common.sums.update import Update
from common.wire.boundary import guarded
from common.wire.train_requests import STEP
from server.exchange import GridExchange


def hospitals_keep_state(study: Study, work: Work) -> bool:
    """Whether hospitals keep something between rounds that must follow the sum of the round."""
    return work.controlled or bool(study.training.personal) or keeps_memory(study.federation.compression)


def collect_compressed(
    study: Study,
    aggregation: Aggregation,
    exchange: GridExchange,
    requests: Mapping[SiteId, Payload],
    expected: Expected,
) -> Collected:
    """The round's exchange in a study with compression; `expected` is of updates in full, and so is what comes."""
    compression = study.federation.compression
    assert compression is not None
    contributing = frozenset(expected.cohort.sites)
    if aggregation.reveals == "each":
        form = form_of(compression, study.seed, exchange.round)
        reading = Reading(exchange, form, expected.length, contributing)
        return aggregation.collect(reading, requests, contributing, expected)
    added = {*expected.statistics, *told_in_sums(compression, study.privacy is not None)}
    expected = replace(expected, statistics=tuple(sorted(added)))
    if compression.sum_bits is not None:
        step = _step(aggregation, compression.sum_bits, expected)
        ordered = {site: replace(one, numbers={**one.numbers, STEP: step}) for site, one in requests.items()}
        return aggregation.collect(exchange, ordered, contributing, replace(expected, step=step))
    return _of_drawn(study, compression, aggregation, exchange, requests, expected)


@dataclass(frozen=True)
class Reading:
    """An `Exchange` that hands up updates in full. length: P. contributing: those whose answer holds an update."""

    exchange: Exchange
    form: Form
    length: int
    contributing: frozenset[SiteId]

    def ask(self, leg: str, requests: Mapping[SiteId, Payload]) -> dict[SiteId, Payload]:
        """As an Exchange asks; whose update cannot be read is dropped."""
        replies = self.exchange.ask(leg, requests)
        if leg != "round":
            return replies
        found: dict[SiteId, Payload] = {}
        for site, reply in replies.items():
            try:
                found[site] = guarded(partial(self._read, reply)) if site in self.contributing else reply
            except WireError as error:
                self.exchange.drop(site, leg, str(error))
        return found

    def drop(self, site: SiteId, leg: str, reason: str) -> None:
        """As an Exchange does."""
        self.exchange.drop(site, leg, reason)

    def _read(self, reply: Payload) -> Payload:
        return in_full(reply, self.form, self.length)


def in_full(reply: Payload, form: Form, length: int) -> Payload:
    """A reply with its update as `length` numbers. Raises WireError where it holds none that is written so."""
    if reply.array is not None or reply.data is None:
        raise WireError("the update is not compressed as the study says.")
    return replace(reply, array=form.unpack(reply.data, length), data=None)


def spread(total: Update, study: Study, number: int, length: int) -> Update:
    """A sum over the places of round `number`, of a model of so many parameters, in full. As it is of other kinds."""
    compression = study.federation.compression
    if compression is None or compression.kind != "random_k":
        return total
    drawn = drawn_of(compression, study.seed, number)
    return replace(total, vectors=tuple(drawn.spread(np.asarray(one), length) for one in total.vectors))


def _of_drawn(
    study: Study,
    compression: Compression,
    aggregation: Aggregation,
    exchange: GridExchange,
    requests: Mapping[SiteId, Payload],
    expected: Expected,
) -> Collected:
    places = drawn_of(compression, study.seed, exchange.round).places(expected.length)
    contributing = frozenset(expected.cohort.sites)
    collected = aggregation.collect(exchange, requests, contributing, replace(expected, length=places.size))
    if collected.total is None:
        return collected
    return replace(collected, total=spread(collected.total, study, exchange.round, expected.length))


def _step(aggregation: Aggregation, bits: int, expected: Expected) -> float:
    reach = Agreement.of(expected.cohort.sites, expected).reach
    return step_of(needed_codec(aggregation).largest_value, reach, bits)
