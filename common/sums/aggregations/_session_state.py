"""What a hospital remembers from leg to leg of one round, and the order in which legs may come, each once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from common.data.cases import SiteId
from common.errors import WireError
from common.sums.aggregation import Local
from common.sums.exchange import Payload

SITES = "secure/sites"
"""The word of a request that names the hospitals its leg is about."""


@dataclass(frozen=True)
class Notes:
    """Kept in `Local.secrets` under the protocol's name. A round's first leg forgets all of the round before.

    among: the round's hospitals, of which names are remembered, a bit each.
    """

    secrets: MutableMapping[str, bytes]
    protocol: str
    among: tuple[SiteId, ...]

    @classmethod
    def begin(cls, local: Local, protocol: str, leg: str) -> Notes:
        """Of a new round, its first leg being answered."""
        notes = cls(local.secrets, protocol, local.cohort.sites)
        notes.forget()
        notes["at"] = _at(local, leg)
        return notes

    @classmethod
    def follow(cls, local: Local, protocol: str, after: str, leg: str) -> Notes:
        """Of the round under way, going on from `after` to `leg`, which from now on counts as answered.

        Raises WireError where `after` was not the last leg answered, in this very round of this run of this study:
        nothing is answered twice, out of turn, or by the rules of another study.
        """
        notes = cls(local.secrets, protocol, local.cohort.sites)
        if local.secrets.get(notes._key("at")) != _at(local, after):
            raise WireError(f"leg {leg!r} is answered once a round, after leg {after!r} of the same study and run.")
        notes["at"] = _at(local, leg)
        return notes

    def forget(self) -> None:
        """Drop every secret of the protocol."""
        for key in [key for key in self.secrets if key.startswith(self._key(""))]:
            del self.secrets[key]

    def __getitem__(self, name: str) -> bytes:
        return self.secrets[self._key(name)]

    def __setitem__(self, name: str, value: bytes) -> None:
        self.secrets[self._key(name)] = value

    def put_sites(self, name: str, sites: Iterable[SiteId]) -> None:
        """Remember names of the round's hospitals."""
        self[name] = bits_of(self.among, frozenset(sites))

    def sites(self, name: str) -> tuple[SiteId, ...]:
        """Names remembered, sorted. Raises WireError where the round's hospitals are not what they were."""
        bits = unpacked(self[name], len(self.among))
        if bits is None:
            raise WireError("the round is of other hospitals than when it began.")
        return tuple(compress(self.among, bits))

    def _key(self, name: str) -> str:
        return f"{self.protocol}/{name}"


def read_sites(request: Payload, among: Iterable[SiteId], own: SiteId, fewest: int) -> tuple[SiteId, ...]:
    """The hospitals a request names.

    Raises WireError unless they are sorted, each but once, all of `among`, `own` one of them, and `fewest` or more.
    """
    value = request.words.get(SITES)
    if not isinstance(value, list) or sorted(set(value)) != value:
        raise WireError("hospitals must be named in a sorted list, each but once.")
    if not set(value) <= set(among):
        raise WireError("a hospital is named that is no part of the round so far.")
    if own not in value:
        raise WireError("this hospital is not among those named.")
    if len(value) < fewest:
        raise WireError(f"{len(value)} hospitals are named; this round needs {fewest}.")
    return tuple(value)


def bits_of(sites: Sequence[SiteId], among: Collection[SiteId]) -> bytes:
    """A bit for each site, set where it is `among`, the first in the lowest of the first byte."""
    return np.packbits(np.array([site in among for site in sites], np.uint8), bitorder="little").tobytes()


def unpacked(raw: bytes, sites: int) -> list[int] | None:
    """As many bits, 1 where set; None where there are not so many."""
    bits = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")
    if len(raw) != -(-sites // 8) or bits[sites:].any():
        return None
    found: list[int] = bits[:sites].tolist()
    return found


def pieces(data: NDArray[np.uint8] | bytes | None, count: int, size: int) -> list[bytes]:
    """A request's or reply's bytes cut into `count` pieces of `size`. Raises WireError where they do not fit."""
    raw = b"" if data is None else bytes(data)
    if len(raw) != count * size:
        raise WireError(f"{len(raw)} bytes came where {count} pieces of {size} are needed.")
    return [raw[start : start + size] for start in range(0, len(raw), size)] if size else [b""] * count


def _at(local: Local, leg: str) -> bytes:
    """Every request names its study, and by that whose sums may be opened: all legs of a round must name one."""
    return f"{local.study} {local.run} {local.round} {leg}".encode()
