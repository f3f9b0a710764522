"""`additive`: exact sums, nothing where one share is missing, uniform shares, a cheating server refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from common.data.cases import SiteId
from common.errors import StudyError
from common.sums.aggregations._agreement import Agreement
from common.sums.aggregations._key_agreement import SIGNED_KEYS_BYTES, SecretKeys
from common.sums.aggregations._ring import Ring, Words
from common.sums.aggregations._session_state import SITES
from common.sums.aggregations.additive import ENCRYPTED_BYTES, AdditiveSharing
from common.sums.exchange import Payload
from common.sums.mean import Mean
from common.sums.update import Update
from experiments.engines._loopback_exchange import InMemoryExchange, collect, expected_of, random_updates

Cheat = Callable[[SiteId, Payload], Payload]
KEPT = "additive/kept"


@dataclass
class WatchedExchange(InMemoryExchange):
    """cheats: what becomes of a leg's request to a hospital. kept: each hospital's own share, as it lies there."""

    cheats: Mapping[str, Cheat] = field(default_factory=dict)
    kept: dict[SiteId, bytes] = field(default_factory=dict)

    def ask(self, leg: str, requests: Mapping[SiteId, Payload]) -> dict[SiteId, Payload]:
        self.kept.update({site: own[KEPT] for site, own in self.secrets.items() if KEPT in own})
        cheat = self.cheats.get(leg)
        return super().ask(leg, requests if cheat is None else {at: cheat(at, one) for at, one in requests.items()})


def exchange(hospitals: int = 4, length: int = 12, folder: Path | None = None, **cheats: Cheat) -> WatchedExchange:
    updates = random_updates(hospitals, length, np.random.default_rng(5))
    return WatchedExchange(AdditiveSharing(), updates, folder=folder, cheats=cheats)


def words(played: InMemoryExchange, site: SiteId) -> Words:
    """The hospital's words in the clear."""
    agreement = Agreement.of(frozenset(played.updates), expected_of(played.updates))
    assert isinstance(played.aggregation, AdditiveSharing)
    return played.aggregation.codec_in(3).encode(played.updates[site], agreement, played.local(site).rng)


