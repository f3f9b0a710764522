"""What a coordinator can make of what hospitals keep between rounds: SCAFFOLD's control variates, under masks.

The hospitals are real ones of the whole client app, in this process; the coordinator is this file, and cheats. In the
attack it hands the others a control variate of 1e12 in a round that it never opens. Their own control variates are
then rounding errors of 1e12, the same for all; from then on their updates are cut to known numbers, and the next sum,
honestly made and opened, less those numbers is the victim's update.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context, Message, RecordDict
from safetensors.numpy import load_file

from client import handlers as answers
from client.app import app
from client.hospital import open_hospital, site_names
from common.data.cases import SiteId
from common.learning.client_work import Work
from common.learning.parameters import new_network, read
from common.study.catalogue import AGGREGATIONS
from common.study.study import Study, parse
from common.sums.cohort import Cohort
from common.sums.exchange import Collected, Expected, OpenedSum, Payload
from common.sums.opening_proof import proof_payload
from common.sums.update import Vector
from common.wire.message_bytes import identify
from common.wire.records import from_records, to_records
from common.wire.train_requests import LEGS, PROTOCOL_LEG, Order, protocol_payload, to_payload

TEXT = """
title = "Tiny"
rounds = 9
seed = 11
engine = "inline"
source = { name = "medmnist", classes = ["class 0", "class 1"] }
partition = { name = "iid", hospitals = 4 }
task = { name = "classification", network = { name = "mlp", hidden = [4] } }
strategy = "scaffold"
aggregation = "plain"
training = { batch_size = 8, steps = 3, learning_rate = 0.1 }
split = { validation = 0.1, test = 0.1 }
federation = { evaluate_every = 0, least_in_sum = 3 }
"""
SECAGG, ADDITIVE, BFV = "{name='secagg', threshold=3}", "additive", "{name='bfv', threshold=3}"
SITES = tuple(f"hospital-{number}" for number in range(4))
VICTIM, OTHERS = SITES[0], SITES[1:]
RATE, STEPS, LARGEST_VALUE = 0.1, 3, 1.0
HUGE = 1e12
LIMIT = 1 << 26
STATISTICS = ("seconds/evaluation", "seconds/training", "training/loss")


@dataclass
class Hospitals:
    """All hospitals behind their app. lost: who does not answer a leg. cut: the leg before which the server stops."""

    study: Study
    folder: Path
    number: int = 0
    lost: Mapping[str, Iterable[SiteId]] = field(default_factory=dict)
    cut: str = ""
    asked: list[tuple[str, SiteId]] = field(default_factory=list)
    contexts: dict[SiteId, Context] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for index, site in enumerate(SITES):
            config = {"simulated": True, "site-index": index, "folder": str(self.folder / site)}
            self.contexts[site] = Context(1, index, config, RecordDict(), {})

    def ask(self, leg: str, requests: Mapping[SiteId, Payload]) -> dict[SiteId, Payload]:
        return {
            site: reply
            for site, request in sorted(requests.items())
            if leg != self.cut and site not in self.lost.get(leg, ())
            if (reply := self._answer(leg, site, request)) is not None
        }

    def drop(self, site: SiteId, leg: str, reason: str) -> None:
        pass

    def _answer(self, leg: str, site: SiteId, request: Payload) -> Payload | None:
        self.asked.append((leg, site))
        if leg not in LEGS:
            request = protocol_payload(request, leg, self.study.json, "", self.number)
        identify(1, 1)
        message = Message(to_records(request), 1, LEGS.get(leg, PROTOCOL_LEG))
        reply = from_records(app(message, self.contexts[site]).content, LIMIT, LIMIT)
        return None if "incident" in reply.words else reply

    def kill(self, site: SiteId) -> None:
        """Its process is gone and starts anew: what it had in memory is lost."""
        self.contexts[site].state = RecordDict()

    def said(self, site: SiteId) -> str:
        log = self.folder / site / "incidents.log"
        return log.read_text() if log.exists() else ""

    def state(self, site: SiteId) -> dict[str, np.ndarray]:
        """What the next round would start from, by the last round that is kept."""
        kept = sorted((self.folder / site / "memory").rglob("[0-9]*.safetensors"))
        return load_file(kept[-1]) if kept else {}


def study_of(images: Path, aggregation: str, *more: str) -> Study:
    return parse(TEXT, [f'source.folder="{images}"', f"aggregation={aggregation}", *more])


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    parts = {"train": 60, "val": 10, "test": 10}
    arrays = {f"{part}_images": rng.integers(0, 255, (n, 4, 4), dtype=np.uint8) for part, n in parts.items()}
    arrays |= {f"{part}_labels": rng.integers(0, 2, (n, 1), dtype=np.uint8) for part, n in parts.items()}
    folder = tmp_path_factory.mktemp("images")
    np.savez(folder / "tiny.npz", **arrays)
    return folder


@pytest.fixture
def hospitals(images: Path, tmp_path: Path) -> Callable[..., Hospitals]:
    made: list[Hospitals] = []

    def make(aggregation: str = SECAGG) -> Hospitals:
        made.append(Hospitals(study_of(images, aggregation), tmp_path / str(len(made))))
        return made[-1]

    return make


def model(study: Study) -> Vector:
    one = open_hospital(study.json, 0)
    return read(new_network(one.task, one.train.shape, study.seed))


def cases(study: Study) -> dict[SiteId, float]:
    return {site: float(len(open_hospital(study.json, k).train)) for k, site in enumerate(site_names(study))}


def play(
    hospitals: Hospitals,
    number: int,
    sites: Sequence[SiteId] = SITES,
    control: float = 0.0,
    lost: Mapping[str, Iterable[SiteId]] | None = None,
    cut: str = "",
) -> Collected:
    """One round as the coordinator's own half makes it. control: every value of the control variate it hands out."""
    study, parameters = hospitals.study, model(hospitals.study)
    hospitals.number, hospitals.lost, hospitals.cut = number, lost or {}, cut
    order = Order(
        study.json, number, parameters, Work("delta", 0.0, True), np.full_like(parameters, np.float32(control))
    )
    requests = dict.fromkeys(sites, to_payload(order))
    expected = Expected(parameters.size, 2, cases(study), STATISTICS, Cohort(tuple(sorted(sites)), 3))
    aggregation = AGGREGATIONS.build(study.aggregation)
    collected: Collected = aggregation.collect(hospitals, requests, frozenset(sites), expected)
    return collected


