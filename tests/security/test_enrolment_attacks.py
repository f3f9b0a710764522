"""A coordinator that lies about keys: each lie is carried out against the real client app, and found.

The coordinator signs certificates, writes the replies and carries every signature. What it cannot do is make a
hospital that compared groups by telephone take part with a key that another hospital does not have.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509 import Certificate
from flwr.app import Message

from client.approved_studies import list_study
from client.enrolment.accept import accept
from client.enrolment.comparing import accepted, is_right
from client.enrolment.enrol import enrol
from client.enrolment.keys import read_secrets
from client.enrolment.membership import demand_agreed, take_signatures
from client.node import Node, load_app
from client.node_settings import NodeSettings
from common.consortium.certificates import hospital_certificate, new_key, now, read_certificate
from common.consortium.fingerprints import digests_of, groups_of
from common.consortium.members import MemberList, introduces, introduction, read_members
from common.consortium.replies import Reply
from common.consortium.requests import Secrets, make
from common.errors import HospitalError, RefusedError, TooFewHospitalsError
from common.files.json_files import write_json
from common.study.study import Study, parse
from common.sums.exchange import Payload
from common.sums.identity import read_key
from common.wire.long_form import Buffer
from common.wire.message_bytes import from_bytes, identify, to_bytes
from common.wire.records import from_records, to_records
from common.wire.train_requests import LEGS, PROTOCOL_LEG
from experiments.engines._local_grid import LocalGrid, Poll, new_run
from server.consortium.joining import sign
from server.consortium.place import Consortium, read_authority, read_consortium
from server.progress import Progress
from server.run import Conductor
from server.run_folder import RunFolder
from tests.own_consortium import accept_all, compare_all, found_consortium

AT = now()
SITES = ("Aachen", "Bonn", "Köln")
LIMIT = 1 << 24
TEXT = """
title = "Tiny"
rounds = 1
seed = 3
privacy = "none"
strategy = "fedavg"
source = { name = "medmnist", classes = ["class 0", "class 1"] }
task = { name = "classification", network = { name = "mlp", hidden = [2] } }
training = { batch_size = 4, steps = 1, learning_rate = 0.1 }
"""
FEDERATION = "\n[federation]\nround_timeout_s = 60\nstart_timeout_s = 60\ndropout_wait_s = 0.1\nroster = [%s]\n"
SECAGG, PLAIN = 'aggregation = { name = "secagg", threshold = 3 }\n', 'aggregation = "plain"\n'
Tamper = Callable[[str, Payload], Payload]
"""What the coordinator makes of the signatures that it hands a hospital."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hospitals with data that compared and signed, and their coordinator."""
    folder = tmp_path_factory.mktemp("made")
    found_consortium("Aorta", folder / "C", {site: folder / site for site in SITES}, at=AT)
    rng = np.random.default_rng(0)
    arrays = {f"{part}_images": rng.integers(0, 255, (8, 2, 2), dtype=np.uint8) for part in ("train", "val", "test")}
    arrays |= {f"{part}_labels": rng.integers(0, 2, (8, 1), dtype=np.uint8) for part in ("train", "val", "test")}
    (folder / "data").mkdir()
    np.savez(folder / "data/own.npz", **arrays)
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "place")


def study_of(place: Path, aggregation: str = SECAGG, **changed: str) -> Study:
    keys = {name: one.roster_key for name, one in read_consortium(place / "C").listed.members.items()} | changed
    entries = ", ".join(f'{{ name = "{name}", key = "{key}" }}' for name, key in keys.items())
    study = parse(TEXT + aggregation + FEDERATION % entries)
    for site in SITES:
        list_study(study, place / site)
    return study


def node(place: Path, site: str, index: int = 0) -> Node:
    config = {"site": site, "folder": str(place / site), "data-folder": str(place / "data"), "device": "cpu"}
    return Node(load_app("client.app:app"), index + 2, 1, config)