def data(payload: Payload) -> bytes:
    assert payload.data is not None
    return payload.data.tobytes()


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 6), st.integers(0, 30), st.integers(0, 2), st.sampled_from((8, 16, 24)), st.booleans())
def test_the_sum_is_exact(hospitals: int, length: int, vectors: int, bits: int, one_is_lost: bool) -> None:
    """Against Python's integers; a hospital lost before it shared anything is left out."""
    updates = {
        site: replace(update, statistics={"training/loss": Mean.of([0.5], [update.weight])})
        for site, update in random_updates(
            hospitals, length + 1, np.random.default_rng(length), vectors=vectors
        ).items()
    }
    aggregation = AdditiveSharing(value_bits=bits)
    lost = {"keys": ["hospital-00"]} if one_is_lost and hospitals > 3 else {}
    played = InMemoryExchange(aggregation, updates, lost=lost)
    found = collect(played)
    assert found.total is not None
    assert found.sites == tuple(site for site in updates if site not in lost.get("keys", ()))
    agreement = Agreement.of(frozenset(updates), expected_of(updates))
    clear = np.array([[int(word) for word in words(played, site)] for site in found.sites], object).sum(axis=0)
    wanted = aggregation.codec_in(3).decode(clear.astype(np.uint64), len(found.sites), agreement)
    assert (found.total.weight, found.total.statistics) == (wanted.weight, wanted.statistics)
    for one, other in zip(found.total.vectors, wanted.vectors, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("leg", ["round", "sums"])
def test_one_missing_hospital_ends_the_round_with_its_reason_and_reveals_nothing(leg: str) -> None:
    played = exchange()
    played.lost = {leg: ["hospital-02"]}
    found = collect(played)
    assert (found.total, found.sites, found.each) == (None, (), None)
    reasons = {site: reason for site, _, reason in played.dropped}
    missing = f"3 hospitals answered leg '{leg}' of additive, and 4 must; nothing was opened"
    assert reasons == {site: "no reply" if site == "hospital-02" else missing for site in played.updates}
    # The sums that did arrive lack one share of every hospital: no part of them adds up to anything sent.
    arrived = [Ring().unpack(reply.data, 12 + 12) for reply in played.replies("sums").values()]
    assert len(arrived) == (3 if leg == "sums" else 0)
    if not arrived:
        return
    total = np.sum(arrived, axis=0, dtype=np.uint32)
    clear = np.sum([words(played, site) for site in played.updates], axis=0, dtype=np.uint32)
    assert np.count_nonzero(total == clear) <= 1


def test_every_single_sum_of_shares_is_needed() -> None:
    """All of them give the words' sum; leaving out any one leaves nothing of it."""
    played = exchange()
    assert collect(played).total is not None
    sums = {site: Ring().unpack(reply.data, 12 + 12) for site, reply in played.replies("sums").items()}
    clear = np.sum([words(played, site) for site in played.updates], axis=0, dtype=np.uint32)
    total = np.sum(list(sums.values()), axis=0, dtype=np.uint32)
    np.testing.assert_array_equal(total, clear)
    for one in sums.values():
        assert np.count_nonzero(total - one == clear) <= 1


def test_a_hospitals_shares_are_uniform_and_add_up_to_its_words() -> None:
    """Pearson's chi-square on bytes, 255 degrees of freedom, of shares kept, sent, and summed up.

    Every tail beyond which it fails has the chance 1e-12; secrets are the system's, so no seed is fixed. Both updates
    are as far from uniform as may be: all values are zero, and all the largest.
    """
    length, low, high = 80_000, chi2.ppf(1e-12, 255), chi2.isf(1e-12, 255)
    for value in (0.0, 1.0):
        updates = {f"hospital-{place}": Update((np.full(length, value, np.float32),), 1.0) for place in range(3)}
        played = WatchedExchange(AdditiveSharing(), updates)
        assert collect(played).total is not None
        for site, reply in played.replies("sums").items():
            kept, clear = np.frombuffer(played.kept[site], np.uint32)[:length], words(played, site)[:length]
            others = clear - kept
            for share in (kept, others, Ring().unpack(reply.data, length + 12)[:length]):
                observed = np.bincount(share.view(np.uint8), minlength=256)
                expected = 4 * length / 256
                assert low < np.sum((observed - expected) ** 2) / expected < high


def test_nothing_but_keys_encrypted_seeds_and_sums_of_shares_leaves_a_hospital() -> None:
    played = exchange()
    collect(played)
    sizes = {"keys": SIGNED_KEYS_BYTES, "round": 3 * ENCRYPTED_BYTES, "sums": 4 * (12 + 12)}
    for one in played.crossed:
        assert one.reply is not None
        assert (one.reply.array, dict(one.reply.numbers), dict(one.reply.words)) == (None, {}, {})
        assert len(data(one.reply)) == sizes[one.leg]
    assert not [key for own in played.secrets.values() for key in own if key.startswith("additive/")]


def test_two_hospitals_are_too_few() -> None:
    with pytest.raises(StudyError, match="3 hospitals a round or more"):
        collect(exchange(hospitals=2))


def keys_in_the_middle(site: SiteId, request: Payload) -> Payload:
    fake = b"".join(SecretKeys.generate().public)
    return replace(request, data=np.frombuffer(fake + data(request)[64:], np.uint8))


def an_invented_hospital(site: SiteId, request: Payload) -> Payload:
    raw = np.frombuffer(data(request) + bytes(range(128)), np.uint8)
    return replace(request, words={**request.words, SITES: [*request.words[SITES], "hospital-99"]}, data=raw)


def two_hospitals_alone(site: SiteId, request: Payload) -> Payload:
    return replace(request, words={**request.words, SITES: ["hospital-00", "hospital-01"]})


@pytest.mark.parametrize("cheat", [keys_in_the_middle, an_invented_hospital, two_hospitals_alone])
def test_a_cheating_order_is_refused_by_all(cheat: Cheat) -> None:
    played = exchange(round=cheat)
    assert collect(played).total is None
    assert {site for site, _, _ in played.refused} == set(played.updates)
    assert not [reason for _, _, reason in played.refused if "99" in reason]
    assert not played.replies("round")


def test_seeds_of_hospitals_that_were_told_another_model_do_not_open() -> None:
    def other_model(site: SiteId, request: Payload) -> Payload:
        return request if site == "hospital-00" else replace(request, array=np.ones(3, np.float32))

    played = exchange(round=other_model)
    assert collect(played).total is None
    assert not played.replies("sums")
    assert {leg for _, leg, _ in played.refused} == {"sums"}


def test_every_leg_is_answered_once_and_one_sum_a_round(tmp_path: Path) -> None:
    played = exchange(folder=tmp_path)
    assert collect(played).total is not None
    for one in [one for one in played.crossed if one.leg != "keys"]:
        assert not played.ask(one.leg, {one.site: one.request})
    restarted = exchange(folder=tmp_path)
    restarted.lost = {"keys": ["hospital-03"]}
    assert collect(restarted).total is None
    assert all("opened once" in reason for _, _, reason in restarted.refused)
    assert len(restarted.refused) == 3
