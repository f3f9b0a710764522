"""A coordinator that cheats, played: whatever it sends goes to hospitals' own code, which is opened for that.

It uses nothing but what they answer, and what their checks refuse is said beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import ClassVar

from client.approval import approve
from client.approved_studies import approve_study, list_study
from common.data.cases import SiteId
from common.errors import RefusedError, WireError
from common.study.study import Study, parse_json
from common.sums.abilities import keys_of
from common.sums.aggregations import _transcript
from common.sums.exchange import Payload
from common.sums.update import Update
from common.wire.train_requests import Order, from_payload, to_payload
from experiments.access import Access, Need
from experiments.adversary import Adversary, View
from experiments.audit.adversaries._cheated import cheated
from experiments.audit.records import Report
from experiments.audit.run import Run
from experiments.evidence.ground_truth import hospital_of
from experiments.evidence.recomputed_updates import Orders, aggregation_of, error_bound, own_updates
from server.reporting.markup import Markup

KNOWLEDGE = "every setting of the study, and what hospitals answer to whatever the coordinator made up"
UNSEEN = "the coordinator cheats, and no check of a hospital sees it:"
SEVERAL_MODELS = "hospitals were sent different models, and open no sum before all have signed the digest of one"
MOST_CHECKING = 8
"""Hospitals whose checks are asked; each opens its data."""
MOST_PLAYED = 3
"""Hospitals that are played one by one."""
NOTHING_ELSE: Mapping[SiteId, Order] = MappingProxyType({})
NOBODY = "no hospital was ever asked to train"


@dataclass(frozen=True)
class Cheating:
    """It has no options."""

    who: ClassVar[str] = "a coordinator that cheats"
    condition: ClassVar[str] = "the coordinator cheats"
    heading: ClassVar[str] = "If the coordinator cheats?"
    share: ClassVar[float] = 0.2
    gives: ClassVar[tuple[Need, ...]] = ("answers",)

    def views(self, run: Run) -> Iterator[View]:
        """One a hospital where the coordinator reads each alone, else one of the sum of all."""
        asked = sorted({site for _, site in run.orders})
        seen = replace(run.observed, observer="cheating")
        if not asked:
            yield View(seen, knowledge=KNOWLEDGE, reason=NOBODY)
            return
        alone = run.observed.singles
        for sites in [(site,) for site in chosen(asked, run.observed.cases)] if alone else [smallest(run.orders)]:
            access = Access(answers=AskedHospitals(run.study, run.orders, sites))
            one = sites[0] if len(sites) == 1 else ""
            yield View(replace(seen, access=access), one, KNOWLEDGE + played_of(asked, sites), condition=UNSEEN)

    def figure(self, report: Report) -> Markup | None:
        """What comes back from hospitals that check nothing, and who refuses."""
        return cheated(report, "cheating")


def chosen(asked: Sequence[SiteId], cases: Mapping[SiteId, int]) -> tuple[SiteId, ...]:
    """MOST_PLAYED at most, evenly by their number of cases: the smallest, which tells most, and the largest among
    them.
    """
    by_size = sorted(asked, key=lambda site: (cases.get(site, 0), site))
    last, most = len(by_size) - 1, min(MOST_PLAYED, len(by_size))
    return tuple(by_size[round(last * number / max(1, most - 1))] for number in range(most))


def smallest(orders: Orders) -> tuple[SiteId, ...]:
    """Whom the recorded round asked that asked fewest: their sum hides each of them least."""
    by_round: dict[int, set[SiteId]] = {}
    for number, site in orders:
        by_round.setdefault(number, set()).add(site)
    asked = [tuple(sorted(sites)) for sites in by_round.values()]
    return min(asked, key=lambda sites: (len(sites), *sites))


def played_of(asked: Sequence[SiteId], sites: Sequence[SiteId]) -> str:
    """Which of several hospitals this is played with, as a part of what is known."""
    if len(asked) <= (MOST_PLAYED if len(sites) == 1 else len(sites)):
        return ""
    if len(sites) > 1:
        return f"; {len(sites)} of {len(asked)} hospitals, those of the smallest round, answered"
    return f"; of {len(asked)} hospitals {MOST_PLAYED}, from the one of fewest cases to the one of most, were asked"


@dataclass(frozen=True)
class AskedHospitals:
    """As `experiments.access.Answers`: the hospitals' own code, with their data. approved: the study of the run."""

    approved: Study
    orders: Orders
    sites: tuple[SiteId, ...]

    def answer(self, order: Order, instead: Mapping[SiteId, Order] = NOTHING_ELSE) -> Update:
        """The sum of what they would answer if they checked nothing."""
        study = parse_json(order.study_json)
        forged = {(order.round, site): self._forged(instead.get(site, order), site) for site in self.sites}
        return reduce(add, own_updates(study, forged, self.sites, [order.round]).values())

    def refused(self, order: Order, instead: Mapping[SiteId, Order] = NOTHING_ELSE) -> Mapping[str, str]:
        """As their own checks say. A sum that one hospital of a group keeps out of is not opened, nor one of several
        models.
        """
        by_site = [refusals(self.approved, instead.get(site, order), site) for site in self.sites[:MOST_CHECKING]]
        found = {kept: next((one[kept] for one in by_site if one[kept]), "") for kept in by_site[0]}
        apart = self._told_apart([order, *(instead[site] for site in self.sites if site in instead)])
        return {kept: reason or apart for kept, reason in found.items()}

    def _told_apart(self, orders: Sequence[Order]) -> str:
        """Why a sum over several models is not opened; "" where the study has nobody compare them."""
        aggregation = aggregation_of(self.approved)
        compares = aggregation.reveals == "sum" and keys_of(aggregation) == "distributed"
        if not compares or len({_transcript.order(to_payload(one)) for one in orders}) == 1:
            return ""
        return SEVERAL_MODELS

    def rounding(self, order: Order, largest: float) -> float:
        """Of the sum of all."""
        count, request = len(self.sites), self._forged(order, self.sites[0])
        return error_bound(parse_json(order.study_json), request, count, count, largest)

    def _forged(self, order: Order, site: SiteId) -> Payload:
        """The order in the place of a recorded one, which holds what hospitals agreed on for their sum."""
        real = next(payload for (_, asked), payload in self.orders.items() if asked == site)
        false = to_payload(order)
        return replace(false, numbers={**real.numbers, **false.numbers}, words={**real.words, **false.words})


def refusals(approved: Study, order: Order, site: SiteId) -> dict[str, str]:
    """Why a hospital with this software's checks refuses the order; "" where it does not.

    first: as the model of round 1. later: as that of a later round. listed: as that of a later round, where the
    hospital keeps a list of approved studies that `approved` alone is on.
    """
    first = replace(order, round=1)
    with TemporaryDirectory() as place:
        folder = Path(place)
        list_study(approved, folder)
        return {
            "first": _refusal(first, site, None),
            "later": _refusal(order, site, None),
            "listed": _refusal(order, site, folder),
        }


def _refusal(order: Order, site: SiteId, folder: Path | None) -> str:
    """What the hospital's own code says; nothing of it leaves a real hospital but an incident's number."""
    came = from_payload(to_payload(order))
    try:
        approve_study(came.study_json, folder, needs_list=False)
        approve(hospital_of(parse_json(came.study_json), site), came)
    except (RefusedError, WireError) as error:
        return str(error).rstrip(".")
    return ""


adversary: type[Adversary] = Cheating