@dataclass
class Way:
    """Carries messages, and lets the coordinator change what it hands round."""

    nodes: Mapping[int, Node]
    tamper: Tamper = lambda site, payload: payload
    asked: list[tuple[str, str]] = field(default_factory=list)

    def send(self, node_id: int, request: Sequence[Buffer]) -> Poll:
        receiver = self.nodes[node_id]
        whole = b"".join(request)
        message, site = from_bytes(whole), str(receiver.config["site"])
        self.asked.append((site, message.metadata.message_type))
        if message.metadata.message_type == LEGS["members"]:
            message.content = to_records(self.tamper(site, from_records(message.content, LIMIT, LIMIT)))
            whole = to_bytes(message)
        return lambda: receiver.answer(whole)


def conduct(place: Path, study: Study, tamper: Tamper = lambda site, payload: payload) -> tuple[Conductor, Way]:
    """A whole run of a coordinator over deployed hospitals. Raises as it does."""
    way = Way({index + 2: node(place, site, index) for index, site in enumerate(SITES)}, tamper)
    run = new_run(1)
    identify(1, 1)
    grid = LocalGrid("test", way, len(SITES), run, None, 1)
    folder = place / f"run-{Random().random()}"
    folder.mkdir()
    conductor = Conductor(study, "tiny", grid, RunFolder(folder), Progress(), len(SITES))
    conductor.run()
    return conductor, way


def said(place: Path, site: str, kind: str, words: Mapping[str, str | list[str]]) -> Mapping[str, object]:
    """The words of one hospital's answer to one message of the coordinator's."""
    identify(1, 1)
    message = Message(to_records(Payload(numbers={"round": 1}, words=words)), 1, kind)
    return from_records(from_bytes(node(place, site).answer(to_bytes(message))).content, LIMIT, LIMIT).words


def handed_round(place: Path) -> Payload:
    own = {site: accepted(place / site).signatures.get(site, bytes(64)) for site in SITES}
    return Payload(words={"names": list(own), "signatures": [one.hex() for one in own.values()]})


def test_hospitals_that_all_signed_one_list_sum_together_and_keep_the_signatures(place: Path) -> None:
    conductor, way = conduct(place, study_of(place))
    assert conductor.about["state"] == "completed" and not conductor.problems
    assert [kind for site, kind in way.asked if site == "Bonn"][:3] == [
        "query.hello",
        "query.members",
        "query.protocol",
    ]
    for site in SITES:
        assert not accepted(place / site).unsigned


@pytest.mark.parametrize("aggregation", [SECAGG, PLAIN])
def test_the_coordinator_is_told_which_hospital_has_not_signed_and_no_round_begins(
    aggregation: str, place: Path
) -> None:
    for name in ("members.json", "compared.json"):
        (place / "Bonn" / name).unlink()
    accept(place / "C/replies/Bonn.reply.json", place / "Bonn", AT)
    with pytest.raises(TooFewHospitalsError) as stopped:
        conduct(place, study_of(place, aggregation))
    assert "Bonn took no part: it has not signed the member list" in str(stopped.value)
    assert "Aachen took no part: not every hospital of the study has signed" in str(stopped.value)


def test_a_hospital_that_is_not_enrolled_keeps_enrolled_ones_from_summing_with_it(place: Path) -> None:
    (place / "Bonn/members.json").unlink()
    with pytest.raises(TooFewHospitalsError, match="Bonn took no part: it has no member list"):
        conduct(place, study_of(place))


def without(site: str) -> Tamper:
    def tamper(_: str, payload: Payload) -> Payload:
        names = [name for name in payload.words["names"] if name != site]
        signatures = [
            one for name, one in zip(payload.words["names"], payload.words["signatures"], strict=True) if name != site
        ]
        return replace(payload, words={**payload.words, "names": names, "signatures": signatures})

    return tamper


def exchanged(_: str, payload: Payload) -> Payload:
    return replace(payload, words={**payload.words, "signatures": list(reversed(payload.words["signatures"]))})


def made_up(_: str, payload: Payload) -> Payload:
    key = Ed25519PrivateKey.generate()
    forged = [key.sign(b"anything").hex() for _ in payload.words["names"]]
    return replace(payload, words={**payload.words, "signatures": forged})


