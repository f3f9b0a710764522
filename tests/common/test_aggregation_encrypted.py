"""`bfv` and `ckks` over an exchange in memory: exact sums, dropouts, what is refused, what a cheat gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.data.cases import SiteId
from common.errors import StudyError, UnknownNameError, WireError
from common.study.catalogue import AGGREGATIONS
from common.study.options import Entry
from common.sums import identity
from common.sums.abilities import stated_error
from common.sums.aggregation import Aggregation, Local
from common.sums.aggregations._agreement import Agreement
from common.sums.aggregations._distributed_sum import NONCE, DistributedSum
from common.sums.aggregations.bfv import Bfv
from common.sums.aggregations.ckks import Ckks
from common.sums.cohort import Cohort
from common.sums.exchange import Collected, Expected, Payload
from common.sums.mean import Mean
from common.sums.update import Update

SITES = ("ada", "bea", "cyd", "dov", "eli")
NAMES = ("training/loss", "validation/dice")
EVERY: dict[str, Callable[[], Aggregation]] = {
    "bfv distributed": Bfv,
    "bfv distributed, 3 values": lambda: Bfv(value_bits=13, values_a_coefficient=3),
    "bfv distributed, 1 value": lambda: Bfv(value_bits=29, values_a_coefficient=1),
    "bfv shared": lambda: Bfv(keys="shared"),
    "ckks economical": lambda: Ckks(mode="economical"),
    "ckks tutorial": Ckks,
}
SHARED = ("bfv shared", "ckks economical", "ckks tutorial")
Change = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


@dataclass
class Memory:
    """Hospitals in this process. failing: who does not answer a leg; changed: what a hospital's bytes become."""

    aggregation: Aggregation
    updates: Mapping[SiteId, Update]
    failing: Mapping[str, tuple[SiteId, ...]] = field(default_factory=dict)
    changed: Mapping[tuple[str, SiteId], Change] = field(default_factory=dict)
    round: int = 1
    locals: dict[SiteId, Local] = field(default_factory=dict)
    dropped: dict[SiteId, tuple[str, str]] = field(default_factory=dict)
    heard: list[tuple[str, SiteId, Payload, Payload]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for site in self.updates:
            own = identity.simulated(site, self.updates, 1)
            self.locals[site] = Local(
                site, self.round, "f" * 64, own, {}, np.random.default_rng(7), Cohort(tuple(self.updates))
            )

    def ask(self, leg: str, requests: Mapping[SiteId, Payload]) -> dict[SiteId, Payload]:
        replies = {}
        for site, request in requests.items():
            if site in self.failing.get(leg, ()):
                self.drop(site, leg, "it failed")
                continue
            try:
                reply = self.answer(leg, site, request)
            except WireError as error:
                self.drop(site, leg, str(error))
                continue
            self.heard.append((leg, site, request, reply))
            replies[site] = reply
        return dict(sorted(replies.items()))

    def answer(self, leg: str, site: SiteId, request: Payload) -> Payload:
        local = self.locals[site]
        local.round = self.round
        if leg == "round":
            reply = self.aggregation.protect(self.updates[site], request, local)
        else:
            reply = self.aggregation.answer(leg, request, local)
        change = self.changed.get((leg, site))
        assert reply.data is not None
        return reply if change is None else replace(reply, data=change(reply.data.copy()))

    def drop(self, site: SiteId, leg: str, reason: str) -> None:
        self.dropped[site] = (leg, reason)

    def collect(self, needed: int = 2) -> Collected:
        sizes = {site: max(update.weight, 1.0) for site, update in self.updates.items()}
        vectors = next(iter(self.updates.values())).vectors
        expected = Expected(
            vectors[0].size if vectors else 0, len(vectors), sizes, NAMES, Cohort(tuple(self.updates), needed)
        )
        order = Payload(np.zeros(3, np.float32), {"round": self.round}, {"study": "{}"})
        return self.aggregation.collect(self, dict.fromkeys(self.updates, order), frozenset(self.updates), expected)

    def uploads(self) -> dict[SiteId, NDArray[np.uint8]]:
        return {site: reply.data for leg, site, _, reply in self.heard if leg == "round" and reply.data is not None}


def updates(length: int = 40, sites: tuple[SiteId, ...] = SITES, seed: int = 0) -> dict[SiteId, Update]:
    rng = np.random.default_rng(seed)
    found = {}
    for site in sites:
        weight = float(rng.integers(1, 9))
        values = (weight * rng.uniform(-1, 1, length)).astype(np.float32)
        statistics = {"training/loss": Mean.of(rng.normal(size=3)), "validation/dice": Mean.of([0.5], [weight])}
        found[site] = Update((values,), weight, statistics)
    return found


def check_sum(memory: Memory, collected: Collected, sites: tuple[SiteId, ...]) -> None:
    """Values within the stated error of the clear sum; weights and statistics the very same."""
    assert collected.sites == sites, memory.dropped
    assert collected.each is None
    assert collected.total is not None
    clear = reduce(Update.__add__, [memory.updates[site] for site in sites])
    scale = max(update.weight for update in memory.updates.values())
    agreement = Agreement(tuple(memory.updates), clear.vectors[0].size, 1, NAMES, max(scale, 1.0))
    bound = stated_error(memory.aggregation, len(sites), agreement.expected)
    assert np.abs(collected.total.vectors[0] - clear.vectors[0]).max() <= bound + 1e-12
    assert collected.total.weight == clear.weight
    for name in NAMES:
        assert collected.total.statistics[name] == clear.statistics[name]


@pytest.mark.parametrize("kind", EVERY)
def test_the_sum_is_the_clear_one_within_its_stated_error(kind: str) -> None:
    memory = Memory(EVERY[kind](), updates(9000 if "1 value" in kind else 3000))
    check_sum(memory, memory.collect(), SITES)
    assert not memory.dropped


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.sampled_from([kind for kind in EVERY if kind != "ckks tutorial"]),
    st.integers(1, 60),
    st.integers(3, 7),
    st.integers(0, 99),
)
def test_any_small_sum_is_the_clear_one(kind: str, length: int, hospitals: int, seed: int) -> None:
    sites = tuple(f"site{index}" for index in range(hospitals))
    memory = Memory(EVERY[kind](), updates(length, sites, seed))
    check_sum(memory, memory.collect(), sites)