def total(collected: Collected) -> np.ndarray:
    assert collected.total is not None
    return np.concatenate(collected.total.vectors)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def known_of_poisoned(study: Study) -> float:
    """What each coordinate of the others' updates adds up to after the garbage, worked out without any of their data.

    Steps of 1e12 swallow model and gradients; what is left of 1e12 - 1e12 is rounding, which follows from the number
    of cases alone, and a control variate of that size moves each coordinate to the end of the range.
    """
    moved = np.float32(0)
    for _ in range(STEPS):
        moved = np.float32(moved - np.float32(RATE) * np.float32(HUGE))
    known, scale = 0.0, max(cases(study).values())
    for site in OTHERS:
        change = np.float64(np.float32(np.float64(moved) * cases(study)[site])) / cases(study)[site]
        left = -np.float64(np.float32(HUGE)) - change / (STEPS * RATE)
        assert abs(left) > 100
        known += np.sign(left) * LARGEST_VALUE * scale
    return float(known)


def victims_update(study: Study) -> np.ndarray:
    """The truth, of the third round: a control variate of its own that the first round left."""
    hospital = open_hospital(study.json, 0)
    kept = answers.RequestContext({}, lambda: None, None, simulated=True)  # type: ignore[arg-type,return-value]
    parameters, zero = model(study), np.zeros_like(model(study))
    for number in (1, 3):
        order = Order(study.json, number, parameters, Work("delta", 0.0, True), zero)
        update = answers.update_of(hospital, order, kept)
    return np.asarray(update.vectors[0], np.float64)