@pytest.mark.parametrize("tamper", [without("Bonn"), without("Köln"), exchanged, made_up])
def test_a_signature_that_is_dropped_exchanged_or_made_up_is_missed(tamper: Tamper, place: Path) -> None:
    with pytest.raises(TooFewHospitalsError, match="not every hospital of the study has signed"):
        conduct(place, study_of(place), tamper)


@pytest.mark.parametrize("aggregation", [SECAGG, PLAIN])
@pytest.mark.parametrize("kind", [LEGS["round"], LEGS["evaluate"], LEGS["local"], LEGS["start"], PROTOCOL_LEG])
def test_a_coordinator_that_leaves_the_signatures_out_is_refused_on_every_leg(
    kind: str, aggregation: str, place: Path
) -> None:
    words = {"study": study_of(place, aggregation).json, "leg": "keys", "sends": "delta", "evaluate": ["test"]}
    assert said(place, "Aachen", kind, words) == {"refused": "members"}


def false_reply(place: Path, victim: str, target: str) -> tuple[Path, MemberList, Secrets]:
    """What the coordinator hands `target`: a list in which `victim` has keys of the coordinator's own, all proven."""
    thief = Secrets(new_key(), new_key(), Ed25519PrivateKey.generate())
    true = read_consortium(place / "C")
    histories = {**true.histories, victim: (make(victim, thief, AT),)}
    false = Consortium(replace(true.listed, version=0), histories).changed(histories).listed
    own = histories[target][-1].keys
    leaf = hospital_certificate(read_authority(place / "C", true.listed, AT), target, own.tls_key, own.node, AT)
    authority = read_authority(place / "C", true.listed, AT).certificate
    reply = Reply(target, leaf, authority, replace(false, version=1), histories, ("127.0.0.1",), 8443)
    write_json(place, "false.json", reply.signed(read_key(place / "C")))
    return place / "false.json", reply.listed, thief


def certificate_of_aachen(place: Path) -> Certificate:
    return read_certificate((place / "C/certificates/Aachen.crt").read_bytes())


def forget(folder: Path) -> None:
    for name in ("members.json", "compared.json", "peers.json"):
        (folder / name).unlink()


def test_a_key_that_the_coordinator_exchanged_is_found_on_the_telephone(place: Path) -> None:
    """The reply itself is faultless: the coordinator made the keys, proved them, and signed all of it."""
    forget(place / "Aachen")
    file, _, _ = false_reply(place, "Köln", "Aachen")
    accept(file, place / "Aachen", AT)
    spoken = groups_of(digests_of(accepted(place / "Köln"))["Köln"])
    assert not is_right(place / "Aachen", "Aachen", "Köln", spoken)
    assert is_right(place / "Aachen", "Aachen", "Bonn", groups_of(digests_of(accepted(place / "Bonn"))["Bonn"]))
    assert "Aachen" in accepted(place / "Aachen").unsigned


def careless(place: Path) -> tuple[MemberList, Secrets]:
    """Aachen's people typed what stood on their own screen."""
    forget(place / "Aachen")
    file, false, thief = false_reply(place, "Köln", "Aachen")
    accept(file, place / "Aachen", AT)
    for name, digest in digests_of(false).items():
        if name != "Aachen":
            assert is_right(place / "Aachen", "Aachen", name, groups_of(digest))
    return false, thief


def test_different_lists_are_found_even_where_one_hospital_compared_nothing(place: Path) -> None:
    careless(place)
    with pytest.raises(TooFewHospitalsError, match="Aachen took no part: it signed another member list"):
        conduct(place, study_of(place))


def test_the_coordinator_cannot_sign_its_false_list_in_the_name_of_a_hospital_whose_key_is_true_in_it(
    place: Path,
) -> None:
    """It can in the name of the one that it exchanged, and that one alone."""
    false, thief = careless(place)
    signatures = {
        "Aachen": accepted(place / "Aachen").signatures["Aachen"],
        "Bonn": accepted(place / "Bonn").signatures["Bonn"],
        "Köln": thief.identity.sign(false.statement),
    }
    words = {"names": list(signatures), "signatures": [one.hex() for one in signatures.values()]}
    false_study = study_of(place, SECAGG, **{"Köln": false.members["Köln"].roster_key})
    with pytest.raises(RefusedError, match="no signature of Bonn over"):
        take_signatures(place / "Aachen", false_study, "Aachen", Payload(words=words))
    with pytest.raises(RefusedError, match="roster gives Köln another key"):
        take_signatures(place / "Bonn", false_study, "Bonn", Payload(words=words))


