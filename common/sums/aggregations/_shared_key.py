"""Sums under one key that all hospitals of a round hold and the coordinator does not: the hospitals' half.

| leg     | the server sends                                  | a hospital replies                                |
|---------|---------------------------------------------------|---------------------------------------------------|
| keys    | the agreement                                     | fresh keys, signed for (study, round, agreement)  |
| shares  | to the first hospital: all signed keys            | a fresh key of the scheme, wrapped for others     |
| round   | the order, and the key wrapped for this one       | its words encrypted                               |
| decrypt | to one hospital: the encrypted sum                | the sum                                           |

Its limits are those of every design with one key, and no signature mends them: whoever holds the key opens whatever
ciphertext comes to hand, so any one hospital that is given the others' by the coordinator reads them; and a hospital
asked to decrypt cannot tell a sum from a single ciphertext, so a coordinator that cheats can have one ciphertext of
its choice opened by each hospital a round. Distributed keys (`bfv`) have neither.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Protocol

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from common.errors import WireError
from common.sums.aggregation import Local
from common.sums.aggregations import _transcript
from common.sums.aggregations._agreement import Agreement, read_agreement
from common.sums.aggregations._digits import DIGIT_BITS, PlainDigits
from common.sums.aggregations._fixed_point import FixedPoint, Totals, Words
from common.sums.aggregations._key_agreement import (
    KEY_BYTES,
    SIGNED_KEYS_BYTES,
    TAG_BYTES,
    PublicKeys,
    SecretKeys,
    decrypt,
    encrypt,
    shared_secrets,
)
from common.sums.aggregations._seal_bytes import SEED_BYTES, join, split
from common.sums.aggregations._session_state import Notes, pieces, read_sites
from common.sums.aggregations._wide_sum import form_of
from common.sums.exchange import Payload
from common.sums.update import Update

READERS = (
    "The coordinator reads the sum alone; but every hospital holds the one key, so any one hospital together with "
    "the coordinator reads everybody's update, and a coordinator that cheats can have single updates decrypted."
)
MAKER, ADDED = "shared/maker", "shared/added"
"""Word and number of a request: who made the key, and of how many hospitals a sum is."""
WRAPPED_KEY_BYTES = KEY_BYTES + TAG_BYTES
ENCRYPTED_KEY_BYTES = SEED_BYTES + TAG_BYTES
_NONCE = bytes(12)
"""Constant, since a content key encrypts one key of the scheme only."""


class Scheme(Protocol):
    """A way to encrypt words so that ciphertexts add up, for one agreement. An update is encrypted to blocks."""

    @property
    def blocks(self) -> int:
        """How many an update takes."""
        ...

    def block_bytes(self, *, fresh: bool) -> int:
        """How many bytes a block takes, fresh from a hospital or added up."""
        ...

    def new_key(self) -> bytes:
        """Fresh, from the operating system."""
        ...

    def encrypt(self, words: Words, key: bytes) -> list[bytes]:
        """The words of one hospital. Raises WireError where the key is none."""
        ...

    def load(self, blocks: Sequence[bytes], *, fresh: bool) -> Any:
        """Checked ciphertexts, fresh from a hospital or added up. Raises WireError."""
        ...

    def add(self, total: Any, more: Any) -> Any:
        """The sum; total is None at first, and may be changed."""
        ...

    def save(self, total: Any) -> list[bytes]:
        """The sum as blocks."""
        ...

    def decrypt(self, total: Any, key: bytes, added: int) -> Totals:
        """(length,) uint64 below 2**32: the sums of the words of `added` hospitals."""
        ...


@dataclass(frozen=True)
class SharedKey:
    """protocol: under which name a hospital keeps its secrets. scheme: for an agreement."""

    LEGS: ClassVar[tuple[str, ...]] = ("keys", "shares", "decrypt")
    protocol: str
    scheme: Callable[[Agreement], Scheme]
    codec: FixedPoint

    def answer(self, leg: str, request: Payload, local: Local) -> Payload:
        """Any leg but "round". Raises WireError where the request must not be answered."""
        answers = {"keys": self._announce, "shares": self._make_key, "decrypt": self._decrypt}
        if leg not in answers:
            raise WireError(f"aggregation {self.protocol!r} has no such leg.")
        return answers[leg](request, local)

    def protect(self, update: Update, request: Payload, local: Local) -> Payload:
        """The leg "round": the update encrypted. Raises WireError where the key is not from the round's hospitals."""
        agreement = read_agreement(request)
        encode = partial(self.codec.encode, update, agreement, local.rng, local.most_clipped)
        return self._encrypted(encode, agreement, request, local)

    def protect_wide(self, numbers: Sequence[int], request: Payload, local: Local) -> Payload:
        """As `protect`, of wide numbers in digits."""
        agreement = read_agreement(request)
        form = form_of(agreement)
        return self._encrypted(lambda: PlainDigits(form).split(form.pack(numbers)), agreement, request, local)

    def _encrypted(
        self, encode: Callable[[], Words], agreement: Agreement, request: Payload, local: Local
    ) -> Payload:
        made_here = bool(local.secrets.get(f"{self.protocol}/key"))
        notes = Notes.follow(local, self.protocol, "shares" if made_here else "keys", "round")
        _demand_same(agreement, notes, local)
        if not made_here:
            notes["key"] = _unwrapped(request, notes, local)
        return Payload(data=join(self.scheme(agreement).encrypt(encode(), notes["key"])))

    def _announce(self, request: Payload, local: Local) -> Payload:
        agreement = read_agreement(request)
        if local.site not in agreement.sites or not set(agreement.sites) <= set(local.identity.public_keys):
            raise WireError("the round is of hospitals that are not known here, or not of this one.")
        local.cohort.refuse_another(agreement.sites)
        notes, secret = Notes.begin(local, self.protocol, "keys"), SecretKeys.generate()
        notes["context"], notes["channel key"] = _transcript.context(local, agreement), secret.channel
        notes.put_sites("cohort", agreement.sites)
        return _data(secret.announce(local.identity, notes["context"]).to_bytes())

    def _make_key(self, request: Payload, local: Local) -> Payload:
        """The content key wrapped for each other hospital, by name, then the scheme's key under the content key."""
        agreement, notes = read_agreement(request), Notes.follow(local, self.protocol, "keys", "shares")
        _demand_same(agreement, notes, local)
        sites = read_sites(request, notes.sites("cohort"), local.site, local.cohort.least)
        content_key, wrapped = os.urandom(KEY_BYTES), []
        for site, raw in zip(sites, pieces(request.data, len(sites), SIGNED_KEYS_BYTES), strict=True):
            public = PublicKeys.from_bytes(raw)
            public.verify(local.identity, site, notes["context"])
            if site != local.site:
                way = _transcript.way(notes["context"], local.site, site)
                (shared,) = shared_secrets(notes["channel key"], [public.channel])
                wrapped.append(encrypt(content_key, shared, way))
        notes["key"] = self.scheme(agreement).new_key()
        return _data(*wrapped, AESGCM(content_key).encrypt(_NONCE, notes["key"], notes["context"]))

    def _decrypt(self, request: Payload, local: Local) -> Payload:
        agreement, added = read_agreement(request), request.numbers.get(ADDED)
        notes = Notes.follow(local, self.protocol, "round", "decrypt")
        _demand_same(agreement, notes, local)
        if type(added) is not int or not 1 <= added <= len(agreement.sites):
            raise WireError("the sum to decrypt is of more hospitals than the round has.")
        scheme = self.scheme(agreement)
        blocks = split(request.data, scheme.blocks, scheme.block_bytes(fresh=False))
        totals = scheme.decrypt(scheme.load(blocks, fresh=False), notes["key"], added)
        notes.forget()
        if agreement.wide is not None:  # so that the coordinator sees no sums of digits
            totals = PlainDigits(agreement.wide).settled(totals).astype(np.uint64)
        return _data(totals.astype("<u4").tobytes())


