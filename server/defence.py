"""The server's half of `[defence]`: what single updates and sums may be, and when a round is taken back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.data.names import SiteId
from common.errors import WireError
from common.study.catalogue import AGGREGATIONS
from common.study.study import Study
from common.sums.abilities import codec_of
from common.sums.ballots import VOTES, Votes, counted
from common.sums.exchange import Collected, Exchange
from common.sums.mean import Mean, Statistics, merge
from common.sums.update import Update
from common.wire.boundary import guarded
from common.wire.decoding import statistics_from_numbers
from server.checkpoint import Checkpoint

ROUNDING = 1e-5
"""Relative, of float32 and of another processor's arithmetic."""
ENCRYPTION = 1.01
"""By how much an encryption with small errors may let a sum seem larger than it is."""


@dataclass(frozen=True)
class TakenBack:
    """reason: a sentence for people. after: where the run goes on from."""

    reason: str
    after: Checkpoint

    def record(self, before: Checkpoint) -> dict[str, Any]:
        """For the round's record: which rounds count for nothing since then, and why."""
        rounds = [one for one in self.after.taken_back if one not in before.taken_back]
        return {"taken_back": {"rounds": rounds, "reason": self.reason}}


def keep_bounded(study: Study, collected: Collected, exchange: Exchange) -> Collected:
    """Without single updates longer than the study's bound, dropped by name; a sum as it is."""
    most = study.defence.update_norm
    if most is None or not collected.each:
        return collected
    kept: dict[SiteId, Update] = {}
    for site, update in collected.each.items():
        norm = _norm(update.vectors[0]) / update.weight
        if norm <= most * (1 + ROUNDING):
            kept[site] = update
            continue
        exchange.drop(site, "round", f"its update has a norm of {norm:.3g}; the study allows {most:g} (update_norm).")
    if len(kept) == len(collected.each):
        return collected
    total = None
    for update in kept.values():
        total = update if total is None else total + update
    replies = {site: one for site, one in collected.replies.items() if site in kept or site not in collected.each}
    return replace(collected, total=total, sites=tuple(kept), each=kept, replies=replies)


def too_long(study: Study, collected: Collected, reach: float) -> str:
    """Why no honest updates add up to this sum, in a sentence; "" where they may. reach: as in Expected."""
    most, total = study.defence.update_norm, collected.total
    if most is None or total is None or not total.vectors:
        return ""
    # Those in a sum are more than half of its round.
    codec = codec_of(AGGREGATIONS.build(study.aggregation), 2 * len(collected.sites))
    bound = most * total.weight * (1 + ROUNDING)
    if codec is not None:
        step = 2 * codec.largest_value / codec.levels
        bound = bound * ENCRYPTION + sqrt(total.vectors[0].size) * len(collected.sites) * step * reach
    length = _norm(total.vectors[0])
    if length <= bound:
        return ""
    return (
        f"the mean of {len(collected.sites)} hospitals' updates has a norm of {length / total.weight:.3g}, and with "
        f"none beyond the study's bound (update_norm) it could have {most:g}: one of them runs another program"
    )


def votes_of(collected: Collected, exchange: Exchange) -> Votes:
    """What came back with a round. Raises WireError where hospitals under a sum cast votes that cannot be.

    Of single ballots, those that are none are dropped by name.
    """
    if collected.each is None and collected.total is not None:
        found = {name.partition("/")[2]: mean for name, mean in collected.total.statistics.items() if _is_vote(name)}
        return counted(found, len(collected.sites))
    return votes_singly(collected.replies, exchange)


def votes_singly(replies: Mapping[SiteId, Any], exchange: Exchange) -> Votes:
    """Of ballots that are read one by one."""
    valid: list[Mapping[str, Mean]] = []
    for site, reply in replies.items():
        try:
            own = guarded(partial(statistics_from_numbers, VOTES, reply.numbers))
            counted(own, 1)
        except WireError as error:
            exchange.drop(site, "vote", str(error))
            continue
        valid.append(own)
    return counted(merge(valid), len(valid))


def verdict(study: Study, votes: Votes) -> str:
    """Why a model is taken back, in a sentence; "" where it stays."""
    if not votes.cast or votes.worse <= study.defence.worse_share * votes.cast:
        return ""
    return f"{votes.worse} of {votes.cast} hospitals voted it worse than the model before"


def voted_out(before: Checkpoint, number: int, reason: str) -> TakenBack:
    """The model of the round before is gone, and with it round `number`, whose updates are of that model."""
    assert before.fallback is not None
    gone = replace(before, parameters=before.fallback.parameters, state=before.fallback.state)
    return TakenBack(reason, _without(gone, number, before.model_round, number))


def lost(before: Checkpoint, number: int, reason: str) -> TakenBack:
    """Round `number` makes no step; the model that it began with stays."""
    return TakenBack(reason, _without(before, number, number))


def _without(before: Checkpoint, number: int, *rounds: int) -> Checkpoint:
    taken_back, times = (*before.taken_back, *rounds), before.times_taken_back + 1
    return replace(before, round=number, fallback=None, taken_back=taken_back, times_taken_back=times)


def norm_table(study: Study, collected: Collected) -> dict[str, Any]:
    """For the round's record, where the study bounds updates: that of the mean, for whoever chooses the bound."""
    total = collected.total
    if study.defence.update_norm is None or total is None or not total.vectors:
        return {}
    return {"mean_update_norm": _norm(total.vectors[0]) / total.weight}


def votes_table(votes: Votes | None, before: Checkpoint) -> dict[str, Any]:
    """For the round's record."""
    return {} if votes is None else {"votes": {"of_round": before.model_round, **asdict(votes)}}


def _is_vote(name: str) -> bool:
    return name.startswith(VOTES + "/")


def _norm(vector: NDArray[np.floating]) -> float:
    return float(np.linalg.norm(vector.astype(np.float64)))


def without_votes(statistics: Statistics) -> dict[str, Mean]:
    """What else came."""
    return {name: mean for name, mean in statistics.items() if not _is_vote(name)}
