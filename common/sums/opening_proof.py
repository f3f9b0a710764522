"""When a round counts as opened for one hospital, and how it is told later where it did not hear of it.

What a hospital keeps between rounds must follow the sum that it is part of: a round that is never opened leaves no
trace, and one that is opened without it (it was killed between its answer and the opening) is in its state all the
same. So a protocol holds the state back when it answers, with what a later proof is to be checked against. It commits
the state at the leg that opens the round, or on that proof: signatures of as many hospitals as open a sum.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from common.data.names import SiteId
from common.errors import WireError
from common.sums.exchange import OpenedSum, Payload, Word

OPENED_LEG = "opened"
"""Not of a round: it hands a hospital the proof that an earlier one was opened."""
ROUND = "proof/round"
SITES, SIGNERS = "proof/sites", "proof/signers"


class Keeping(Protocol):
    """What a protocol tells of a round to whatever keeps a hospital's state."""

    @property
    def base(self) -> int:
        """The round whose state this one starts from; 0 where it starts from none."""
        ...

    def hold(self, awaited: bytes) -> None:
        """The state this round leaves waits for the opening. awaited: what `held` gives back; b"": no later proof."""
        ...

    def held(self, number: int) -> bytes | None:
        """What the state of round `number` awaits; None where none is held back."""
        ...

    def commit(self, number: int) -> None:
        """Round `number` was opened with this hospital; on the disk when it returns. Nothing where none is held."""
        ...


@dataclass(frozen=True)
class KeepsNothing:
    """Of a hospital that keeps nothing between rounds."""

    @property
    def base(self) -> int:
        """See Keeping."""
        return 0

    def hold(self, awaited: bytes) -> None:
        """See Keeping."""

    def held(self, number: int) -> bytes | None:
        """See Keeping."""
        return None

    def commit(self, number: int) -> None:
        """See Keeping."""


@dataclass(frozen=True)
class Awaited:
    """digests: of the round's context, session and order, hex. among: who masked, sorted. fewest: hospitals in a sum.

    signatures: how many of them prove it.
    """

    digests: tuple[str, str, str]
    among: tuple[SiteId, ...]
    fewest: int
    signatures: int

    def to_bytes(self) -> bytes:
        """As it is kept."""
        return json.dumps(vars(self)).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Awaited:
        """What `to_bytes` wrote."""
        table = json.loads(raw)
        digests = (str(table["digests"][0]), str(table["digests"][1]), str(table["digests"][2]))
        return cls(digests, tuple(table["among"]), int(table["fewest"]), int(table["signatures"]))


def proof_payload(number: int, opened: OpenedSum) -> Payload:
    """The request of the leg "opened", about round `number`."""
    words: dict[str, Word] = {SITES: list(opened.sites), SIGNERS: list(opened.signers)}
    return Payload(numbers={ROUND: number}, words=words, data=np.frombuffer(opened.signatures, np.uint8))


def proven_round(request: Payload) -> int:
    """Which round a request says was opened. Raises WireError where it says none."""
    number = request.numbers.get(ROUND)
    if type(number) is not int or number < 1:
        raise WireError("a proof names the round that was opened, from 1.")
    return number


def named(request: Payload, word: str, among: Sequence[SiteId], fewest: int) -> tuple[SiteId, ...]:
    """The hospitals a proof names. Raises WireError unless they are `fewest` or more of `among`, sorted, each once.

    A list that is longer than `among` is not looked at.
    """
    value = request.words.get(word)
    if not isinstance(value, list) or not fewest <= len(value) <= len(among):
        raise WireError(f"a proof names between {fewest} and {len(among)} hospitals.")
    if sorted(set(value)) != value or not set(value) <= set(among):
        raise WireError("a proof names hospitals of its round, sorted and each but once.")
    return tuple(value)
