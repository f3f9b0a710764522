"""A server that cheats against `secagg`: every attack is played, and the victim's update stays closed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from common.data.cases import SiteId
from common.errors import WireError
from common.sums.aggregation import Local
from common.sums.aggregations import _keystream, _shamir, _transcript
from common.sums.aggregations._agreement import Agreement
from common.sums.aggregations._key_agreement import SIGNED_KEYS_BYTES, PublicKeys, SecretKeys, public_key
from common.sums.aggregations._opened_rounds import FOLDER
from common.sums.aggregations._ring import Ring, Words
from common.sums.aggregations._secagg_client import COMMITMENT_BYTES, commitment, pair_streams, self_stream
from common.sums.aggregations._session_state import SITES
from common.sums.aggregations.secagg import SecureAggregation
from common.sums.exchange import Payload
from common.sums.identity import Identity
from experiments.engines._loopback_exchange import STUDY, InMemoryExchange, collect, expected_of, random_updates

VICTIM = "hospital-00"
SITES_ALL = tuple(f"hospital-{place:02d}" for place in range(5))
OTHERS = SITES_ALL[1:]
LENGTH = 20
SECAGG = SecureAggregation(threshold=4)
Cheat = Callable[[SiteId, Payload], Payload]


@dataclass
class CheatingExchange(InMemoryExchange):
    """cheats: what becomes of a leg's request to a hospital. study: that hospitals believe to be in."""

    cheats: Mapping[str, Cheat] = field(default_factory=dict)
    study: str = STUDY

    def ask(self, leg: str, requests: Mapping[SiteId, Payload]) -> dict[SiteId, Payload]:
        cheat = self.cheats.get(leg)
        changed = requests if cheat is None else {site: cheat(site, one) for site, one in requests.items()}
        return super().ask(leg, changed)

    def local(self, site: SiteId) -> Local:
        return replace(super().local(site), study=self.study)


def exchange(folder: Path | None = None, **cheats: Cheat) -> CheatingExchange:
    updates = random_updates(len(SITES_ALL), LENGTH, np.random.default_rng(3))
    return CheatingExchange(SECAGG, updates, folder=folder, cheats=cheats)


def data(payload: Payload) -> bytes:
    assert payload.data is not None
    return payload.data.tobytes()


def with_data(payload: Payload, raw: bytes) -> Payload:
    return replace(payload, data=np.frombuffer(raw, np.uint8))


def naming(payload: Payload, sites: tuple[SiteId, ...]) -> Payload:
    return replace(payload, words={**payload.words, SITES: list(sites)})


def refusals(played: InMemoryExchange, leg: str) -> dict[SiteId, str]:
    return {site: reason for site, at, reason in played.refused if at == leg}


def assert_quotes_nothing(played: InMemoryExchange, *hostile: str) -> None:
    for _, _, reason in played.refused:
        assert not [text for text in hostile if text in reason]


class Reader:
    """All that a server can make of what came back: any shares it was ever given, for the victim's own masks."""

    def __init__(self, played: InMemoryExchange) -> None:
        self.played = played
        self.keys = {site: PublicKeys.from_bytes(data(one)) for site, one in played.replies("keys").items()}
        self.points = {site: point for point, site in enumerate(self.keys, start=1)}

    def secret(self, owner: SiteId, fits: Callable[[bytes], bool]) -> bytes | None:
        size, place = _shamir.SHARE_BYTES, self.points[owner] - 1
        given: dict[int, set[bytes]] = {}
        for one in self.played.crossed:
            if one.leg == "unmask" and one.reply is not None:
                share = data(one.reply)[place * size : (place + 1) * size]
                given.setdefault(self.points[one.site], set()).add(share)
        shares = [(point, share) for point, some in given.items() for share in some]
        for chosen in combinations(shares, 4):
            if len(dict(chosen)) == 4 and (found := self.recover(dict(chosen))) is not None and fits(found):
                return found
        return None

    @staticmethod
    def recover(shares: dict[int, bytes]) -> bytes | None:
        try:
            return _shamir.recover(shares)
        except WireError:
            return None

    def seed(self, owner: SiteId) -> bytes | None:
        committed = data(self.played.replies("shares")[owner])[:COMMITMENT_BYTES]
        return self.secret(owner, lambda secret: commitment(secret) == committed)

    def words(self) -> Words | None:
        """The victim's words in the clear, or None where its two masks cannot both be made."""
        seed = self.seed(VICTIM)
        key = self.secret(VICTIM, lambda secret: public_key(secret) == self.keys[VICTIM].mask)
        if seed is None or key is None:
            return None
        crossed = next(one for one in self.played.crossed if (one.leg, one.site) == ("round", VICTIM))
        session = _transcript.session(self.keys) + _transcript.order(crossed.request)
        others = {site: public.mask for site, public in self.keys.items() if site != VICTIM}
        plus, minus = pair_streams(VICTIM, key, others, session)
        words = Ring().unpack(crossed.reply.data if crossed.reply else None, SECAGG.codec_in(2).length(agreement()))
        _keystream.apply(words, minus, [*plus, self_stream(seed)])
        return words


