"""What the server makes of an opened sum: the update of all together, checked, or nothing."""

from __future__ import annotations

from collections.abc import Sequence

from common.data.cases import SiteId
from common.errors import WireError
from common.sums.aggregations._agreement import Agreement
from common.sums.aggregations._fixed_point import FixedPoint, Totals
from common.sums.exchange import Collected, Exchange, Expected, OpenedSum
from common.sums.update import Update
from common.wire.boundary import guarded


def nothing() -> Collected:
    """Where too few hospitals were left; each was dropped with a reason before."""
    return Collected(None, (), None, {})


def collected(
    exchange: Exchange,
    sites: tuple[SiteId, ...],
    totals: Totals,
    codec: FixedPoint,
    agreement: Agreement,
    expected: Expected,
    proof: OpenedSum | None = None,
    unaware: tuple[SiteId, ...] = (),
) -> Collected:
    """The sum of `sites`, or nothing where it cannot be one, all of them dropped: nobody knows who spoiled it.

    proof, unaware: as in Collected.
    """
    try:
        total = guarded(lambda: codec.decode(totals, len(sites), agreement))
        _check_weight(total, sites, expected)
    except WireError as error:
        return spoiled(exchange, sites, error)
    return Collected(total, sites, None, {}, proof, unaware)


def spoiled(exchange: Exchange, sites: Sequence[SiteId], error: WireError) -> Collected:
    """Nothing, where `sites` cannot be added up; all of them are dropped."""
    for site in sites:
        exchange.drop(site, "round", f"one of {len(sites)} hospitals spoiled the sum: {error}")
    return nothing()


def _check_weight(total: Update, sites: tuple[SiteId, ...], expected: Expected) -> None:
    largest = sum(expected.largest_weight[site] for site in sites)
    if expected.vectors and not 0 < total.weight <= largest:
        raise WireError(f"the weight is {total.weight:g}; it must be above 0 and at most {largest:g}.")
