"""One boundary a message: whatever a peer's bytes make a reader raise, the worst is that this message is dropped.

Readers check what they read and raise WireError with the reason. Those that are not ours (Protocol Buffers, Flower,
SEAL, NumPy) raise what they like, and so may a check of ours that is missing; neither may end a run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from common.errors import EngineError, WireError

LOG = logging.getLogger("wardround.boundary")
T = TypeVar("T")


def guarded(read: Callable[[], T]) -> T:
    """What `read` makes of a peer's message. Raises WireError where it raises anything but EngineError.

    No text of an exception is repeated: it may hold what arrived. Its kind is named, and its traceback is written to
    the log of this process at level DEBUG.
    """
    try:
        return read()
    except (WireError, EngineError):
        raise
    except Exception as error:
        # Broad on purpose: a peer's bytes may make anything be raised, and none of it may end a run.
        LOG.debug("a message could not be read", exc_info=True)
        raise WireError(f"what it sent could not be read ({type(error).__name__}).") from None
