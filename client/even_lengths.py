"""Replies as long as others, where a hospital may be one patient: a length tells of what it is the length of.

A score that is 0 takes fewer bytes than one that is not. Whoever looks on the wire, where TLS hides all but lengths,
or at the bytes that a run's record counts for each hospital, would read whether the model was right about a patient.
"""

from __future__ import annotations

from dataclasses import replace

from common.study.study import Study
from common.sums.cohorts import reveals
from common.sums.exchange import Payload
from common.wire.message_bytes import content_to_bytes
from common.wire.records import to_records

PADDING = "padding"
LEAST_BYTES = 1 << 10
"""Of all that a reply holds but its update, which is as long as the model; beyond, twice, four times, ... as many."""
SPARE_BYTES, TRIES = 16, 4
"""Lengths of lengths change as a reply is filled up."""


def filled_up(payload: Payload, study: Study) -> Payload:
    """The reply, with a word of blanks where whole hospitals are scored and each reply is read by itself."""
    if not study.split.is_by_hospital or reveals(study) == "sum":
        return payload
    bare = replace(payload, array=None, data=None)
    least, blanks = _size(bare, 0) + SPARE_BYTES, 0
    wanted = max(LEAST_BYTES, 1 << (least - 1).bit_length())
    for _ in range(TRIES):
        blanks += wanted - _size(bare, blanks)
    return _with(payload, blanks)


def _size(payload: Payload, blanks: int) -> int:
    return len(content_to_bytes(to_records(_with(payload, blanks))))


def _with(payload: Payload, blanks: int) -> Payload:
    return replace(payload, words={**payload.words, PADDING: " " * blanks})
