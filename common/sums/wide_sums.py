"""The total of hospitals' wide whole numbers by any aggregation: its own way, or as whole steps of an update.

An aggregation that does not say how it adds up wide numbers (`collect_wide`, `protect_wide`) gets them as digits in
the one vector of an update. The sum of every digit is then seen, as that of every value of a model is, and with it
what digits carried: where such an aggregation promises to tell sums alone, it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from common.data.names import SiteId
from common.errors import StudyError, WireError
from common.sums.abilities import abilities, can
from common.sums.aggregation import Aggregation, Local
from common.sums.aggregations._agreement import Agreement, read_agreement, with_agreement
from common.sums.aggregations._digits import PlainDigits
from common.sums.cohort import Cohort
from common.sums.exchange import Collected, Exchange, Expected, Payload
from common.sums.update import Update
from common.sums.wide import CollectedWide, WideForm


def demand_wide(aggregation: Aggregation, name: str) -> None:
    """Raise StudyError where an aggregation that tells sums alone does not say how wide numbers are added up."""
    if aggregation.reveals == "sum" and not can(aggregation, "collect_wide"):
        raise StudyError(
            f"aggregation {name!r} does not say how it adds up wide whole numbers (`collect_wide`, `protect_wide`), "
            "and no question can be asked through it: choose another."
        )


def collect_wide(
    aggregation: Aggregation,
    exchange: Exchange,
    requests: Mapping[SiteId, Payload],
    cohort: Cohort,
    form: WideForm,
) -> CollectedWide:
    """Server half: the exact total over hospitals of the cohort."""
    weights = dict.fromkeys(cohort.sites, 1.0)
    if can(aggregation, "collect_wide"):
        expected = Expected(0, 0, weights, (), cohort, wide=form)
        return abilities(aggregation).collect_wide(exchange, requests, expected)
    digits = PlainDigits(form)
    expected = Expected(digits.length, 1, weights, (), cohort, 1.0)
    told = Agreement.of(cohort.sites, Expected(0, 0, weights, (), cohort, wide=form))
    asked = {site: with_agreement(request, told) for site, request in requests.items()}
    return _of_update(digits, aggregation.collect(exchange, asked, frozenset(requests), expected))


def protect_wide(aggregation: Aggregation, numbers: Sequence[int], request: Payload, local: Local) -> Payload:
    """Hospital half. Raises RefusedError where the sum of all could wrap round."""
    agreement = read_agreement(request, local.cohort.sites)
    if agreement.wide is None:
        raise WireError("a question is of whole numbers; the agreement is of an update.")
    agreement.wide.demand_room(numbers, len(agreement.sites))
    if can(aggregation, "protect_wide"):
        return abilities(aggregation).protect_wide(numbers, request, local)
    digits = PlainDigits(agreement.wide)
    vector = digits.split(agreement.wide.pack(numbers)).astype(np.float32)
    return aggregation.protect(Update((vector,), 1.0), request, local)


def _of_update(digits: PlainDigits, collected: Collected) -> CollectedWide:
    if collected.total is None:
        return CollectedWide(None, collected.sites)
    sums = np.rint(collected.total.vectors[0]).astype(np.uint64)
    return CollectedWide(digits.form.unpack(digits.settled(sums)), collected.sites)
