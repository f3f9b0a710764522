"""What a hospital's log says of a request: its study, run, round and leg, how it ended, how large both ways were.

Words that arrived are written down only where they have the form of what they should be: a hostile one is no line of
the log. What was refused is said by its word, what failed by its incident's number.
"""

from __future__ import annotations

import re

from flwr.app import ConfigRecord, Context, MetricRecord, RecordDict

from client._log_chain import Fact
from client.approved_studies import digest_of
from client.audit_log import note
from client.protocol_context import folder_of, is_simulated
from common.wire.records import content_bytes
from common.wire.train_requests import PROTOCOL_LEG, RUN

COORDINATOR = "coordinator"
"""The only one who asks: hospitals' messages to each other come through it."""
ANSWERED, REFUSED, FAILED = "answered", "refused", "failed"
_LEG = re.compile(r"[a-z][a-z0-9._/-]{0,39}")
_RUN = re.compile(r"[0-9a-f]{32}")
_LARGEST_ROUND = 1 << 31


def note_reply(context: Context, leg: str, request: RecordDict, reply: RecordDict) -> None:
    """Write an exchange down, on the disk before the reply goes out. A simulated hospital keeps no log.

    leg: of the message's type. Raises HospitalError where the log cannot be written.
    """
    if is_simulated(context):
        return
    event, why = _outcome(reply)
    facts: dict[str, Fact] = {**why, **_asked(leg, request), **_sizes(request, reply)}
    note(folder_of(context), event, **facts)


def study_digest(request: RecordDict) -> str:
    """Of the study that a request carries; "" where it carries none."""
    study = _words(request).get("study")
    return digest_of(study) if isinstance(study, str) else ""


def _outcome(reply: RecordDict) -> tuple[str, dict[str, Fact]]:
    """By the reply itself: what is logged is what goes out."""
    words = _words(reply)
    if "refused" in words:
        return REFUSED, {"reason": str(words["refused"])}
    if "incident" in words:
        return FAILED, {"incident": str(words["incident"])}
    return ANSWERED, {}


def _asked(leg: str, request: RecordDict) -> dict[str, Fact]:
    """A protocol's leg is named by a word of the request; a word beside any other leg is nobody's name for it."""
    words = _words(request)
    run, own = words.get(RUN), words.get("leg") if leg == PROTOCOL_LEG else None
    number = request.get("numbers")
    asked = number.get("round") if isinstance(number, MetricRecord) else None
    return {
        "peer": COORDINATOR,
        "leg": own if isinstance(own, str) and _LEG.fullmatch(own) else leg,
        "study": study_digest(request),
        "run": run if isinstance(run, str) and _RUN.fullmatch(run) else "",
        "round": asked if type(asked) is int and 0 <= asked < _LARGEST_ROUND else 0,
    }


def _sizes(request: RecordDict, reply: RecordDict) -> dict[str, Fact]:
    return {"bytes_in": content_bytes(request), "bytes_out": content_bytes(reply)}


def _words(records: RecordDict) -> ConfigRecord:
    words = records.get("words")
    return words if isinstance(words, ConfigRecord) else ConfigRecord()
