"""What every party to a run could read of it, worked out from its recorded traffic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.audit.records import Claim, Opening
from experiments.audit.report.words import few_if_cheating
from experiments.observation import Observation
from server.reporting.wording import size


@dataclass(frozen=True)
class Party:
    """name: who. reads, cannot: in plain words."""

    name: str
    reads: str
    cannot: str


def parties_of(observed: Observation, claim: Claim, openings: Sequence[Opening] = ()) -> tuple[Party, ...]:
    """From the coordinator to somebody who only has the published model. observed: the coordinator's view.

    openings: what was played of hospitals that collude.
    """
    rounds = len({one.round for one in observed.sums})
    return (
        _coordinator(observed, rounds),
        Party(
            "one curious hospital",
            f"the model at the start of each of {rounds} rounds, and its own data",
            "any other hospital's update or data; it can only ask what the models remember",
        ),
        Party("several hospitals that collude", *_colluding(claim, openings)),
        Party(
            "an outsider with the final model",
            "the final model alone",
            "any update, any model of a round before",
        ),
        Party("the network between them", *_network(observed)),
    )


def _coordinator(observed: Observation, rounds: int) -> Party:
    if observed.singles:
        seen = f"{len(observed.singles)} single updates of {len(observed.sites)} hospitals in {rounds} rounds"
        return Party("the coordinator", f"{seen}, every model, mean scores", "images, labels, names of patients")
    hidden = sum(one.data.size for one in observed.opaque)
    return Party(
        "the coordinator",
        f"{rounds} sums of updates, every model, mean scores of all hospitals together",
        f"single updates: {len(observed.opaque)} messages of {size(hidden)} in all were masked or encrypted",
    )


def _colluding(claim: Claim, openings: Sequence[Opening]) -> tuple[str, str]:
    if claim.reveals == "each":
        return (
            "together with the coordinator: every single update; without it: the models and their own data",
            "images, labels, names of patients elsewhere",
        )
    return (
        f"together with the coordinator {' and '.join(_opened(one) for one in openings)}; {claim.opened_by}",
        f"any single update, as long as fewer than {claim.opening_hospitals} collude and the coordinator keeps to "
        f"the protocol; {few_if_cheating(claim)}"
        if claim.opening_hospitals > 1
        else "images, labels, names of patients elsewhere",
    )


def _opened(one: Opening) -> str:
    """What was played, and how exactly it came out."""
    if one.reason:
        return f"the sum without their own updates (not possible to play here: {one.reason})"
    what = f"{one.left[0]}'s single update" if len(one.left) == 1 else f"the sum of {len(one.left)} hospitals"
    numbers = f"in numbers of up to {one.largest_value:.2g}"
    return f"{what} of round {one.round}, opened {_exactness(one)}, {numbers}, by {len(one.colluders)} colluders"


def _exactness(one: Opening) -> str:
    """How far what was read is from what was computed."""
    if not one.largest_error:
        return "exactly"
    if one.largest_error <= one.stated_error:
        return f"to within {one.largest_error:.1e} (stated bound {one.stated_error:.1e})"
    stated = f"more than the {one.stated_error:.1e} stated, which holds where nothing was clipped"
    return f"to within {one.largest_error:.1e} ({stated})"


def _network(observed: Observation) -> tuple[str, str]:
    if observed.singles:
        return (
            "everything the coordinator reads, unless connections are encrypted (TLS), which this run did not do",
            "nothing that the coordinator can read",
        )
    return (
        "the models, and masked or encrypted updates; connections were not encrypted by this run",
        "single updates and, without the keys, their sum",
    )


def as_rows(parties: Sequence[Party]) -> list[Mapping[str, str]]:
    """For JSON."""
    return [{"party": one.name, "reads": one.reads, "cannot_read": one.cannot} for one in parties]