def agreement() -> Agreement:
    played = exchange()
    return Agreement.of(frozenset(SITES_ALL), expected_of(played.updates))


def assert_closed(played: InMemoryExchange) -> None:
    assert Reader(played).words() is None


def test_hospitals_without_memory_would_give_the_victim_away() -> None:
    """The control: the reading used in these tests does read where both shares of the victim are given."""
    kept: dict[SiteId, dict[str, bytes]] = {}

    def remember(site: SiteId, request: Payload) -> Payload:
        kept.setdefault(site, dict(played.secrets[site]))
        return request

    played = exchange(survivors=remember)
    assert collect(played).total is not None
    assert_closed(played)
    played.secrets.update(kept)
    signatures = played.ask("survivors", dict.fromkeys(OTHERS, Payload(words={SITES: list(OTHERS)})))
    signed = with_data(Payload(words={SITES: list(OTHERS)}), b"".join(data(one) for one in signatures.values()))
    # Memory of the opened sum is lost as well: only then do they answer.
    assert len(played.ask("unmask", dict.fromkeys(OTHERS, signed))) == len(OTHERS)
    words = Reader(played).words()
    assert words is not None
    np.testing.assert_array_equal(
        words, SECAGG.codec_in(2).encode(played.updates[VICTIM], agreement(), played.local(VICTIM).rng)
    )


@pytest.mark.parametrize("signer", ["nobody", "the server"])
def test_keys_in_the_middle_are_refused_by_all(signer: str) -> None:
    identity = Identity(VICTIM, Ed25519PrivateKey.generate(), {})

    def replaced(site: SiteId, request: Payload) -> Payload:
        own = data(request)[:SIGNED_KEYS_BYTES]
        forged = SecretKeys.generate().announce(identity, bytes(32)).to_bytes()
        forged = forged if signer == "the server" else forged[:64] + own[64:]
        return with_data(request, forged + data(request)[SIGNED_KEYS_BYTES:])

    played = exchange(shares=replaced)
    assert collect(played).total is None
    assert set(refusals(played, "shares")) == set(SITES_ALL)
    assert refusals(played, "shares")[VICTIM] == "this hospital's own keys came back changed."
    assert all("is not signed by it" in refusals(played, "shares")[site] for site in OTHERS)
    assert not played.replies("shares")


def test_the_victim_alone_is_shown_other_keys_and_refuses() -> None:
    def replaced(site: SiteId, request: Payload) -> Payload:
        fake = SecretKeys.generate().public
        raw = data(request)
        return with_data(request, raw[:128] + fake[0] + fake[1] + raw[192:]) if site == VICTIM else request

    played = exchange(shares=replaced)
    collect(played)
    assert set(refusals(played, "shares")) == {VICTIM}
    assert VICTIM not in played.replies("round")


