"""No hospital answers in another's name.

The SuperLink holds a request's node id against the node key. The messages that `push-messages` brings name their
sender once more, inside, and that name it takes as it comes: a hospital that learnt the id of another's message could
answer it first, and the true answer would be dropped as the second. So the front looks.
"""

from __future__ import annotations

MOST_PUSHED_OBJECTS = 1024
"""Five times the pieces of the largest message."""


def answers_as_itself(body: bytes) -> bool:
    """Whether the one message in the body of a `push-messages` names as its sender the node that the request names.

    And whether its objects are few: a SuperLink notes each down before it takes anything of anybody else.
    """
    from common.wire.flower_inside import pushed_in

    try:
        pushed = pushed_in(body)
    except ValueError:
        return False
    return pushed.senders <= {pushed.node} and pushed.messages <= 1 and pushed.objects <= MOST_PUSHED_OBJECTS
