"""The model that a run ended with, handed to its hospitals: its message, and what the coordinator signs of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from unicodedata import category

import numpy as np

from common.errors import WireError
from common.learning.parameters import digest
from common.sums.exchange import Payload
from common.sums.update import Vector
from common.wire.train_requests import RUN

LEG = "keep"
CARD, OF_ROUND, KEPT = "card", "of_round", "kept"
"""Words and numbers of the message, and the word of a reply: the SHA-256 of the model that is kept."""
LARGEST_CARD_CHARACTERS = 1 << 16
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
SIGNATURE_BYTES = 64
WHAT = "model of a Wardround run 1"
"""In whatever is signed: a signature of anything else is none of a model."""


@dataclass(frozen=True)
class HandedModel:
    """parameters: all that is exchanged. card: in words, Markdown. of_round: which round made it.

    signature: the coordinator's, 64 bytes; b"" where it has no key.
    """

    parameters: Vector
    card: str
    of_round: int
    signature: bytes = b""

    @property
    def model_sha256(self) -> str:
        """As in the run's record."""
        return digest(self.parameters)

    def statement(self, study: str, run: str) -> bytes:
        """What the coordinator signs. study: its digest."""
        card = sha256(self.card.encode("utf-8", "replace")).hexdigest()
        told = [WHAT, study, run, self.of_round, self.model_sha256, card]
        return json.dumps(told).encode()


def to_payload(model: HandedModel, study_json: str, run: str, number: int) -> Payload:
    """number: the round that is beyond the last: what hospitals keep between rounds is then that of the last."""
    data = np.frombuffer(model.signature, np.uint8) if model.signature else None
    words = {"study": study_json, RUN: run, CARD: model.card}
    return Payload(model.parameters, {"round": number, OF_ROUND: model.of_round}, words, data)


def from_payload(payload: Payload, length: int) -> HandedModel:
    """length: of the network's parameters. Raises WireError where the message holds no such model."""
    card, number = payload.words.get(CARD), payload.numbers.get(OF_ROUND)
    if payload.array is None or payload.array.shape != (length,):
        raise WireError(f"a model of this study has {length} parameters; another number came.")
    if not np.isfinite(payload.array).all():
        raise WireError("a model whose parameters are not all finite came.")
    if not isinstance(card, str) or len(card) > LARGEST_CARD_CHARACTERS:
        raise WireError(f"a model comes with a card of at most {LARGEST_CARD_CHARACTERS} characters.")
    if any(category(one) in _INVISIBLE for one in card if one != "\n"):
        raise WireError("a model's card is text; what a terminal obeys, or what hides or turns text, came in it.")
    if type(number) is not int or number < 0:
        raise WireError("a model comes with the round that made it.")
    signature = b"" if payload.data is None else payload.data.tobytes()
    if len(signature) not in (0, SIGNATURE_BYTES):
        raise WireError(f"a signature has {SIGNATURE_BYTES} bytes.")
    return HandedModel(payload.array, card, number, signature)