@pytest.mark.parametrize("aggregation", [SECAGG, ADDITIVE, BFV])
def test_garbage_in_a_round_that_is_never_opened_does_not_give_the_victim_away(
    aggregation: str, hospitals: Callable[..., Hospitals]
) -> None:
    """On the code before: cosine 1.0. The opened sum itself may resemble the victim: what is known adds nothing."""
    played = hospitals(aggregation)
    play(played, 1)
    play(played, 2, OTHERS, HUGE, cut="sums" if aggregation == ADDITIVE else "survivors")
    third = np.split(total(play(played, 3)), 2)[0]
    known = known_of_poisoned(played.study)
    assert abs(known) > 10
    assert cosine(third - known, victims_update(played.study)) < 0.5
    assert np.abs(third).max() < 0.5 * abs(known)


@pytest.mark.parametrize("aggregation", [SECAGG, ADDITIVE, BFV])
def test_what_a_control_variate_cannot_be_is_refused_before_any_training(
    aggregation: str, hospitals: Callable[..., Hospitals]
) -> None:
    played = hospitals(aggregation)
    play(played, 1)
    for bad in (HUGE, np.nan, -np.inf):
        assert play(played, 2, control=bad).total is None
    for site in SITES:
        assert "no value of a control variate can be beyond 4.04; 1e+12 came" in played.said(site)
        assert "a control variate must be finite" in played.said(site)


@pytest.mark.parametrize(("aggregation", "cut"), [(SECAGG, "survivors"), (SECAGG, "unmask"), (ADDITIVE, "sums")])
def test_a_round_that_is_never_opened_leaves_no_trace(
    aggregation: str, cut: str, hospitals: Callable[..., Hospitals]
) -> None:
    """With a control variate that no bound refuses: the next sum is, bit for bit, the one without that round."""
    cheated, honest = hospitals(aggregation), hospitals(aggregation)
    for played in (cheated, honest):
        play(played, 1)
    before = {site: cheated.state(site) for site in SITES}
    assert play(cheated, 2, control=3.5, cut=cut).total is None
    for site in SITES:
        np.testing.assert_equal(cheated.state(site), before[site])
    np.testing.assert_array_equal(total(play(cheated, 3)), total(play(honest, 3)))
    for site in SITES:
        np.testing.assert_equal(cheated.state(site), honest.state(site))


@pytest.mark.parametrize("aggregation", [SECAGG, ADDITIVE, BFV, "ckks", "plain"])
def test_a_round_asked_for_again_after_a_crash_gives_the_same_sum_and_the_same_state(
    aggregation: str, hospitals: Callable[..., Hospitals]
) -> None:
    crashed, smooth = hospitals(aggregation), hospitals(aggregation)
    for played in (crashed, smooth):
        play(played, 1)
    first = total(play(crashed, 2, control=0.25))
    for site in SITES:
        crashed.kill(site)
    again = total(play(crashed, 2, control=0.25))
    whole = total(play(smooth, 2, control=0.25))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, whole)
    for site in SITES:
        np.testing.assert_equal(crashed.state(site), smooth.state(site))
    np.testing.assert_array_equal(total(play(crashed, 3)), total(play(smooth, 3)))


@pytest.mark.parametrize("aggregation", [SECAGG, BFV])
@pytest.mark.parametrize("lost_at", ["survivors", "unmask"])
def test_a_hospital_killed_between_its_answer_and_the_opening_is_shown_the_proof_and_keeps_its_state(
    aggregation: str, lost_at: str, hospitals: Callable[..., Hospitals]
) -> None:
    hit, smooth = hospitals(aggregation), hospitals(aggregation)
    second = play(hit, 1, lost={lost_at: [VICTIM]})
    assert second.sites == SITES
    assert second.unaware == (VICTIM,)
    hit.kill(VICTIM)
    assert hit.state(VICTIM) == {}
    play(smooth, 1)
    assert second.proof is not None
    hit.number, hit.lost = 2, {}
    shown = hit.ask("opened", dict.fromkeys(SITES, proof_payload(1, second.proof)))
    assert {site: reply.numbers["committed"] for site, reply in shown.items()} == {
        site: int(site == VICTIM) for site in SITES
    }
    np.testing.assert_equal(hit.state(VICTIM), smooth.state(VICTIM))
    np.testing.assert_array_equal(total(play(hit, 2)), total(play(smooth, 2)))


