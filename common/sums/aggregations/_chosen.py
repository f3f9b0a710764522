"""Whom each hospital chooses in a sparse graph of pairs, and how the others check that they are told it truly.

A hospital's choice follows from 32 bytes that it signs together with its keys of the round, so that nobody else can
say what it chose. Those bytes are the digest of its own signature (Ed25519, which is deterministic) on the study, the
run, the round and its hospitals: no coordinator can foresee or influence them, and asked again in the same round it
gets the same ones. *What trying costs.* A coordinator has one draw of the graph a round and run. Whoever makes up q
runs of a study has q draws, each of which takes answers of all the hospitals: of the bits of secrecy log2 q are lost,
20 with a million runs. Hospitals that collude choose whom they like; the promise does not count on theirs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256, shake_256

from common.errors import WireError
from common.sums.aggregation import Local
from common.sums.aggregations._agreement import digest_of
from common.sums.aggregations._key_agreement import SIGNED_KEYS_BYTES, PublicKeys, SecretKeys
from common.sums.identity import Identity

CHOICE_BYTES = 32
ANNOUNCED_BYTES = CHOICE_BYTES + SIGNED_KEYS_BYTES
DIGEST_BYTES = 32
_DRAW_BYTES = 16
"""Of a number that is reduced to one among 65,536 at most: its bias is below 2^-112."""


@dataclass(frozen=True)
class Announced:
    """What a hospital announces: from what its choice follows, and its keys, signed together."""

    choice: bytes
    keys: PublicKeys

    @classmethod
    def make(cls, secret: SecretKeys, local: Local, context: bytes) -> Announced:
        """Of this hospital."""
        parts = ["wardround: neighbours", local.study, local.run, local.round, digest_of(local.cohort.sites)]
        choice = sha256(local.identity.sign(json.dumps(parts).encode())).digest()
        return cls.signed(choice, secret, local.identity, context)

    @classmethod
    def signed(cls, choice: bytes, secret: SecretKeys, identity: Identity, context: bytes) -> Announced:
        """With whatever choice."""
        return cls(choice, secret.announce(identity, _sealed(context, choice)))

    @classmethod
    def from_bytes(cls, data: bytes) -> Announced:
        """Raises WireError unless there are 160 bytes."""
        return cls(data[:CHOICE_BYTES], PublicKeys.from_bytes(data[CHOICE_BYTES:]))

    def to_bytes(self) -> bytes:
        """160 bytes."""
        return self.choice + self.keys.to_bytes()

    def verify(self, local: Local, place: int, context: bytes) -> None:
        """Raise WireError unless the hospital at this place of the round's, as known here, signed it."""
        self.keys.verify(local.identity, local.cohort.sites[place], _sealed(context, self.choice))


@lru_cache(maxsize=1 << 15)
def chosen(choice: bytes, own: int, hospitals: int, count: int) -> tuple[int, ...]:
    """As `drawn`, and kept: of those that a hospital shares with."""
    return drawn(choice, own, hospitals, count)


def drawn(choice: bytes, own: int, hospitals: int, count: int) -> tuple[int, ...]:
    """Places, sorted, of `count` hospitals that the one at place `own` of `hospitals` draws: all sets alike.

    Whoever draws more draws the same ones first.
    """
    stream = shake_256(choice).digest(_DRAW_BYTES * count)
    moved: dict[int, int] = {}
    found: list[int] = []
    for turn in range(count):
        # Fisher and Yates' shuffle of all others, of which only what was moved is kept.
        number = int.from_bytes(stream[_DRAW_BYTES * turn : _DRAW_BYTES * (turn + 1)], "little")
        at = turn + number % (hospitals - 1 - turn)
        found.append(moved.get(at, at))
        moved[at] = moved.get(turn, turn)
    return tuple(sorted(place + (place >= own) for place in found))


@dataclass(frozen=True)
class Tree:
    """Merkle's tree (1987) over what each hospital of a round announced, b"" for one that announced nothing.

    levels: digests of the leaves, then of each level above; the last holds the root alone.
    """

    levels: tuple[tuple[bytes, ...], ...]

    @classmethod
    def over(cls, announced: list[bytes]) -> Tree:
        """Of all hospitals of the round, in their order."""
        width = 1 << depth(len(announced))
        level = tuple(_leaf(one) for one in announced) + (_leaf(b""),) * (width - len(announced))
        levels = [level]
        while len(level) > 1:
            level = tuple(_inner(level[at], level[at + 1]) for at in range(0, len(level), 2))
            levels.append(level)
        return cls(tuple(levels))

    @property
    def root(self) -> bytes:
        """32 bytes: who announced what. Keys are fresh, so no two rounds have the same."""
        return self.levels[-1][0]

    def path(self, place: int) -> bytes:
        """What `demand_leaf` needs to find the leaf at `place` under the root; 32 bytes a level."""
        return b"".join(level[(place >> up) ^ 1] for up, level in enumerate(self.levels[:-1]))


def depth(hospitals: int) -> int:
    """Levels between the leaves of so many and the root."""
    return (hospitals - 1).bit_length()


def demand_leaf(root: bytes, path: bytes, place: int, announced: bytes) -> None:
    """Raise WireError unless what was announced stands at its place under the root."""
    found = _leaf(announced)
    for up, start in enumerate(range(0, len(path), DIGEST_BYTES)):
        beside = path[start : start + DIGEST_BYTES]
        found = _inner(beside, found) if place >> up & 1 else _inner(found, beside)
    if found != root:
        raise WireError("a hospital's keys are not among those that the round's hospitals announced.")


def _leaf(announced: bytes) -> bytes:
    return sha256(b"\0" + announced).digest()


def _inner(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()


def _sealed(context: bytes, choice: bytes) -> bytes:
    return sha256(b"wardround: choice\n" + context + choice).digest()
