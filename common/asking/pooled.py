"""An analysis over tables at hand, each a hospital's: for tests, and beside what hospitals say."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer
from common.asking.exact_sums import Total, added, checked
from common.asking.noise import SumNoise
from common.asking.records import Records
from common.errors import AnalysisError
from common.privacy.noise_source import IntegerNoise


@dataclass(frozen=True)
class Asked:
    """The answer, and the queries with their sums on the way to it."""

    answer: Answer
    rounds: tuple[tuple[Query, Total], ...]


def ask_tables(analysis: Analysis, tables: Iterable[Records], public: Public | None = None) -> Asked:
    """Ask hospitals whose records are here. One table of all rows gives the same answer, bit for bit."""
    hospitals = tuple(tables)
    public = public or Public(tuple(sorted(table.site for table in hospitals)))
    return conduct(
        analysis,
        public,
        lambda query: added(
            query.parts, [checked(query.parts, analysis.summarise(table, query)) for table in hospitals]
        ),
    )


@dataclass(frozen=True)
class NoisySums:
    """Sums over tables at hand, each of which adds its share of noise."""

    noise: SumNoise
    source: IntegerNoise

    def ask(self, analysis: Analysis, tables: Iterable[Records], public: Public | None = None) -> Asked:
        """As `ask_tables`. Raises StudyError where a part has no bound, AnalysisError where rounds are used up."""
        hospitals = tuple(tables)
        public = public or Public(tuple(sorted(table.site for table in hospitals)))
        used = [self.noise.rows_of(table)[0] for table in hospitals]
        left = iter(range(self.noise.rounds))

        def summed(query: Query) -> Total:
            if next(left, None) is None:
                raise AnalysisError(
                    f"the question takes more than the {self.noise.rounds} rounds that were paid for."
                )
            shares = [
                self.noise.add_share(query, checked(query.parts, analysis.summarise(table, query)), self.source)
                for table in used
            ]
            return self.noise.told(query, added(query.parts, shares), len(hospitals))

        return conduct(analysis, public, summed)


def conduct(analysis: Analysis, public: Public, summed: Callable[[Query], Total]) -> Asked:
    """One question from its first query to its answer. summed: whatever adds hospitals' parts up."""
    conversation, rounds = analysis.ask(public), []
    try:
        query = next(conversation)
        while True:
            total = summed(query)
            rounds.append((query, total))
            query = conversation.send(total)
    except StopIteration as end:
        return Asked(end.value, tuple(rounds))