def lost_in_round_one(hospitals: Callable[..., Hospitals]) -> tuple[Hospitals, OpenedSum]:
    played = hospitals()
    proof = play(played, 1, lost={"survivors": [VICTIM]}).proof
    assert proof is not None
    played.kill(VICTIM)
    played.number, played.lost = 2, {}
    return played, proof


Forge = Callable[[OpenedSum], tuple[int, OpenedSum]]
SIGNATURE = 64
FORGERIES: dict[str, tuple[Forge, str]] = {
    "too few signatures": (
        lambda p: (1, OpenedSum(p.sites, p.signers[:2], p.signatures[: 2 * SIGNATURE])),
        "between 3 and 4",
    ),
    "one signature thrice": (
        lambda p: (1, OpenedSum(p.sites, p.signers, 3 * p.signatures[:SIGNATURE])),
        "1 hospitals signed that round 1 was opened; 3 must",
    ),
    "of other survivors": (lambda p: (1, OpenedSum(SITES[1:], p.signers, p.signatures)), "no part of"),
    "of fewer survivors": (lambda p: (1, OpenedSum(SITES[:3], SITES[:3], p.signatures)), "0 hospitals signed"),
    "names twice": (
        lambda p: (1, OpenedSum((*SITES[:3], SITES[2]), p.signers, p.signatures)),
        "sorted and each but once",
    ),
    "invented names": (lambda p: (1, OpenedSum((*SITES[:3], "x"), p.signers, p.signatures)), "of its round"),
    "too many names": (
        lambda p: (1, OpenedSum(tuple(f"x{k}" for k in range(9999)), p.signers, p.signatures)),
        "between 3 and 4",
    ),
    "too many bytes": (
        lambda p: (1, OpenedSum(p.sites, p.signers, p.signatures + bytes(1 << 20))),
        "pieces of 64 are needed",
    ),
    "no round": (lambda p: (0, p), "from 1"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_proof_that_is_none_is_refused_and_the_right_one_still_taken(
    forgery: str, hospitals: Callable[..., Hospitals]
) -> None:
    played, proof = lost_in_round_one(hospitals)
    forge, words = FORGERIES[forgery]
    assert played.ask("opened", {VICTIM: proof_payload(*forge(proof))}) == {}
    assert words in played.said(VICTIM)
    assert played.state(VICTIM) == {}
    assert played.ask("opened", {VICTIM: proof_payload(1, proof)})[VICTIM].numbers["committed"] == 1
    assert played.state(VICTIM) != {}


def test_the_proof_of_another_round_commits_nothing(hospitals: Callable[..., Hospitals]) -> None:
    played, proof = lost_in_round_one(hospitals)
    play(played, 2, control=3.5, cut="unmask")
    for number in (1, 2):
        played.cut = ""
        reply = played.ask("opened", {VICTIM: proof_payload(number, proof)})
        assert not reply or reply[VICTIM].numbers["committed"] == 0
    assert played.state(VICTIM) == {}


def test_a_false_signature_beside_enough_true_ones_does_not_spoil_a_proof(
    hospitals: Callable[..., Hospitals],
) -> None:
    played = hospitals("{name='secagg', threshold=3}")
    opened = play(played, 1, lost={"unmask": [VICTIM]})
    assert opened.proof is not None
    assert len(opened.proof.signers) == 4
    spoiled = bytes(SIGNATURE) + opened.proof.signatures[SIGNATURE:]
    proof = OpenedSum(opened.proof.sites, opened.proof.signers, spoiled)
    played.lost = {}
    assert played.ask("opened", {VICTIM: proof_payload(1, proof)})[VICTIM].numbers["committed"] == 1


def test_what_waits_is_on_the_disk_before_the_answer_and_for_its_owner_alone(
    hospitals: Callable[..., Hospitals],
) -> None:
    played = hospitals()
    play(played, 1, cut="survivors")
    (pending,) = (played.folder / VICTIM / "memory").rglob("pending.safetensors")
    assert pending.stat().st_mode & 0o077 == 0
    assert set(load_file(pending)) == {"control"}
