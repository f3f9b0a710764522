"""A hospital that enrols: keys that stay, replies that are checked, groups that are typed, sums that wait."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from client.enrolment import accept as accepting
from client.enrolment import keys
from client.enrolment.accept import accept
from client.enrolment.comparing import accepted, is_right, not_compared, read_marks
from client.enrolment.enrol import enrol, rotate
from client.enrolment.membership import demand_agreed, said_of_members, take_signatures
from client.node_settings import NodeSettings, read_settings
from common.consortium.certificates import now
from common.consortium.fingerprints import digests_of, groups_of
from common.consortium.members import read_members
from common.consortium.requests import read_request
from common.errors import HospitalError, RefusedError, SourceError, StudyError, UnknownNameError, WireError
from common.study.study import Study, parse
from common.sums import identity
from common.sums.exchange import Payload
from server.consortium.changes import remove_member
from server.consortium.joining import sign
from tests.own_consortium import accept_all, compare_all, found_consortium

AT = now()
SITES = ("Aachen", "Bonn", "Köln")
SETTINGS = NodeSettings("Ulm", "https://front.example:8443", "/data")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    found_consortium("Aorta", folder / "C", hospitals(folder), at=AT)
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "place")


def hospitals(place: Path) -> dict[str, Path]:
    return {site: place / site for site in SITES}


def reply(place: Path, site: str) -> Path:
    return place / f"C/replies/{site}.reply.json"


def handed_round(place: Path) -> Payload:
    signatures = {site: read_members(place / site).signatures[site] for site in SITES}
    return Payload(words={"names": list(signatures), "signatures": [one.hex() for one in signatures.values()]})


def study(place: Path, **changed: str) -> Study:
    known = {site: keys.roster_key for site, keys in read_members(place / "Aachen").members.items()}
    roster = [{"name": site, "key": key} for site, key in (known | changed).items()]
    text = 'title="T"\nrounds=1\nsource="heart"\nstrategy="fedavg"\n'
    text += 'task = { name = "classification", network = { name = "mlp", hidden = [4] } }\n'
    return parse(text + f"federation.roster = [{', '.join(map(_inline, roster))}]\n")


def _inline(entry: dict[str, str]) -> str:
    return "{" + ", ".join(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in entry.items()) + "}"


def test_enrolling_makes_three_keys_a_configuration_and_one_request(tmp_path: Path) -> None:
    file = enrol(SETTINGS, tmp_path / "Ulm", AT)
    request = read_request(json.loads(file.read_text()), AT)
    assert request.name == "Ulm" and request.keys == keys.read_secrets(tmp_path / "Ulm").public
    assert read_settings(tmp_path / "Ulm") == SETTINGS
    found = sorted(str(path.relative_to(tmp_path / "Ulm")) for path in (tmp_path / "Ulm").rglob("*.key"))
    assert found == ["identity.key", "keys/node.key", "keys/tls.key"]
    assert (tmp_path / "Ulm/keys/node.pub").read_text().startswith("ecdsa-sha2-nistp384 ")
    assert b"OPENSSH PRIVATE KEY" in (tmp_path / "Ulm/keys/node.key").read_bytes()
    assert not [path for path in (tmp_path / "Ulm").rglob("*") if path.stat().st_mode & 0o077]


def test_keys_are_never_overwritten_and_only_a_missing_one_is_made(tmp_path: Path) -> None:
    enrol(SETTINGS, tmp_path, AT)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.key")}
    (tmp_path / "keys/node.pub").unlink()
    enrol(SETTINGS, tmp_path, AT)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.key")} == before
    assert (tmp_path / "keys/node.pub").exists()


@pytest.mark.parametrize("name", ["keys/tls.key", "keys/node.key", "identity.key"])
def test_a_damaged_key_is_said_and_not_replaced(name: str, tmp_path: Path) -> None:
    enrol(SETTINGS, tmp_path, AT)
    (tmp_path / name).write_bytes(b"damaged")
    with pytest.raises(HospitalError):
        enrol(SETTINGS, tmp_path, AT)
    assert (tmp_path / name).read_bytes() == b"damaged"


def test_a_folder_is_one_hospitals(tmp_path: Path) -> None:
    enrol(SETTINGS, tmp_path, AT)
    with pytest.raises(HospitalError, match="site = 'Ulm'"):
        enrol(replace(SETTINGS, site="Bonn"), tmp_path, AT)
    with pytest.raises(HospitalError, match="coordinator"):
        enrol(replace(SETTINGS, coordinator="https://other.example"), tmp_path, AT)


@pytest.mark.parametrize(
    "address", ["https://", "https://a b", "https://x:0", "https://x:70000", "https://x:8443/path", "https://u@x"]
)
def test_an_address_that_is_none_is_refused_before_anything_is_made(address: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="--coordinator"):
        enrol(replace(SETTINGS, coordinator=address), tmp_path / "Ulm", AT)
    assert not (tmp_path / "Ulm").exists()


@pytest.mark.parametrize("name", ["coordinator", "ü" * 40])
def test_a_name_that_no_member_can_have_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        enrol(replace(SETTINGS, site=name), tmp_path / "Ulm", AT)


def test_keys_that_are_a_link_to_another_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "Ulm").mkdir()
    (tmp_path / "Ulm/keys").symlink_to(tmp_path / "outside")
    with pytest.raises(Exception, match="link"):
        enrol(SETTINGS, tmp_path / "Ulm", AT)
    assert not list((tmp_path / "outside").iterdir())


def test_a_reply_for_another_hospital_is_not_accepted(place: Path) -> None:
    with pytest.raises(HospitalError, match="is for Bonn"):
        accept(reply(place, "Bonn"), place / "Aachen", AT)


def test_an_older_list_is_never_taken_again(place: Path) -> None:
    old = reply(place, "Aachen").read_bytes()
    accept_all(remove_member("Köln", place / "C", AT), hospitals(place), AT)
    reply(place, "Aachen").write_bytes(old)
    with pytest.raises(HospitalError, match=r"version 1 .* version 2 was accepted"):
        accept(reply(place, "Aachen"), place / "Aachen", AT)
    assert read_members(place / "Aachen").version == 2


def test_two_lists_of_one_version_are_noticed(place: Path) -> None:
    shutil.copytree(place / "C", place / "D")
    accept_all(remove_member("Köln", place / "C", AT), hospitals(place), AT)
    other = remove_member("Bonn", place / "D", AT)["Aachen"]
    with pytest.raises(HospitalError, match="somebody shows different lists"):
        accept(other, place / "Aachen", AT)


def test_a_reply_of_another_consortium_is_not_accepted_into_a_folder_that_belongs_to_one(
    place: Path, tmp_path: Path
) -> None:
    found_consortium("Vena", tmp_path / "V", {"Trier": tmp_path / "Trier"}, at=AT)
    other = sign([place / "Aachen/Aachen.request.json"], tmp_path / "V", AT).replies["Aachen"]
    with pytest.raises(HospitalError, match="belongs to 'Aorta'"):
        accept(other, place / "Aachen", AT)


def test_a_reply_that_ran_out_is_not_accepted(place: Path) -> None:
    with pytest.raises(HospitalError, match="its time is over"):
        accept(reply(place, "Aachen"), place / "Aachen", AT + timedelta(days=800))


@pytest.mark.parametrize("text", ["", "{", "null", '{"format": 1}', "[" * 100_000])
def test_a_file_that_is_no_reply_is_named_and_nothing_changes(text: str, place: Path) -> None:
    before = {path: path.read_bytes() for path in (place / "Aachen").rglob("*") if path.is_file()}
    (place / "bad.json").write_text(text)
    with pytest.raises(HospitalError, match=r"bad\.json was not accepted"):
        accept(place / "bad.json", place / "Aachen", AT)
    assert {path: path.read_bytes() for path in (place / "Aachen").rglob("*") if path.is_file()} == before


def test_an_address_that_the_fronts_certificate_does_not_name_is_said(place: Path) -> None:
    toml = place / "Aachen/node.toml"
    toml.write_text(toml.read_text().replace("127.0.0.1", "elsewhere.example"))
    assert accept(reply(place, "Aachen"), place / "Aachen", AT).elsewhere == "elsewhere.example"
    assert accept(reply(place, "Bonn"), place / "Bonn", AT).elsewhere == ""


def test_the_peers_that_a_sum_is_signed_with_are_those_of_the_list(place: Path) -> None:
    for site in SITES:
        own = identity.load(site, place / site)
        assert own.public_keys == read_members(place / site).identities


@pytest.mark.parametrize("at", range(10))
def test_accepting_a_rotation_that_is_cut_short_anywhere_is_finished_by_accepting_again(
    at: int, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replies, left = sign([rotate(place / "Bonn", AT)], place / "C", AT).replies, [at]

    def failing(original: Callable[..., object]) -> Callable[..., object]:
        def write(*args: object, **options: object) -> object:
            if not left[0]:
                raise RuntimeError("the power fails")
            left[0] -= 1
            return original(*args, **options)

        return write

    with monkeypatch.context() as patched:
        for module, name in (
            (keys, "write_durably"),
            (accepting, "write_durably"),
            (accepting, "write_members"),
            (accepting, "introduce"),
            (accepting, "write_marks"),
            (accepting, "forget_next_keys"),
        ):
            patched.setattr(module, name, failing(getattr(module, name)))
        with pytest.raises(RuntimeError):
            accept(replies["Bonn"], place / "Bonn", AT)
    accept(replies["Bonn"], place / "Bonn", AT)
    listed = accepted(place / "Bonn")
    assert keys.read_secrets(place / "Bonn").public.of_member == listed.members["Bonn"]
    assert keys.read_next_secrets(place / "Bonn") is None and "Bonn" not in listed.unsigned
    assert identity.load("Bonn", place / "Bonn").public_keys == listed.identities


def test_only_the_groups_of_that_very_member_are_right(place: Path) -> None:
    (place / "Aachen/compared.json").unlink()
    digests = digests_of(accepted(place / "Aachen"))
    assert not is_right(place / "Aachen", "Aachen", "Bonn", groups_of(digests["Köln"]))
    assert not_compared("Aachen", accepted(place / "Aachen"), read_marks(place / "Aachen")) == [
        "Bonn",
        "Köln",
        "coordinator",
    ]
    assert is_right(place / "Aachen", "Aachen", "Bonn", groups_of(digests["Bonn"]).replace(" ", "-"))
    assert not_compared("Aachen", accepted(place / "Aachen"), read_marks(place / "Aachen")) == ["Köln", "coordinator"]


@pytest.mark.parametrize("name", ["Aachen", "Trier", ""])
def test_oneself_and_strangers_cannot_be_compared(name: str, place: Path) -> None:
    with pytest.raises(UnknownNameError):
        is_right(place / "Aachen", "Aachen", name, "")


def test_nothing_can_be_compared_before_a_reply_was_accepted(tmp_path: Path) -> None:
    enrol(SETTINGS, tmp_path, AT)
    with pytest.raises(HospitalError, match="accept"):
        is_right(tmp_path, "Ulm", "Bonn", "")
    with pytest.raises(HospitalError, match="no member"):
        rotate(tmp_path, AT)


def test_a_list_is_signed_when_the_last_one_is_compared_and_not_before(made: Path, tmp_path: Path) -> None:
    place = shutil.copytree(made, tmp_path / "place")
    for name in ("members.json", "compared.json"):
        (place / "Aachen" / name).unlink()
    accept(reply(place, "Aachen"), place / "Aachen", AT)
    for name, digest in digests_of(accepted(place / "Aachen")).items():
        assert "Aachen" in accepted(place / "Aachen").unsigned
        if name != "Aachen":
            is_right(place / "Aachen", "Aachen", name, groups_of(digest))
    assert "Aachen" not in accepted(place / "Aachen").unsigned


def test_a_hospital_that_is_not_enrolled_says_nothing_and_refuses_nothing(place: Path, tmp_path: Path) -> None:
    for folder in (None, tmp_path):
        assert said_of_members(folder, "Aachen", "", 1) == {}
        demand_agreed(folder, study(place), "Aachen")
        assert take_signatures(folder, study(place), "Aachen", handed_round(place)).words == {"members": ""}


def test_sums_wait_until_every_signature_of_the_study_is_there(place: Path) -> None:
    with pytest.raises(RefusedError, match="Bonn, Köln") as refused:
        demand_agreed(place / "Aachen", study(place), "Aachen")
    assert refused.value.reason == "members"
    answer = take_signatures(place / "Aachen", study(place), "Aachen", handed_round(place))
    assert answer.words == {"members": accepted(place / "Aachen").digest}
    demand_agreed(place / "Aachen", study(place), "Aachen")
    assert not accepted(place / "Aachen").unsigned


def test_a_member_outside_of_the_studys_roster_need_not_have_signed(place: Path) -> None:
    found = study(place)
    roster = tuple(entry for entry in found.federation.roster if entry.name != "Köln")
    found = replace(found, federation=replace(found.federation, roster=roster))
    words = {name: list(value)[:2] for name, value in handed_round(place).words.items()}
    take_signatures(place / "Aachen", found, "Aachen", Payload(words=words))
    with pytest.raises(RefusedError):
        demand_agreed(place / "Aachen", replace(found, federation=replace(found.federation, roster=())), "Aachen")


def test_sums_wait_until_everybodys_groups_were_typed_here(place: Path) -> None:
    take_signatures(place / "Aachen", study(place), "Aachen", handed_round(place))
    (place / "Aachen/compared.json").unlink()
    with pytest.raises(RefusedError, match="yet to compare the keys of Bonn, Köln, coordinator"):
        demand_agreed(place / "Aachen", study(place), "Aachen")
    compare_all(place / "C", hospitals(place), ["Aachen"])
    demand_agreed(place / "Aachen", study(place), "Aachen")


def test_a_roster_of_other_keys_is_refused(place: Path) -> None:
    take_signatures(place / "Aachen", study(place), "Aachen", handed_round(place))
    for changed in ({"Bonn": "0" * 64}, {"Trier": "1" * 64}):
        with pytest.raises(RefusedError, match=next(iter(changed))):
            demand_agreed(place / "Aachen", study(place, **changed), "Aachen")


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"names": ["Bonn"]},
        {"names": ["Bonn"], "signatures": []},
        {"names": ["Bonn"], "signatures": ["00"]},
        {"names": ["Bonn"], "signatures": ["x" * 128]},
        {"names": "Bonn", "signatures": "0" * 128},
        {"names": ["A"] * 1001, "signatures": ["0" * 128] * 1001},
    ],
)
def test_what_are_no_signatures_is_refused_as_a_message(words: dict[str, str | list[str]], place: Path) -> None:
    with pytest.raises(WireError):
        take_signatures(place / "Aachen", study(place), "Aachen", Payload(words=words))


@pytest.mark.parametrize("name", ["members.json", "compared.json"])
@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a": 1}', '{"a": "b"}', '{"\\ud800": 1}'])
def test_a_damaged_file_refuses_everything_and_says_which(name: str, text: str, place: Path) -> None:
    (place / "Aachen" / name).write_text(text)
    with pytest.raises(HospitalError, match=name.replace(".", r"\.")):
        demand_agreed(place / "Aachen", study(place), "Aachen")