def test_an_invented_hospital_is_refused_in_the_agreement_and_among_the_keys() -> None:
    invented = "hospital-99-<script>"

    def agreed(site: SiteId, request: Payload) -> Payload:
        return replace(request, words={**request.words, "sum/sites": [*SITES_ALL, invented]})

    def keyed(site: SiteId, request: Payload) -> Payload:
        return with_data(naming(request, (*SITES_ALL, invented)), data(request) + bytes(range(128)))

    for leg, cheat in (("keys", agreed), ("shares", keyed)):
        played = replace(exchange(), cheats={leg: cheat})
        assert collect(played).total is None
        assert set(refusals(played, leg)) == set(SITES_ALL)
        assert_quotes_nothing(played, invented, "99")


@pytest.mark.parametrize("other", ["round", "study", "cohort"])
def test_keys_of_another_round_study_or_cohort_are_refused(other: str) -> None:
    before = exchange()
    before.number = 2 if other == "round" else 1
    before.study = "1" * 64 if other == "study" else STUDY
    if other == "cohort":
        before.updates = {site: before.updates[site] for site in SITES_ALL[:4]}
    collect(before)
    old = data(before.replies("keys")[VICTIM])

    def replayed(site: SiteId, request: Payload) -> Payload:
        return request if site == VICTIM else with_data(request, old + data(request)[SIGNED_KEYS_BYTES:])

    played = exchange(shares=replayed)
    assert collect(played).total is None
    assert set(refusals(played, "shares")) == set(OTHERS)
    assert set(played.replies("shares")) == {VICTIM}


@pytest.mark.parametrize("first", [SITES_ALL, OTHERS])
def test_nobody_gives_both_shares_of_the_victim(first: tuple[SiteId, ...]) -> None:
    second = OTHERS if first == SITES_ALL else SITES_ALL
    played = exchange()
    played.lost = {} if first == SITES_ALL else {"round": [VICTIM]}
    assert collect(played).total is not None
    for leg in ("survivors", "unmask"):
        earlier = next(one.request for one in played.crossed if one.leg == leg and one.site == OTHERS[0])
        assert not played.ask(leg, dict.fromkeys(OTHERS, naming(earlier, second)))
    assert_closed(played)


def test_different_survivors_told_to_different_hospitals_open_nothing() -> None:
    told = {site: SITES_ALL if site in SITES_ALL[:3] else OTHERS for site in SITES_ALL}

    def signed(site: SiteId, request: Payload) -> Payload:
        signatures = played.replies("survivors")
        signers = [other for other in told[site] if other in signatures]
        return with_data(naming(request, tuple(signers)), b"".join(data(signatures[other]) for other in signers))

    played = exchange(survivors=lambda site, request: naming(request, told[site]), unmask=signed)
    assert collect(played).total is None
    assert set(played.replies("survivors")) == set(SITES_ALL)
    refused = refusals(played, "unmask")
    assert [refused[site].split()[0] for site in SITES_ALL] == ["3", "3", "3", "2", "2"]
    assert not played.replies("unmask")
    assert_closed(played)


def again(played: CheatingExchange, **changes: object) -> CheatingExchange:
    """The same hospitals, asked anew."""
    fresh = exchange(played.folder)
    fresh.secrets = played.secrets
    for name, value in changes.items():
        setattr(fresh, name, value)
    return fresh


@pytest.mark.parametrize("kept", ["in memory", "on the disk", "on the disk, restarted", "on the disk, cut short"])
def test_a_second_sum_at_one_model_is_refused_in_any_round(kept: str, tmp_path: Path) -> None:
    first = exchange(None if kept == "in memory" else tmp_path)
    assert collect(first).total is not None
    if "restarted" in kept:
        first.secrets = exchange().secrets
    if "cut short" in kept:
        for path in tmp_path.glob(f"*/{FOLDER}/*"):
            path.write_bytes(path.read_bytes()[:7])
    second = again(first, lost={"round": [OTHERS[-1]]})
    assert collect(second).total is None
    assert set(refusals(second, "unmask")) == set(SITES_ALL[:-1])
    assert all("opened once" in reason for reason in refusals(second, "unmask").values())
    later = again(first, number=2, lost={"round": [OTHERS[-1]]})
    assert collect(later).total is None
    model = Payload(np.ones(3, np.float32), words={"study": "{}"})
    assert collect(again(first, number=2, lost={"round": [OTHERS[-1]]}), model).total is not None


