"""What hospitals sent in a round, made again from their own data and the order that reached them.

In a simulation all draws of a hospital come from the study's seed, so that whoever opens its data again gets its
update to the last bit, rounding to whole numbers and noise included; a real colluder needs none of this, for it
simply keeps what it sent. Only the hospitals named are opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import cast

import numpy as np

from client.handlers import Memory, RequestContext, update_of
from client.hospital import Hospital
from client.privacy import Sources
from common.data.cases import SiteId
from common.errors import StudyError
from common.privacy.noise import SeededNoise
from common.seeding import generator
from common.study.catalogue import AGGREGATIONS
from common.study.compression import keeps_memory
from common.study.study import Study
from common.sums.abilities import needed_codec, stated_error
from common.sums.aggregation import Aggregation, Local
from common.sums.aggregations._agreement import hospitals_of, read_agreement
from common.sums.cohort import Cohort
from common.sums.exchange import Payload
from common.sums.update import Update
from common.wire.train_requests import Order, from_payload
from experiments.evidence.ground_truth import hospital_of
from server.compressed_rounds import in_full_sum

Orders = Mapping[tuple[int, SiteId], Payload]
"""As recorded, by round and hospital."""
STORED = 2.0**-24
"""Relative rounding of a recorded sum, which is kept in float32."""


def own_updates(
    study: Study, orders: Orders, sites: Iterable[SiteId], rounds: Iterable[int]
) -> dict[tuple[int, SiteId], Update]:
    """By round and hospital, what each of `sites` put into the sums of `rounds` it was asked in, float64.

    Where hospitals keep a control variate, or what compression left, all their earlier rounds are trained again too.
    """
    wanted, found = set(rounds), {}
    for site in sorted(sites):
        hospital, memory = hospital_of(study, site), cast(Memory, {})
        for number in sorted(number for number, asked in orders if asked == site and number <= max(wanted)):
            request = orders[number, site]
            order = from_payload(request)
            if number not in wanted and not _remembers(study, order):
                continue
            update = update_of(hospital, order, _kept(hospital, number, memory))
            if number in wanted:
                added = as_added(study, update, request, generator(study.seed, number, site, "protocol"))
                found[number, site] = in_full_sum(added, study, number, order.parameters.size)
    return found


def computed_update(study: Study, orders: Orders, site: SiteId, number: int) -> Update:
    """What that hospital's training came to, before anything rounded it."""
    hospital, memory, update = hospital_of(study, site), cast(Memory, {}), None
    for earlier in sorted(one for one, asked in orders if asked == site and one <= number):
        order = from_payload(orders[earlier, site])
        if earlier == number or _remembers(study, order):
            update = update_of(hospital, order, _kept(hospital, earlier, memory))
    if update is None:
        raise StudyError(f"{site} was not asked to train in round {number}.")
    return in_full_sum(update, study, number, from_payload(orders[number, site]).parameters.size)


def error_bound(study: Study, request: Payload, sites: int, left: int, largest: float) -> float:
    """Of any coordinate of a sum of `sites` less all but `left`, where nothing was clipped.

    request: the round's order as recorded. largest: absolute value in the sum, which is kept in float32.
    """
    aggregation = aggregation_of(study)
    if aggregation.reveals == "each":
        return sites * 2.0**-52 * largest
    agreement, everybody = read_agreement(request), hospitals_of(request)
    codec, expected = needed_codec(aggregation, everybody), agreement.expected
    expected = replace(expected, cohort=Cohort(tuple(map(str, range(everybody)))))
    beyond_rounding = stated_error(aggregation, sites, expected) - codec.largest_error(sites, agreement)
    return codec.largest_error(left, agreement) + beyond_rounding + largest * STORED


def aggregation_of(study: Study) -> Aggregation:
    """With its options."""
    return cast(Aggregation, AGGREGATIONS.build(study.aggregation))


def _kept(hospital: Hospital, number: int, memory: Memory) -> RequestContext:
    def draws(purpose: str) -> np.random.Generator:
        return generator(hospital.study.seed, number, hospital.site, purpose)

    return RequestContext(memory, _no_protocol, Sources(draws, lambda purpose: SeededNoise(draws(purpose)), None))


def _remembers(study: Study, order: Order) -> bool:
    """Whether what the hospital sends depends on what it kept of earlier rounds."""
    return order.control is not None or keeps_memory(study.federation.compression)


def _no_protocol() -> Local:
    raise StudyError("an update is computed before any protocol is run.")


def as_added(study: Study, update: Update, request: Payload, rng: np.random.Generator) -> Update:
    """With the hospital's own rounding: the statistics, which come after the values, need not be known for it."""
    aggregation = aggregation_of(study)
    if aggregation.reveals == "each":
        return update
    agreement = replace(read_agreement(request), names=())
    codec = needed_codec(aggregation, hospitals_of(request))
    words = codec.encode(replace(update, statistics={}), agreement, rng)
    return replace(codec.decode(words.astype(np.uint64), 1, agreement), statistics={})