def words_of(agreement: Agreement, codec: FixedPoint) -> int:
    """How many whole numbers a hospital encrypts. Raises WireError where a digit has no room in one."""
    if agreement.wide is None:
        return codec.length(agreement)
    if codec.value_bits < DIGIT_BITS:
        raise WireError(f"wide numbers need words of {DIGIT_BITS} bits or more (aggregation.value_bits).")
    return PlainDigits(agreement.wide).length


def _demand_same(agreement: Agreement, notes: Notes, local: Local) -> None:
    if _transcript.context(local, agreement) != notes["context"]:
        raise WireError("the agreement is not the one that this round's keys were signed for.")


def _unwrapped(request: Payload, notes: Notes, local: Local) -> bytes:
    """The scheme's key: the maker's signed keys come first, then what it wrapped for this hospital, then the key."""
    raw, maker = b"" if request.data is None else request.data.tobytes(), request.words.get(MAKER)
    if not isinstance(maker, str) or maker not in notes.sites("cohort"):
        raise WireError("the key is from no hospital of this round.")
    cut = SIGNED_KEYS_BYTES + WRAPPED_KEY_BYTES
    public = PublicKeys.from_bytes(raw[:SIGNED_KEYS_BYTES])
    public.verify(local.identity, maker, notes["context"])
    way = _transcript.way(notes["context"], maker, local.site)
    (shared,) = shared_secrets(notes["channel key"], [public.channel])
    content_key = decrypt(raw[SIGNED_KEYS_BYTES:cut], shared, way)
    try:
        return AESGCM(content_key).decrypt(_NONCE, raw[cut:], notes["context"])
    except InvalidTag:
        raise WireError("the key was not wrapped by the hospital it is said to be from.") from None


def _data(*parts: bytes) -> Payload:
    data: NDArray[np.uint8] = np.frombuffer(b"".join(parts), np.uint8)
    return Payload(data=data)