def test_a_study_whose_roster_holds_a_key_of_the_coordinators_is_refused_though_it_was_approved(place: Path) -> None:
    study = study_of(place, SECAGG, **{"Köln": "0" * 64})
    with pytest.raises(TooFewHospitalsError):
        conduct(place, study)
    for site in SITES:
        with pytest.raises(RefusedError, match="roster gives Köln another key"):
            demand_agreed(place / site, study, site)


def test_signatures_over_an_old_list_are_worth_nothing_for_the_one_that_replaced_it(place: Path) -> None:
    """Bonn's keys were stolen, and it enrolled anew; the others shall go on with the old ones."""
    old = handed_round(place)
    old_study = study_of(place)
    new = enrol(NodeSettings("Bonn", "https://127.0.0.1:8443"), place / "new Bonn", AT)
    replies = sign([new], place / "C", AT, ["Bonn"]).replies
    accept_all({"Aachen": replies["Aachen"]}, {"Aachen": place / "Aachen"}, AT)
    new_study = study_of(place)
    with pytest.raises(RefusedError, match="yet to compare the keys of Bonn"):
        take_signatures(place / "Aachen", new_study, "Aachen", old)
    accept_all({"Bonn": replies["Bonn"]}, {"Bonn": place / "new Bonn"}, AT)
    compare_as_aachen(place)
    with pytest.raises(RefusedError, match="no signature of Bonn, Köln over"):
        take_signatures(place / "Aachen", new_study, "Aachen", old)
    with pytest.raises(RefusedError, match="roster gives Bonn another key"):
        demand_agreed(place / "Aachen", old_study, "Aachen")


def compare_as_aachen(place: Path) -> None:
    folders = {"Aachen": place / "Aachen", "Bonn": place / "new Bonn", "Köln": place / "Köln"}
    compare_all(place / "C", folders, ["Aachen"])


def test_an_old_reply_is_not_accepted_again(place: Path) -> None:
    old = (place / "C/replies/Aachen.reply.json").read_bytes()
    new = enrol(NodeSettings("Bonn", "https://127.0.0.1:8443"), place / "new Bonn", AT)
    accept(sign([new], place / "C", AT, ["Bonn"]).replies["Aachen"], place / "Aachen", AT)
    (place / "old.json").write_bytes(old)
    with pytest.raises(HospitalError, match="an old list is never taken again"):
        accept(place / "old.json", place / "Aachen", AT)


def test_a_rotation_that_the_coordinator_made_up_is_not_accepted(place: Path) -> None:
    """It has everything but the old keys: the history that it shows lacks their signature, or begins anew."""
    file, _, thief = false_reply(place, "Köln", "Aachen")
    true = read_consortium(place / "C")
    forged = replace(make("Köln", thief, AT, thief), replaces=true.histories["Köln"][-1].keys.digest)
    forged = replace(forged, proofs=thief.sign(forged.statement), former=thief.sign(forged.statement))
    histories = {**true.histories, "Köln": (*true.histories["Köln"], forged)}
    listed = true.changed(histories).listed
    leaf = certificate_of_aachen(place)
    authority = read_authority(place / "C", true.listed, AT).certificate
    reply = Reply("Aachen", leaf, authority, listed, histories, ("127.0.0.1",), 8443)
    write_json(place, "false.json", reply.signed(read_key(place / "C")))
    with pytest.raises(HospitalError, match="not signed by each of the keys"):
        accept(file, place / "Aachen", AT)
    assert accepted(place / "Aachen").version == 1


