"""A coordinator that opens two sums where hospitals remember one: by keys of a round before, or by another length."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from client import questions
from client.handlers import RequestContext
from common.asking.public import public_of
from common.asking.question import Question
from common.asking.totals import form_of
from common.data.cases import SiteId
from common.privacy.noise import SystemNoise
from common.study.options import Entry
from common.sums.aggregation import Local
from common.sums.aggregations import _shamir
from common.sums.aggregations._agreement import Agreement
from common.sums.aggregations._opened_rounds import what_is_opened
from common.sums.aggregations._session_state import SITES
from common.sums.aggregations.secagg import SecureAggregation
from common.sums.cohort import Cohort
from common.sums.exchange import Expected, Payload
from common.sums.mean import Mean
from common.sums.update import Update
from common.sums.wide import FIRST_ROUND, QUERY, QUESTION, CollectedWide, WideForm
from common.sums.wide_sums import collect_wide
from common.wire.questions import AskedQuery, to_payload
from experiments.engines._loopback_exchange import InMemoryExchange, random_updates
from tests.security.asked_hospital import Asker

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


def test_a_question_is_opened_once_however_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before: a blank more in its JSON, or a default that is said, and the same sums were opened of another set."""
    hospital, found = Asker(tmp_path).hospital, []
    question = Question.of(Entry("histogram", {"column": "age", "low": 40, "high": 80}))
    query = next(question.build().ask(public_of(hospital.study, hospital.roster)))
    sent = to_payload(AskedQuery(question, 1, query), hospital.study.json, "0" * 32, FIRST_ROUND)
    agreement = Agreement(hospital.roster, 0, 0, (), 1.0, wide=form_of(query.parts))
    local = InMemoryExchange(SecureAggregation(), {hospital.site: Update((), 1.0)}).local(hospital.site)
    sources = SimpleNamespace(noise=lambda text: SystemNoise())
    kept = cast(RequestContext, SimpleNamespace(local=lambda: local, simulated=True, sources=sources))

    def opened(aggregation: object, numbers: object, request: Payload, local: Local) -> Payload:
        found.append(what_is_opened(request, agreement, local))
        return Payload()

    monkeypatch.setattr(questions, "protect_wide", opened)
    table = json.loads(question.json)
    said = json.dumps({**table, "options": {**table["options"], "bins": 20}}, sort_keys=True)
    other = json.dumps({**table, "where": ["sex = f"]}, sort_keys=True)
    for text in (question.json, question.json + " ", said, other):
        questions.answer(hospital, replace(sent, words={**sent.words, QUESTION: text}), kept)
    assert len(set(found[:3])) == 1 and found[3] != found[0]
