"""A coordinator that opens two sums where hospitals remember one: by keys of a round before, or by another length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from common.data.cases import SiteId
from common.sums.aggregations import _shamir
from common.sums.aggregations._session_state import SITES
from common.sums.aggregations.secagg import SecureAggregation
from common.sums.cohort import Cohort
from common.sums.exchange import Expected, Payload
from common.sums.mean import Mean
from common.sums.update import Update
from common.sums.wide import QUERY, QUESTION, CollectedWide, WideForm
from common.sums.wide_sums import collect_wide
from experiments.engines._loopback_exchange import InMemoryExchange, random_updates

ALL = tuple(f"hospital-{place:02d}" for place in range(9))
GROUPS = (ALL[:3], ALL[3:6], ALL[6:])
VICTIM, FORM = ALL[8], WideForm(1, 0)


@dataclass
class Replaying(InMemoryExchange):
    """earlier: of the round's first question, in which the victim's group was lost once it had shared its secrets."""

    earlier: InMemoryExchange | None = None
    given: dict[str, Mapping[SiteId, Payload]] = field(default_factory=dict)

    def ask(self, leg: str, requests: Mapping[SiteId, Payload]) -> dict[SiteId, Payload]:
        if self.earlier is None:
            return super().ask(leg, requests)
        if leg == "survivors":
            requests = {site: replace(one, words={SITES: list(ALL)}) for site, one in requests.items()}
        replies = super().ask(leg, {site: one for site, one in requests.items() if site != VICTIM})
        if leg in ("keys", "shares"):
            replies[VICTIM] = self.earlier.replies(leg)[VICTIM]
        if leg == "unmask":
            known = self.earlier.replies(leg)
            return {site: with_share_of_key(one, known.get(site)) for site, one in replies.items()}
        return dict(sorted(replies.items()))


def with_share_of_key(reply: Payload, before: Payload | None) -> Payload:
    """With what the hospital gave of the victim's key for masks the first time, in the place of nothing."""
    assert reply.data is not None
    data, at = reply.data.copy(), ALL.index(VICTIM) * _shamir.SHARE_BYTES
    if before is not None and before.data is not None:
        data[at : at + _shamir.SHARE_BYTES] = before.data[at : at + _shamir.SHARE_BYTES]
    return replace(reply, data=data)


def asked(played: InMemoryExchange, query: str) -> CollectedWide:
    requests = {site: Payload(words={"study": "{}", QUESTION: "{}", QUERY: query}) for site in ALL}
    return collect_wide(played.aggregation, played, requests, Cohort(ALL), FORM)


def exchange(folder: Path, number: int, numbers: Mapping[SiteId, list[int]]) -> Replaying:
    updates = random_updates(len(ALL), 1, np.random.default_rng(0))
    return Replaying(SecureAggregation(), updates, number, folder=folder, groups=GROUPS, numbers=numbers)


def test_keys_of_a_question_open_no_other_of_the_same_round(tmp_path: Path) -> None:
    """Before: the second was opened of all that were named, less the victim, and again with it in the next round."""
    for site in ALL:
        (tmp_path / site).mkdir()
    own = {site: [3 + place] for place, site in enumerate(ALL)}
    first = exchange(tmp_path, 5, own)
    first.lost = {"round": GROUPS[2]}
    assert asked(first, "first").sites == ALL[:6]
    second = exchange(tmp_path, 5, own)
    second.earlier = first
    without = asked(second, "second")
    assert without.total is None
    again = exchange(tmp_path, 5, own)
    assert asked(again, "first").total is None, "of the first six it was opened, and of others it is not"
    later = exchange(tmp_path, 6, own)
    assert asked(later, "second").total == (sum(3 + place for place in range(9)),)


def test_one_model_is_scored_by_one_set_whatever_length_a_coordinator_tells(tmp_path: Path) -> None:
    """Before: what was opened was remembered by as many of the model's values as it said that updates have."""
    scores = {site: Update((), 3.0, {"test/accuracy": Mean.of([float(site > ALL[4])])}) for site in ALL}
    expected = Expected(0, 0, dict.fromkeys(ALL, 3.0), ("test/accuracy",), Cohort(ALL))

    def scored(number: int, length: int, lost: list[SiteId], order: Payload) -> bool:
        played = InMemoryExchange(SecureAggregation(), scores, number, folder=tmp_path, lost={"round": lost})
        requests: dict[SiteId, Payload] = dict.fromkeys(ALL, order)
        got = played.aggregation.collect(played, requests, frozenset(ALL), replace(expected, length=length))
        return got.total is not None

    model = np.arange(6, dtype=np.float32)
    alone = Payload(model, {"vectors": 1}, {"study": "{}"})
    beside = replace(alone, array=np.append(model, model + 1), numbers={"vectors": 2})
    for site in ALL:
        (tmp_path / site).mkdir()
    assert scored(1, 0, [], alone)
    assert not any(scored(2, length, [VICTIM], order) for length in (0, 3) for order in (alone, beside))
    assert scored(3, 6, [], beside)