@pytest.mark.parametrize("kind", EVERY)
def test_an_evaluation_alone_has_statistics_and_no_values(kind: str) -> None:
    each = {site: replace(update, vectors=(), weight=0.0) for site, update in updates().items()}
    total = Memory(EVERY[kind](), each).collect().total
    assert total is not None
    assert total.vectors == ()
    clear = reduce(Update.__add__, each.values())
    assert {name: total.statistics[name] for name in NAMES} == clear.statistics


@pytest.mark.parametrize(
    ("kind", "hospitals"), [("bfv distributed", 16), ("bfv shared", 16), ("ckks economical", 16)]
)
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_most_hospitals_with_the_most_extreme_values_do_not_overflow(
    kind: str, hospitals: int, sign: float
) -> None:
    """Values far beyond largest_value are clipped to it; the sum of the clipped ones is at the headroom's edge."""
    aggregation = EVERY[kind]()
    aggregation.check(hospitals)
    sites = tuple(f"site{index:02}" for index in range(hospitals))
    each = {site: Update((np.full(50, sign * 1e6, np.float32),), 1.0) for site in sites}
    total = Memory(aggregation, each).collect().total
    assert total is not None
    np.testing.assert_allclose(total.vectors[0], sign * hospitals, atol=3e-4)


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("leg", ["keys", "shares", "round", "unmask", "decrypt"])
def test_a_dropout_in_any_leg_is_survived(kind: str, leg: str) -> None:
    """Two of five before anything is encrypted under masks, the first by name among them: it makes a shared key."""
    lost = ("ada",) if leg in {"keys", "shares", "decrypt"} else ("ada", "bea")[: 1 if "bfv d" in kind else 2]
    memory = Memory(EVERY[kind](), updates(), failing={leg: lost})
    late = leg in {"unmask", "decrypt"} or (leg == "shares" and leg not in memory.failing)
    check_sum(memory, memory.collect(), SITES if late else tuple(site for site in SITES if site not in lost))


@pytest.mark.parametrize("kind", EVERY)
def test_too_few_hospitals_give_no_sum_and_nothing_is_opened(kind: str) -> None:
    memory = Memory(EVERY[kind](), updates(), failing={"round": SITES[1:]})
    collected = memory.collect()
    assert (collected.total, collected.sites) == (None, ())
    assert not [leg for leg, *_ in memory.heard if leg in {"unmask", "decrypt"}]
    assert set(memory.dropped) >= set(SITES[1:])


