"""A round whose updates come in fewer bytes: read as the study says that they are written, or added up as such.

Single updates are read before the aggregation sees them, so that none needs to know of compression; what no honest
hospital would write is dropped with a reason. In sums the aggregation adds up whole multiples of a step of turned
updates, or the values at the places of this round; the sum is turned back, or spread, afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from common.compression.cost import handed_values
from common.compression.form import Form, drawn_of, form_of
from common.compression.rotation import Rotation
from common.compression.told import told_in_sums
from common.compression.whole_steps import step_of
from common.data.names import SiteId
from common.errors import WireError
from common.learning.client_work import Work
from common.study.catalogue import AGGREGATIONS
from common.study.compression import keeps_memory
from common.study.study import Study
from common.sums.abilities import needed_codec
from common.sums.aggregation import Aggregation
from common.sums.aggregations._agreement import Agreement
from common.sums.exchange import Collected, Exchange, Expected, Payload, as_they_come
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
    shorter = replace(expected, length=handed_values(compression, expected.length))
    if compression.sum_bits is not None:
        shorter = replace(shorter, step=_step(aggregation, compression.sum_bits, expected))
        requests = _with_step(requests, shorter.step)
    collected = aggregation.collect(exchange, requests, contributing, shorter)
    if collected.total is None:
        return collected
    return replace(collected, total=in_full_sum(collected.total, study, exchange.round, expected.length))


def values_table(study: Study, length: int, collected: Collected) -> dict[str, Any]:
    """For the round's record: how many values its updates have in full; nothing where none is compressed."""
    if study.federation.compression is None:
        return {}
    return {"compression": {"values": length * len(collected.sites)}}


@dataclass(frozen=True)
class Reading:
    """An `Exchange` that hands up updates in full. length: P. contributing: those whose answer holds an update."""

    exchange: Exchange
    form: Form
    length: int
    contributing: frozenset[SiteId]

    def ask(self, leg: str, requests: Mapping[SiteId, Payload]) -> dict[SiteId, Payload]:
        """As an Exchange asks; whose update cannot be read is dropped."""
        return {site: one for site, one in sorted(self.as_they_come(leg, requests)) if one is not None}

    def as_they_come(self, leg: str, requests: Mapping[SiteId, Payload]) -> Iterator[tuple[SiteId, Payload | None]]:
        """As `ask`, each reply read when it comes."""
        for site, reply in as_they_come(self.exchange, leg, requests):
            if reply is None or leg != "round" or site not in self.contributing:
                yield site, reply
                continue
            try:
                found: Payload | None = guarded(partial(in_full, reply, self.form, self.length))
            except WireError as error:
                self.exchange.drop(site, leg, str(error))
                found = None
            del reply  # else it would be held while the next one is read
            yield site, found
            del found

    def drop(self, site: SiteId, leg: str, reason: str) -> None:
        """As an Exchange does."""
        self.exchange.drop(site, leg, reason)


def in_full(reply: Payload, form: Form, length: int) -> Payload:
    """A reply with its update as `length` numbers. Raises WireError where it holds none that is written so."""
    if reply.array is not None or reply.data is None:
        raise WireError("the update is not compressed as the study says.")
    return replace(reply, array=form.unpack(reply.data, length), data=None)


def in_full_sum(total: Update, study: Study, number: int, length: int) -> Update:
    """What was added up in round `number` of a model of so many parameters, as a sum of updates in full."""
    compression = study.federation.compression
    if compression is None or AGGREGATIONS.load(study.aggregation.name).reveals == "each":
        return total
    if compression.sum_bits is None:
        drawn = drawn_of(compression, study.seed, number)
        vectors = tuple(drawn.spread(np.asarray(one), length) for one in total.vectors)
    else:
        rotation = Rotation(study.seed, number)
        vectors = tuple(rotation.turned_back(np.asarray(one), length) for one in total.vectors)
    return replace(total, vectors=vectors)


def _with_step(requests: Mapping[SiteId, Payload], step: float | None) -> dict[SiteId, Payload]:
    """What is one request stays one, so that it is written but once."""
    assert step is not None
    made = {id(one): replace(one, numbers={**one.numbers, STEP: step}) for one in requests.values()}
    return {site: made[id(one)] for site, one in requests.items()}


def _step(aggregation: Aggregation, bits: int, expected: Expected) -> float:
    reach = Agreement.of(expected.cohort.sites, expected).reach
    return step_of(needed_codec(aggregation).largest_value, reach, bits)
