"""No hospital answers in another's name.

The SuperLink holds a request's node id against the node key. The messages that `push-messages` brings name their
sender once more, inside, and that name it takes as it comes: a hospital that learnt the id of another's message could
answer it first, and the true answer would be dropped as the second. So the front looks.
"""

from __future__ import annotations


def answers_as_itself(body: bytes) -> bool:
    """Whether every message in the body of a `push-messages` names as its sender the node that the request names."""
    from common.wire.flower_inside import senders

    try:
        node, named = senders(body)
    except ValueError:
        return False
    return named <= {node}
