"""One query's sum over hospitals, and all queries of a question over the same ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from time import perf_counter

from common.asking.analysis import Query
from common.asking.exact_sums import Total
from common.asking.question import Question
from common.asking.shared_noise import Telling, telling
from common.asking.totals import flat, form_of, total_of
from common.data.names import SiteId
from common.errors import AnalysisError, TooFewHospitalsError
from common.study.federation import Federation
from common.sums.aggregation import Aggregation
from common.sums.cohort import Cohort
from common.sums.wide import CollectedWide
from common.sums.wide_sums import collect_wide
from common.wire.questions import AskedQuery, to_payload
from common.wire.refusals import ASKED_AGAIN, FREE_OF_CHARGE
from server.asking.question_leg import QuestionLeg
from server.dropout_wait import Waiting
from server.exchange import Dropped, GridExchange
from server.traffic import TO_HOSPITAL, TO_SERVER

LASTING = frozenset(FREE_OF_CHARGE.values()) - frozenset(ASKED_AGAIN.values())
"""Reasons of hospitals that asking once more does not mend."""


@dataclass(frozen=True)
class OpenedQuery:
    """A query, its total over `sites`, and what it took. round: of the run. attempts: how often it was asked."""

    number: int
    round: int
    query: Query
    total: Total
    sites: tuple[SiteId, ...]
    dropped: tuple[Dropped, ...]
    attempts: int
    seconds: float
    bytes_sent: int
    bytes_received: int


@dataclass
class Channel:
    """What questions of one run are asked through. members: who takes part, of the cohort. rounds: asked so far."""

    aggregation: Aggregation
    exchange: GridExchange
    cohort: Cohort
    members: tuple[SiteId, ...]
    federation: Federation
    first_round: int
    absent: Mapping[SiteId, str] = field(default_factory=dict)
    rounds: int = 0


@dataclass
class Conversation:
    """A question's queries, one after the other, all of them over the same hospitals.

    telling: makes a total what the analysis is told, with the law of its noise.
    """

    channel: Channel
    question: Question
    telling: Telling = field(default_factory=lambda: telling(None, 0))
    opened: list[OpenedQuery] = field(default_factory=list)

    def summed(self, query: Query) -> Total:
        """Ask a query. Raises TooFewHospitalsError where too few answer, or others than those of the first query."""
        channel, exchange, begin = self.channel, self.channel.exchange, perf_counter()
        self._demand_bounded(query)
        sent, received = exchange.traffic.total(TO_HOSPITAL), exchange.traffic.total(TO_SERVER)
        exchange.round, exchange.timeout_s = self._next_round(), channel.federation.round_timeout_s
        waiting = Waiting(channel.federation, channel.cohort, exchange, LASTING)
        collected = waiting.collect(lambda: self._once(query))
        exchange.forgive(collected.sites)
        dropped = (*dict.fromkeys(exchange.take_dropped()), *self._absent())
        self._demand_enough(collected, dropped)
        assert collected.total is not None
        total = self.telling(query, total_of(query.parts, collected.total))
        self.opened.append(
            OpenedQuery(
                len(self.opened) + 1,
                exchange.round,
                query,
                total,
                collected.sites,
                dropped,
                waiting.attempts,
                perf_counter() - begin,
                exchange.traffic.total(TO_HOSPITAL) - sent,
                exchange.traffic.total(TO_SERVER) - received,
            )
        )
        return total

    def _demand_bounded(self, query: Query) -> None:
        """Raise AnalysisError where noise is to hide what one row can change without bound."""
        unbounded = [name for name, part in query.parts.items() if part.most_by_one is None]
        if self.question.epsilon and unbounded:
            raise AnalysisError(
                f"noise can hide nobody in {self.question.analysis.name!r}: one row can change its part "
                f"{unbounded[0]!r} by any amount. Ask for bounded_mean, private_quantile, quantile_tree or counts."
            )

    def _next_round(self) -> int:
        self.channel.rounds += 1
        return self.channel.first_round + self.channel.rounds - 1

    def _once(self, query: Query) -> CollectedWide:
        channel, before = self.channel, None
        if self.opened:
            last = self.opened[-1]
            before = tuple(flat(last.query.parts, last.total.integers))
        asked = AskedQuery(self.question, len(self.opened) + 1, query, before)
        exchange = channel.exchange
        request = to_payload(asked, exchange.study_json, exchange.run, exchange.round)
        requests = dict.fromkeys(channel.members, request)
        return collect_wide(
            channel.aggregation, QuestionLeg(exchange), requests, channel.cohort, form_of(query.parts)
        )

    def _absent(self) -> Iterator[Dropped]:
        """Hospitals of the study that take no part in this run."""
        for site in self.channel.cohort.sites:
            if site not in self.channel.members:
                yield Dropped(site, "hello", self.channel.absent.get(site, "it did not come up at the start"))

    def _demand_enough(self, collected: CollectedWide, dropped: tuple[Dropped, ...]) -> None:
        reasons = _reasons(dropped)
        name, number, least = repr(self.question.words), len(self.opened) + 1, self.channel.cohort.least
        if collected.total is None or len(collected.sites) < least:
            raise TooFewHospitalsError(
                f"question {name} has no answer: {len(collected.sites)} hospitals contributed to its query {number}, "
                f"and {least} must.",
                f"{reasons or 'no hospital was dropped'}.",
            )
        first = self.opened[0].sites if self.opened else collected.sites
        if collected.sites != first:
            raise TooFewHospitalsError(
                f"question {name} has no answer: its queries must be over the same hospitals. The first {number - 1} "
                f"were over {', '.join(first)}, and query {number} over {', '.join(collected.sites)}. Ask it again.",
                f"{reasons or 'no hospital was dropped'}.",
            )


def _reasons(dropped: Iterable[Dropped]) -> str:
    """Each reason once, with whose it is."""
    sites: dict[str, list[SiteId]] = {}
    for site, reason in {drop.site: drop.reason for drop in dropped}.items():
        sites.setdefault(reason, []).append(site)
    return "; ".join(f"{', '.join(whose)}: {reason}" for reason, whose in sites.items())