def flipped(place: int) -> Change:
    def change(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
        data[place % data.size] ^= 0xFF
        return data

    return change


DAMAGED: dict[str, Change] = {
    "empty": lambda data: data[:0],
    "short": lambda data: data[:-1],
    "long": lambda data: np.concatenate([data, data[:1]]),
    "half": lambda data: data[: data.size // 2],
    "zeros": np.zeros_like,
    "ones": lambda data: np.full_like(data, 0xFF),
    "noise": lambda data: np.random.default_rng(3).integers(0, 256, data.size, dtype=np.uint8),
}


@pytest.mark.parametrize("kind", SHARED)
@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_ciphertext_is_refused_by_name_and_the_others_are_added(kind: str, damage: str) -> None:
    memory = Memory(EVERY[kind](), updates(), changed={("round", "bea"): DAMAGED[damage]})
    check_sum(memory, memory.collect(), ("ada", "cyd", "dov", "eli"))
    assert memory.dropped["bea"][0] == "round"


@pytest.mark.parametrize("damage", ["empty", "short", "long", "half"])
def test_a_ciphertext_of_another_size_is_refused_with_distributed_keys(damage: str) -> None:
    memory = Memory(Bfv(), updates(), changed={("round", "bea"): DAMAGED[damage]})
    check_sum(memory, memory.collect(), ("ada", "cyd", "dov", "eli"))
    assert "were due" in memory.dropped["bea"][1]


@pytest.mark.parametrize("kind", SHARED)
def test_no_single_byte_of_a_ciphertext_can_crash_anything(kind: str) -> None:
    """Each is refused, or read as another ciphertext; a spoiled sum then is dropped, or other numbers."""
    memory = Memory(EVERY[kind](), updates())
    memory.collect()
    good = memory.uploads()["bea"]
    scheme = EVERY[kind]()._scheme(Agreement(SITES, 40, 1, NAMES, 8.0))  # type: ignore[attr-defined]
    from common.sums.aggregations._seal_bytes import split

    size = scheme.block_bytes(fresh=True)
    for place in [*range(0, 64), *range(64, good.size, good.size // 40)]:
        try:
            scheme.load(split(flipped(place)(good.copy()), scheme.blocks, size), fresh=True)
        except WireError:
            continue


@pytest.mark.parametrize("kind", SHARED)
@pytest.mark.parametrize("damage", ["short", "zeros", "noise"])
@pytest.mark.parametrize("leg", ["keys", "shares"])
def test_keys_that_were_tampered_with_are_used_by_nobody(kind: str, damage: str, leg: str) -> None:
    """A server in the middle puts in keys of its own: hospitals refuse to encrypt rather than use them."""
    memory = Memory(EVERY[kind](), updates(), changed={(leg, "ada"): DAMAGED[damage]})
    memory.collect()
    assert "ada" not in memory.uploads() or leg == "shares"
    sealed = [site for leg, site, *_ in memory.heard if leg == "round"]
    assert set(sealed) <= {"bea", "cyd", "dov", "eli"} or set(sealed) == {"ada"}


@pytest.mark.parametrize("kind", SHARED)
def test_a_sum_is_decrypted_once_a_round_by_one_hospital_and_only_in_turn(kind: str) -> None:
    memory = Memory(EVERY[kind](), updates())
    memory.collect()
    ((site, request),) = [(site, request) for leg, site, request, _ in memory.heard if leg == "decrypt"]
    with pytest.raises(WireError, match="once a round"):
        memory.answer("decrypt", site, request)


@pytest.mark.parametrize("kind", SHARED)
def test_the_coordinator_is_sent_no_key_it_can_read(kind: str) -> None:
    """Key material of a hospital appears in no message."""
    memory = Memory(EVERY[kind](), updates(), failing={"decrypt": SITES})
    memory.collect()
    protocol = kind.partition(" ")[0]
    kept = [memory.locals[site].secrets[f"{protocol}/key"] for site in SITES[1:]]
    assert len(set(kept)) == 1
    passed = b"".join(p.data.tobytes() for _, _, *pair in memory.heard for p in pair if p.data is not None)
    assert kept[0][40:72] not in passed


def test_a_round_has_keys_public_polynomials_and_noise_of_its_own() -> None:
    memory = Memory(Bfv(), updates())
    memory.collect()
    first, nonces = memory.uploads(), {p.words[NONCE] for leg, _, p, _ in memory.heard if leg == "round"}
    memory.round, memory.heard[:] = 2, []
    memory.collect()
    more = {p.words[NONCE] for leg, _, p, _ in memory.heard if leg == "round"}
    assert len(nonces) == len(more) == 1
    assert nonces != more
    assert all(np.mean(first[site] == memory.uploads()[site]) < 0.05 for site in SITES)


def test_an_upload_does_not_decrypt_under_the_sum_of_the_keys_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server holds at the end: every upload, and the key of the sum alone."""
    seen: dict[str, np.ndarray] = {}
    uploads: list[np.ndarray] = []

    def take(form, reply):  # type: ignore[no-untyped-def]
        keys, encrypted = parts(form, reply)
        uploads.append(form.key.expand(encrypted, form.coefficients))
        return keys, encrypted

    def spy(form, total, key_sum, label):  # type: ignore[no-untyped-def]
        seen["single"] = original(form, uploads[0], key_sum, label)
        seen["pair"] = original(form, uploads[0] + uploads[1], key_sum, label)
        return original(form, total, key_sum, label)

    from common.sums.aggregations import _distributed_sum

    original, parts = _distributed_sum._Form.decrypted, _distributed_sum._Form.parts
    monkeypatch.setattr(_distributed_sum._Form, "parts", take)
    monkeypatch.setattr(_distributed_sum._Form, "decrypted", spy)
    memory = Memory(Bfv(), updates(20_000))
    check_sum(memory, memory.collect(), SITES)
    for words in seen.values():
        top = (words[:20_000] >> np.uint64(16)).astype(np.int64)
        counts = np.bincount(top, minlength=256)
        assert counts.min() > 30
        assert abs(np.mean(words[:20_000]) / 2**23 - 1) < 0.05


def test_what_hospitals_send_at_the_default_settings_is_smaller_than_the_plain_update() -> None:
    length = 300_000
    rng = np.random.default_rng(0)
    each = {site: Update((rng.uniform(-1, 1, length).astype(np.float32),), 1.0) for site in SITES}
    memory = Memory(Bfv(), each)
    memory.collect()
    assert max(data.size for data in memory.uploads().values()) < 0.9 * 4 * length


@pytest.mark.parametrize(
    ("options", "hospitals", "words"),
    [
        ({}, 33, "value_bits = 20"),
        ({"keys": "shared"}, 17, "value_bits = 20"),
        ({"value_bits": 30}, 3, "no room"),
        ({}, 2, "3 hospitals"),
    ],
)
def test_bfv_refuses_sums_it_has_no_room_for(options: dict[str, object], hospitals: int, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        AGGREGATIONS.build(Entry("bfv", options)).check(hospitals)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"poly_modulus_degree": 4096}, "128-bit security allows 109"),
        ({"coefficient_bits": [60, 60, 60, 60]}, "allows 218; take .* = 16384"),
        ({"mode": "economical", "coefficient_bits": [55]}, "allows 54"),
        ({"mode": "economical", "coefficient_bits": [20, 20]}, "one number"),
        ({"mode": "economical", "poly_modulus_degree": 1000}, "none of the standard's"),
        ({"value_bits": 40}, "value_bits"),
    ],
)
def test_ckks_refuses_insecure_and_impossible_parameters(options: dict[str, object], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        AGGREGATIONS.build(Entry("ckks", options))


@pytest.mark.parametrize(
    ("options", "hospitals"),
    [({"scale_bits": 20}, 3), ({"value_bits": 32}, 3), ({"scale_bits": 110}, 60), ({"mode": "economical"}, 300)],
)
def test_ckks_refuses_sums_that_would_wrap_or_not_be_exact(options: dict[str, object], hospitals: int) -> None:
    with pytest.raises(StudyError, match="no room"):
        AGGREGATIONS.build(Entry("ckks", options)).check(hospitals)


def test_an_unknown_mode_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="economical"):
        AGGREGATIONS.build(Entry("ckks", {"mode": "economic"}))


@pytest.mark.parametrize("kind", EVERY)
def test_readers_say_in_one_sentence_who_can_read_whom(kind: str) -> None:
    words = EVERY[kind]().readers  # type: ignore[attr-defined]
    assert words.endswith(".")
    assert ("any one hospital together with the coordinator" in words) == (kind in SHARED)


def test_a_hospital_refuses_an_order_without_a_nonce_or_of_too_many() -> None:
    sums = Bfv()._distributed
    assert isinstance(sums, DistributedSum)
    assert sums.is_exact(16)
    assert not sums.is_exact(40)
