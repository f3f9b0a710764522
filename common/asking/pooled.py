"""An analysis over tables at hand, each a hospital's: for tests, and beside what hospitals say."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer
from common.asking.exact_sums import Total, added, checked
from common.asking.records import Records


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
