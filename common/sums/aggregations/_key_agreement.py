"""Fresh X25519 keys of one round, signed, and the secrets that pairs of hospitals derive from them.

Each hospital makes two pairs: one for masks, whose secret half the others may later open if it drops out, and one
for the channel that shares travel through, which is never opened. What is signed is a context that all must agree
on, so that a key of another study, round or cohort is worth nothing. An own key pair serves one round only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from common.data.cases import SiteId
from common.errors import WireError
from common.sums.aggregations._keystream import STREAM_BYTES
from common.sums.identity import Identity

KEY_BYTES, SIGNATURE_BYTES, TAG_BYTES = 32, 64, 16
SHARED_BYTES = 32
SIGNED_KEYS_BYTES = 2 * KEY_BYTES + SIGNATURE_BYTES
_KEYS_TAG = b"wardround: keys of a round\n"
_NONCE = bytes(12)
"""Constant, since a channel's key encrypts one message only."""


@dataclass(frozen=True)
class PublicKeys:
    """What a hospital announces: 32 bytes for masks, 32 for the channel, and 64 of signature."""

    mask: bytes
    channel: bytes
    signature: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> PublicKeys:
        """Raises WireError unless there are 128 bytes."""
        if len(data) != SIGNED_KEYS_BYTES:
            raise WireError(f"signed keys take {SIGNED_KEYS_BYTES} bytes; {len(data)} came.")
        return cls(data[:KEY_BYTES], data[KEY_BYTES : 2 * KEY_BYTES], data[2 * KEY_BYTES :])

    def to_bytes(self) -> bytes:
        """128 bytes."""
        return self.mask + self.channel + self.signature

    def verify(self, identity: Identity, site: SiteId, context: bytes) -> None:
        """Raise WireError unless `site`, as known here, signed these keys for this context."""
        identity.verify(site, self.signature, _KEYS_TAG + context + self.mask + self.channel)


@dataclass(frozen=True)
class SecretKeys:
    """The secret halves, 32 bytes each, and the public ones, for masks and for the channel."""

    mask: bytes = field(repr=False)
    channel: bytes = field(repr=False)
    public: tuple[bytes, bytes]

    @classmethod
    def generate(cls) -> SecretKeys:
        """From the operating system's randomness."""
        mask, channel = X25519PrivateKey.generate(), X25519PrivateKey.generate()
        public = (mask.public_key().public_bytes_raw(), channel.public_key().public_bytes_raw())
        return cls(mask.private_bytes_raw(), channel.private_bytes_raw(), public)

    def announce(self, identity: Identity, context: bytes) -> PublicKeys:
        """The public halves, signed for this context."""
        mask, channel = self.public
        return PublicKeys(mask, channel, identity.sign(_KEYS_TAG + context + mask + channel))


def public_key(secret: bytes) -> bytes:
    """The public half of a secret key."""
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def expand(secret: bytes, label: bytes, length: int = STREAM_BYTES) -> bytes:
    """HKDF-SHA256 of a secret of full entropy; another label gives an independent key."""
    return HKDF(SHA256(), length, salt=None, info=label).derive(secret)


def shared_secrets(secret: bytes, publics: Iterable[bytes]) -> list[bytes]:
    """32 bytes for each public key, which its owner derives as well: to be expanded, never used as they are.

    Raises WireError where a public key is of low order.
    """
    key = X25519PrivateKey.from_private_bytes(secret)
    try:
        return [key.exchange(X25519PublicKey.from_public_bytes(public)) for public in publics]
    except ValueError:
        raise WireError("a public key is no key to agree on a secret with.") from None


def encrypt(message: bytes, shared: bytes, way: bytes) -> bytes:
    """Encrypt and authenticate the one message that goes this way, 16 bytes longer.

    shared: of `shared_secrets`. way: who sends to whom, in which session; both ends must say the same.
    """
    return _cipher(shared, way).encrypt(_NONCE, message, way)


def decrypt(encrypted: bytes, shared: bytes, way: bytes) -> bytes:
    """The message. Raises WireError where it was not encrypted by the other end for this way."""
    try:
        return _cipher(shared, way).decrypt(_NONCE, encrypted, way)
    except InvalidTag:
        raise WireError("a message was not encrypted by the hospital it is said to be from.") from None


def _cipher(shared: bytes, way: bytes) -> AESGCM:
    return AESGCM(expand(shared, b"channel\n" + way, 16))
