"""Proofs that a round was opened, owed to hospitals that are in its sum and were not asked to open it.

A hospital that was lost between its answer and the opening keeps what the round left it waiting
(`common.sums.opening_proof`). The proof is kept with the checkpoint and handed over before that hospital is asked
again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from common.data.names import SiteId
from common.sums.exchange import Collected, Exchange, OpenedSum
from common.sums.opening_proof import OPENED_LEG, proof_payload


@dataclass(frozen=True)
class Owed:
    """To each of `sites`: that round `number` was opened."""

    number: int
    opened: OpenedSum
    sites: tuple[SiteId, ...]

    def to_json(self) -> dict[str, Any]:
        """For a checkpoint."""
        opened = self.opened
        return {
            "round": self.number,
            "to": list(self.sites),
            "sites": list(opened.sites),
            "signers": list(opened.signers),
            "signatures": opened.signatures.hex(),
        }

    @classmethod
    def from_json(cls, table: Mapping[str, Any]) -> Owed:
        """What `to_json` gave. Raises ValueError, TypeError or KeyError where it is damaged."""
        signatures = bytes.fromhex(table["signatures"])
        opened = OpenedSum(tuple(table["sites"]), tuple(table["signers"]), signatures)
        return cls(int(table["round"]), opened, tuple(table["to"]))


def hand_over(exchange: Exchange, owed: Collection[Owed], asked: Collection[SiteId]) -> tuple[Owed, ...]:
    """Show each hospital of `asked` the proof it is owed; what is owed still, to those that did not reply."""
    left = []
    for one in owed:
        due = [site for site in one.sites if site in asked]
        replies = exchange.ask(OPENED_LEG, dict.fromkeys(due, proof_payload(one.number, one.opened))) if due else {}
        left.append(replace(one, sites=tuple(site for site in one.sites if site not in replies)))
    return tuple(one for one in left if one.sites)


def owed_after(owed: Collection[Owed], number: int, collected: Collected) -> tuple[Owed, ...]:
    """What is owed after round `number`. Whoever is in its sum needs no proof of an earlier round any more."""
    left = [replace(one, sites=tuple(site for site in one.sites if site not in collected.sites)) for one in owed]
    if collected.proof is not None and collected.unaware:
        left.append(Owed(number, collected.proof, collected.unaware))
    return tuple(one for one in left if one.sites)
