"""The front's log: one JSON line a request or refusal; who, what, how it ended, how many bytes. Never a body."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

log = logging.getLogger("wardround.front")
LONGEST = 200


def note(event: str, **facts: str | int | float) -> None:
    """Write a line. Strings are cut: whoever is refused chose some of them. Nothing of a body may be among them."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    cut = {name: value[:LONGEST] if isinstance(value, str) else value for name, value in facts.items()}
    log.info(json.dumps({"time": at, "event": event, **cut}))