def test_a_new_key_under_an_old_name_must_be_compared_though_the_old_one_was(place: Path) -> None:
    true = read_consortium(place / "C")
    thief = Secrets(new_key(), new_key(), Ed25519PrivateKey.generate())
    histories = {**true.histories, "Köln": (make("Köln", thief, AT),)}
    authority = read_authority(place / "C", true.listed, AT).certificate
    reply = Reply(
        "Aachen",
        certificate_of_aachen(place),
        authority,
        true.changed(histories).listed,
        histories,
        ("127.0.0.1",),
        8443,
    )
    write_json(place, "false.json", reply.signed(read_key(place / "C")))
    accept(place / "false.json", place / "Aachen", AT)
    with pytest.raises(RefusedError, match="yet to compare the keys of Köln"):
        demand_agreed(
            place / "Aachen", study_of(place, **{"Köln": reply.listed.members["Köln"].roster_key}), "Aachen"
        )


def test_another_coordinator_under_the_same_name_must_be_compared_too(place: Path, tmp_path: Path) -> None:
    """Whoever took the way between makes a consortium of the same name, with all the true requests."""
    shutil.copytree(place, tmp_path / "true")
    found_consortium("Aorta", tmp_path / "F", {}, at=AT)
    requests = [place / site / f"{site}.request.json" for site in SITES]
    sign(requests, tmp_path / "F", AT)
    again = sign([requests[0]], tmp_path / "F", AT, days=9)
    with pytest.raises(HospitalError, match="somebody shows different lists"):
        accept(again.replies["Aachen"], place / "Aachen", AT)
    forget(place / "Aachen")
    accept(again.replies["Aachen"], place / "Aachen", AT)
    spoken = groups_of(digests_of(read_members(tmp_path / "true/Bonn"))["coordinator"])
    assert not is_right(place / "Aachen", "Aachen", "coordinator", spoken)


def impostor(place: Path, copied: Mapping[str, str | list[str]]) -> TooFewHospitalsError:
    """Bonn's node, a member's, calls itself Köln, whose own is away, and says whatever Köln said before."""
    study, answer = study_of(place), Node.answer

    def lying(self: Node, request: bytes) -> bytes:
        message = from_bytes(request)
        reply = answer(self, request)
        if self.config["site"] == "Köln" and message.metadata.message_type == LEGS["hello"]:
            told = from_bytes(reply)
            payload = from_records(told.content, LIMIT, LIMIT)
            told.content = to_records(replace(payload, words={**payload.words, **copied}))
            return to_bytes(told)
        return reply

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Node, "answer", lying)
        with pytest.raises(TooFewHospitalsError) as stopped:
            conduct(place, study)
    return stopped.value


def test_a_member_cannot_pass_for_another_with_what_that_one_says_to_all(place: Path) -> None:
    bonn = read_secrets(place / "Bonn").identity
    proof = read_secrets(place / "Köln").identity.sign(introduction("Köln", "0" * 32, 4)).hex()
    own = {"members_key": bonn.public_key().public_bytes_raw().hex()}
    for copied in ({"members_proof": ""}, {"members_proof": proof}, own, {"members_key": "", "members_proof": ""}):
        assert "does not prove to be Köln" in str(impostor(place, copied))
    assert "Köln took no part: it has no member list" in str(impostor(place, {"members": ""}))


def test_an_introduction_is_worth_nothing_for_another_node_run_or_name(place: Path) -> None:
    secrets = read_secrets(place / "Köln").identity
    key, signature = secrets.public_key().public_bytes_raw(), secrets.sign(introduction("Köln", "a" * 32, 7))
    assert introduces(key, signature, "Köln", "a" * 32, 7)
    for site, run, node in (("Bonn", "a" * 32, 7), ("Köln", "b" * 32, 7), ("Köln", "a" * 32, 8)):
        assert not introduces(key, signature, site, run, node)
    assert not introduces(b"", signature, "Köln", "a" * 32, 7)


def test_nobody_signs_for_a_hospital_but_its_own_key(place: Path) -> None:
    listed = accepted(place / "Aachen")
    for site in SITES:
        signature = read_secrets(place / site).identity.sign(listed.statement)
        assert [name for name in SITES if listed.is_signed_by(name, signature)] == [site]
