"""Wide numbers on their way: four bytes a word, and what the server makes of an opened total."""

from __future__ import annotations

from collections.abc import Callable

from common.data.names import SiteId
from common.errors import WireError
from common.sums.aggregations._agreement import Agreement
from common.sums.aggregations._ring import Ring
from common.sums.exchange import Payload
from common.sums.wide import CollectedWide, WideForm, Words

RING = Ring()


def form_of(agreement: Agreement) -> WideForm:
    """Of the numbers that are added up. Raises WireError where the round is of an update."""
    if agreement.wide is None:
        raise WireError("the agreement is of an update, where whole numbers are to be added up.")
    return agreement.wide


def packed(words: Words) -> Payload:
    """A reply."""
    return Payload(data=RING.pack(words))


def accepting(form: WideForm) -> Callable[[SiteId, Payload], Words]:
    """The words of a reply; raises WireError where their number is another."""
    return lambda site, reply: RING.unpack(reply.data, form.words)


def collected_wide(form: WideForm, total: Words | None, sites: tuple[SiteId, ...]) -> CollectedWide:
    """The numbers of a total; None where nothing was opened."""
    return CollectedWide(None if total is None else form.unpack(total), sites)
