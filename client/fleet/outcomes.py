"""What may come of a call to the coordinator, in the few kinds that a node treats differently."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from typing import TypeVar

import httpx

from common.wire.flower_inside import error_code

T = TypeVar("T")
LOG = logging.getLogger("wardround.node")
LONGEST_QUOTE = 200
LONGEST_ERROR_BYTES = 1 << 14
RUN_OVER, ACTIVATION_FAILED, OTHER_VERSION = 2007, 2004, 1001
"""Flower's numbers of errors."""
PASSING = frozenset({408, 425, 429})
"""Statuses below 500 that say: later."""


class Unreached(Exception):  # noqa: N818 - it is a fact about the way, not a defect
    """No answer, or none that a front or a SuperLink gives: it is tried again."""


class Refused(Exception):  # noqa: N818
    """The coordinator answered, and will not: lasting, if it lasts. Its text says what mends it."""


class Doubtful(Refused):
    """A refusal that maintenance of the other side may be, where it let this node in before."""


class RunOver(Exception):  # noqa: N818
    """The run that a call is about goes on no longer: what belongs to it is dropped."""


def called(call: Callable[[], T]) -> T:
    """What a call returns. Raises Unreached, Refused or RunOver, and nothing else of a peer's making."""
    try:
        return call()
    except (Unreached, Refused, RunOver):
        raise
    except httpx.HTTPStatusError as error:
        raise _of_status(error.response) from None
    except httpx.HTTPError as error:
        raise _of_transport(error) from None
    except Exception as error:
        # Broad on purpose: what a peer answers may make anything be raised, and none of it may end a hospital's node.
        LOG.debug("an answer could not be read", exc_info=True)
        raise Unreached(f"what came is no answer of a SuperLink ({type(error).__name__})") from None


def called_of_no_run(call: Callable[[], T]) -> T:
    """As `called`, for a call that is about no run, whatever a coordinator says: nothing is dropped for it."""
    try:
        return called(call)
    except RunOver:
        raise Unreached("the coordinator says that a run is over where it was asked about none") from None


def _of_status(response: httpx.Response) -> Exception:
    """Read as UTF-8, whatever the answer says: Python has codecs that unpack, and that take hours."""
    status, body = response.status_code, response.content[:LONGEST_ERROR_BYTES].decode("utf-8", "replace")
    code = error_code(body)
    if code == RUN_OVER:
        return RunOver()
    if code == OTHER_VERSION:
        return Refused("the coordinator's Flower is of another version: install the version that it runs")
    if code == ACTIVATION_FAILED:
        return Refused(
            "the coordinator does not know this node's key, or another node runs with it: ask the coordinator to "
            "register keys/node.pub, and stop the other node"
        )
    if status >= 500 or status in PASSING:
        return Unreached(f"the coordinator answers with status {status}")
    if status == 401:
        return Doubtful(
            "the coordinator does not accept this node's signature (401): its key is not registered there, or the "
            "two clocks differ"
        )
    if status == 403:
        return Refused(
            "the coordinator's front refuses this node (403): its certificate is not the one of this key, or was "
            "revoked; take the coordinator's reply over again (node accept), or enrol again"
        )
    return Doubtful(f"no coordinator's front is at the address of node.toml (status {status})")


def _of_transport(error: httpx.HTTPError) -> Exception:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    text = " ".join(str(cause or error).split())[:LONGEST_QUOTE]
    is_authentic = not isinstance(error, httpx.ConnectError)  # before, anybody on the way says what they like
    if is_authentic and cause is not None and "certificate revoked" in text:
        return Refused("the coordinator revoked this node's certificate: enrol anew, or ask the coordinator why")
    if cause is not None and "alert certificate expired" in text:
        text = (
            "its front takes this node's certificate for expired, or its own list of revoked ones is: "
            "`wardround doctor` there says which, and a new reply renews the certificate (node accept)"
        )
    return Unreached(f"{type(error).__name__}: {text}" if text else type(error).__name__)
