"""A sum homomorphically: numbers are encrypted, a server adds what it cannot read, one party decrypts the sum."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from common.errors import StudyError
from experiments.lessons.party import Party

DEGREE, PLAIN_MODULUS = 4096, 1032193
"""BFV at 128 bits of security."""


def encrypted_sum(numbers: Mapping[str, int]) -> tuple[int, list[Party]]:
    """The sum, and everybody with what they saw. Raises StudyError for fewer than two, or numbers that do not fit."""
    import tenseal

    if len(numbers) < 2 or not all(0 <= number < PLAIN_MODULUS // 2 // len(numbers) for number in numbers.values()):
        raise StudyError(f"two numbers or more are needed, whose sum is below {PLAIN_MODULUS // 2}.")
    teacher, server = Party("The teacher"), Party("The server")
    teacher.sees("the key", "secret; everybody has its public half, which encrypts and does not decrypt")
    private = tenseal.context(tenseal.SCHEME_TYPE.BFV, DEGREE, plain_modulus=PLAIN_MODULUS)
    public = private.copy()
    public.make_context_public()
    parties = [Party(name) for name in numbers]
    sealed = []
    for party, number in zip(parties, numbers.values(), strict=True):
        party.sees("its own number", number)
        message = tenseal.bfv_vector(public, [number]).serialize()
        party.sees("what it sends", _shown(message))
        server.sees(f"from {party.name}", _shown(message))
        sealed.append(tenseal.bfv_vector_from(public, message))
    whole = sealed[0]
    for one in sealed[1:]:
        whole = whole + one
    message = whole.serialize()
    server.sees("their sum, still encrypted, which it sends on", _shown(message))
    (total,) = tenseal.bfv_vector_from(private, message).decrypt()
    teacher.sees("from the server", _shown(message))
    teacher.sees("decrypted, the sum alone", total)
    return int(total), [*parties, server, teacher]


def _shown(message: bytes) -> str:
    return f"{len(message):,} bytes, SHA-256 {sha256(message).hexdigest()[:12]}..."