@pytest.mark.parametrize("what", ["model", "learning rate", "study"])
def test_another_order_told_to_all_others_does_not_open_the_victims_update(what: str) -> None:
    """Pasquini et al. 2022: the others, told a model that trains to nought, make the sum the victim's update."""

    def ordered(site: SiteId, request: Payload) -> Payload:
        if site == VICTIM:
            return request
        if what == "model":
            return replace(request, array=np.ones(3, np.float32))
        if what == "study":
            return replace(request, words={**request.words, "study": "{ }"})
        return replace(request, numbers={**request.numbers, "learning_rate": 0.0})

    played = exchange(round=ordered)
    order = Payload(np.zeros(3, np.float32), {"learning_rate": 0.1}, {"study": "{}"})
    assert collect(played, order).total is None
    # The others signed one and the same statement and gave all seeds; the victim's masks with them are still there.
    assert set(refusals(played, "unmask")) == {VICTIM}
    reader, ring = Reader(played), Ring()
    total, clear = np.zeros((2, SECAGG.codec_in(2).length(agreement())), np.uint32)
    for site, reply in played.replies("round").items():
        seed = reader.seed(site)
        assert seed is not None
        total += ring.unpack(reply.data, total.size)
        _keystream.apply(total, [], [self_stream(seed)])
        clear += SECAGG.codec_in(2).encode(played.updates[site], agreement(), played.local(site).rng)
    assert np.count_nonzero(total == clear) <= 1
    assert_closed(played)


def test_another_scale_told_to_some_is_refused() -> None:
    def scaled(site: SiteId, request: Payload) -> Payload:
        return replace(request, numbers={**request.numbers, "sum/scale": 1e9}) if site in OTHERS else request

    played = exchange(round=scaled)
    assert collect(played).total is None
    assert set(refusals(played, "round")) == set(OTHERS)
    told_early = exchange(keys=scaled)
    assert collect(told_early).total is None
    assert set(refusals(told_early, "shares")) == set(SITES_ALL)


def test_every_message_is_answered_once() -> None:
    played = exchange()
    assert collect(played).total is not None
    for one in [one for one in played.crossed if one.leg != "keys"]:
        assert not played.ask(one.leg, {one.site: one.request})
    early = exchange()
    for leg in ("shares", "round", "survivors", "unmask"):
        assert not early.ask(leg, {VICTIM: next(one.request for one in played.crossed if one.leg == leg)})


@pytest.mark.parametrize("leg", ["shares", "round", "survivors", "unmask"])
def test_fewer_hospitals_than_the_threshold_are_refused_in_every_leg(leg: str) -> None:
    def few(site: SiteId, request: Payload) -> Payload:
        named = sorted({site, *SITES_ALL[:3]})[:3]
        named = named if site in named else sorted([*named[:2], site])
        size = {"shares": 3 * SIGNED_KEYS_BYTES, "unmask": 3 * 64}.get(leg, len(data(request)))
        return with_data(naming(request, tuple(named)), data(request)[:size])

    played = replace(exchange(), cheats={leg: few})
    assert collect(played).total is None
    assert set(refusals(played, leg).values()) == {"3 hospitals are named; this round needs 4."}
    assert not played.replies("unmask")


def test_forged_signatures_of_survivors_do_not_count() -> None:
    def forged(site: SiteId, request: Payload) -> Payload:
        return with_data(request, bytes(64) * len(SITES_ALL))

    played = exchange(unmask=forged)
    assert collect(played).total is None
    assert set(refusals(played, "unmask").values()) == {"1 hospitals signed these survivors; 4 must."}
    assert_closed(played)


def test_one_hospitals_signature_does_not_count_for_another() -> None:
    def repeated(site: SiteId, request: Payload) -> Payload:
        return with_data(request, data(request)[:64] * len(SITES_ALL))

    played = exchange(unmask=repeated)
    assert collect(played).total is None
    assert len(refusals(played, "unmask")) == len(SITES_ALL)
    assert_closed(played)
