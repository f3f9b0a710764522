"""Why a hospital refuses: a closed list of words, so that nothing of a patient or of an error travels with them.

A word goes over the wire; the sentence is what the coordinator shows, and no word that is not on the list.
"""

from __future__ import annotations

from collections.abc import Mapping

BUDGET_SPENT = "its own limit of privacy spending forbids it"
"""Why a hospital is dropped that would have overspent: it trained nothing and released nothing."""
ROUNDS_SPENT = "it released as many rounds as the study has; one was asked for again, and counted twice"
BEYOND_RANGE = "too many of its values lie beyond the range of the sum (aggregation.largest_value)"
"""Why a hospital sends nothing where no noise covers what the cut would tell: it is asked again in a wider range."""
DATA_CHANGED = "its data changed since the run began; it answers once that is accepted (resume --accept-changed-data)"

NOT_AGREED = "members"
NOT_ALL_SIGNED = (
    "not every hospital of the study has signed the member list that it knows (each compares the others' keys by "
    "telephone and signs: wardround node accept)"
)

FREE_OF_CHARGE: Mapping[str, str] = {
    "budget": BUDGET_SPENT,
    "rounds": ROUNDS_SPENT,
    NOT_AGREED: NOT_ALL_SIGNED,
}
"""Of those that were charged nothing."""
SENTENCES: Mapping[str, str] = {
    **FREE_OF_CHARGE,
    "range": BEYOND_RANGE,
    "data": DATA_CHANGED,
}
UNKNOWN = "it refused, for a reason that is not known"


def sentence_of(reason: object) -> str:
    """What to show of a reason that came over the wire."""
    return SENTENCES.get(str(reason), UNKNOWN)
