"""A hospital's privacy ledger, added up: study by study, and for the most-spent patient over all studies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from client._ledger_accounting import History, histories
from client._ledger_entry import LedgerEntry
from client._ledger_file import Contents
from client.ledger import Ledger, tight
from client.policy import read_limits
from client.privacy_limit import Limit
from common.privacy.beside import RELATED, exchanged, together
from common.privacy.release import Unit


@dataclass(frozen=True)
class Spent:
    """One study's part, by unit.

    study: SHA-256, hexadecimal. title: as the coordinator worded it, unchecked. rounds: different ones charged.
    charges: more than rounds where some were run again. patients: charged at least once. epsilon: of the study's
    most-spent patient, at delta.
    """

    study: str
    title: str
    unit: Unit
    rounds: int
    charges: int
    patients: int
    epsilon: float
    delta: float
    refusals: int


@dataclass(frozen=True)
class Summary:
    """What one ledger says, as far as it is whole.

    epsilon: of the most-spent patient over all studies, at delta; None for a ledger without charges and limit, which
    names no delta. patients: charged by any study; most_spent: how many of them have spent this epsilon. left: the
    limit's epsilon less what is spent, below 0 where the limit was lowered since. fault: where the ledger is not as
    it was written; everything is then counted from the entries before, so too low. None: the chain is whole.
    last: the last entry's seal, hexadecimal. exchanged, together: epsilon where such a patient's data are exchanged
    for another's, and of k related patients. spread: how many patients have spent each epsilon, the most first.
    """

    studies: tuple[Spent, ...]
    entries: int
    epsilon: float | None
    delta: float | None
    patients: int
    most_spent: int
    limit: Limit | None
    fault: str | None
    last: str = ""
    exchanged: float | None = None
    together: tuple[tuple[int, float | None], ...] = ()
    spread: tuple[tuple[float, int], ...] = ()

    @property
    def left(self) -> float | None:
        """Epsilon left for the most-spent patient; None without a limit."""
        if self.limit is None or self.epsilon is None:
            return None
        return self.limit.epsilon - self.epsilon

    def json(self) -> dict[str, Any]:
        """Of numbers and text; an epsilon without bound is "infinite", as JSON has no such number."""
        values = asdict(self) | {"left": self.left}
        del values["spread"]  # of a page alone
        return values | {key: _number(values[key]) for key in ("epsilon", "left")} | {"studies": _studies(self)}


def summary_of(folder: Path) -> Summary:
    """Read, verify and add up the ledger in a hospital's own folder.

    Raises LedgerError where it is absent, incomplete or cannot be read, StudyError for an impossible limit.
    """
    limit = min(read_limits(folder), key=lambda one: one.epsilon, default=None)
    found = Ledger(folder).contents()
    deltas = [entry.delta for entry in found.entries if entry.kind == "charge"]
    # The least of several deltas gives the highest epsilon, so that the figure holds at all of them.
    delta = limit.delta if limit else min(deltas, default=None)
    shared = histories(found.entries, found.sets)
    costs = {history: tight(history, delta) for history in shared} if delta is not None else {}
    most = None if delta is None else max(costs.values(), default=0.0)
    worst = next((history for history, cost in costs.items() if cost == most), ())
    return Summary(
        studies=tuple(_spent(entries, found, limit) for entries in _by_study(found.entries)),
        entries=len(found.entries),
        epsilon=most,
        delta=delta,
        patients=sum(shared.values()),
        most_spent=sum(shared[history] for history, cost in costs.items() if cost == most),
        limit=limit,
        fault=found.fault,
        last=found.last,
        exchanged=exchanged(worst, delta) if delta is not None else None,
        together=tuple((k, together(worst, delta, k)) for k in RELATED) if delta is not None else (),
        spread=_spread(shared, costs),
    )


def _spread(shared: Mapping[History, int], costs: Mapping[History, float]) -> tuple[tuple[float, int], ...]:
    """Patients by what they spent, to three decimals."""
    found: dict[float, int] = defaultdict(int)
    for history, cost in costs.items():
        found[round(cost, 3)] += shared[history]
    return tuple(sorted(found.items(), reverse=True))


def _by_study(entries: Iterable[LedgerEntry]) -> Iterable[list[LedgerEntry]]:
    """By digest, as two studies may have one title."""
    grouped: dict[tuple[str, str], list[LedgerEntry]] = defaultdict(list)
    for entry in entries:
        grouped[entry.study, entry.unit].append(entry)
    return grouped.values()


def _spent(entries: list[LedgerEntry], found: Contents, limit: Limit | None) -> Spent:
    charges = [entry for entry in entries if entry.kind == "charge"]
    delta = limit.delta if limit else min(entry.delta for entry in entries)
    shared: dict[History, int] = histories(charges, found.sets)
    return Spent(
        study=entries[0].study,
        title=entries[0].title,
        unit=entries[0].unit,
        rounds=len({entry.round for entry in charges}),
        charges=len(charges),
        patients=sum(shared.values()),
        epsilon=max((tight(history, delta) for history in shared), default=0.0),
        delta=delta,
        refusals=len(entries) - len(charges),
    )


def _studies(summary: Summary) -> list[dict[str, Any]]:
    return [asdict(one) | {"epsilon": _number(one.epsilon)} for one in summary.studies]


def _number(value: float | None) -> float | str | None:
    return value if value is None or isfinite(value) else "infinite" if value > 0 else "-infinite"
