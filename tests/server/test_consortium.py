"""A consortium from its making to its last member: each step, what it refuses, and what a crash leaves."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from client.enrolment.accept import accept
from client.enrolment.comparing import accepted, not_compared, read_marks
from client.enrolment.enrol import enrol, rotate
from client.enrolment.keys import read_secrets
from client.node_settings import NodeSettings
from common.consortium.certificates import (
    demand_front,
    demand_hospital,
    node_bytes,
    node_uri,
    node_uri_of,
    now,
    read_certificate,
    read_revocations,
)
from common.consortium.members import MemberList, read_members
from common.consortium.requests import make
from common.errors import HospitalError, SourceError, StudyError, UnknownNameError
from common.files import access
from common.study.federation import RosterEntry
from common.study.study import parse
from server.consortium import issuing
from server.consortium.changes import remove_member, renew
from server.consortium.create import create
from server.consortium.joining import sign
from server.consortium.listing import expiry_warnings, roster_text, rows
from server.consortium.place import read_consortium, read_issues, read_public
from tests.own_consortium import accept_all, compare_all, found_consortium

AT = now()
SITES = ("Aachen", "Bonn", "Köln")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A coordinator's folder and three hospitals', who all compared and signed."""
    folder = tmp_path_factory.mktemp("made")
    found_consortium("Aorta", folder / "C", {site: folder / site for site in SITES}, at=AT)
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    """A copy, to be changed."""
    return shutil.copytree(made, tmp_path / "place")


def hospitals(place: Path) -> dict[str, Path]:
    return {site: place / site for site in SITES}


def certificate(path: Path) -> x509.Certificate:
    return read_certificate(
        path.read_bytes().partition(b"-----END CERTIFICATE-----")[0] + b"-----END CERTIFICATE-----\n"
    )


def revoked(place: Path) -> set[int]:
    authority = read_certificate((place / "C/front/ca.crt").read_bytes())
    found = read_revocations((place / "C/front/crl.pem").read_bytes(), authority)
    assert (place / "C/authority/crl.pem").read_bytes() == (place / "C/front/crl.pem").read_bytes()
    return {one.serial_number for one in found}


def crl_number(place: Path) -> int:
    found = x509.load_pem_x509_crl((place / "C/front/crl.pem").read_bytes())
    return found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def lists(place: Path) -> dict[str, MemberList]:
    return {site: read_members(place / site) for site in SITES}


def test_everybody_holds_the_same_list_and_a_certificate_for_its_own_keys(made: Path) -> None:
    authority = read_certificate((made / "C/front/ca.crt").read_bytes())
    assert len({one.digest for one in lists(made).values()}) == 1
    for site in SITES:
        own, leaf = read_secrets(made / site), certificate(made / site / "keys/tls.crt")
        demand_hospital(leaf, authority, AT)
        assert leaf.public_key() == own.tls.public_key()
        assert node_uri_of(leaf) == node_uri(node_bytes(own.node.public_key()))
        assert read_members(made / site).unsigned == [other for other in SITES if other != site]
    demand_front(certificate(made / "C/front/tls.crt"), authority, "127.0.0.1", AT)


def test_every_file_and_folder_is_for_its_owner_alone(made: Path) -> None:
    loose = [path for place in ("C", *SITES) for path in (made / place).rglob("*") if path.stat().st_mode & 0o077]
    assert not loose


def test_a_consortium_is_never_made_anew_over_its_keys(place: Path) -> None:
    before = (place / "C/authority/ca.key").read_bytes()
    with pytest.raises(SourceError, match="never made anew"):
        create("Aorta", place / "C", ["front.example"], 8443, AT, 10, 10)
    assert (place / "C/authority/ca.key").read_bytes() == before


@pytest.mark.parametrize("hosts", [[], [""], ["front example"], ["köln.example"]])
def test_a_host_that_cannot_stand_in_a_certificate_is_refused_and_nothing_is_made(
    hosts: list[str], tmp_path: Path
) -> None:
    with pytest.raises(StudyError):
        create("Aorta", tmp_path / "C", hosts, 8443, AT, 10, 10)
    assert not (tmp_path / "C/authority").exists()


def test_the_settings_say_where_the_front_is(made: Path) -> None:
    public = read_public(made / "C")
    assert (public.public_host, public.public_port, public.hosts) == ("127.0.0.1", 8443, ("127.0.0.1",))
    assert tomllib.loads((made / "C/server.toml").read_text())["front"]["port"] == 8443


def request(place: Path, name: str, folder: str | None = None) -> Path:
    return enrol(NodeSettings(name, "https://127.0.0.1:8443"), place / (folder or name), AT)


def test_one_who_joins_later_makes_the_next_version_and_is_compared_alone(place: Path) -> None:
    joined = sign([request(place, "Ulm")], place / "C", AT)
    assert [one.kind for one in joined.signed] == ["joined"] and joined.consortium.listed.version == 2
    everybody = {**hospitals(place), "Ulm": place / "Ulm"}
    accept_all(joined.replies, everybody, AT)
    for site in SITES:
        assert not_compared(site, accepted(place / site), read_marks(place / site)) == ["Ulm"]
        assert site in accepted(place / site).unsigned
    compare_all(place / "C", everybody)
    for site in everybody:
        assert site not in accepted(place / site).unsigned


def test_a_request_that_was_answered_is_answered_again_without_the_authority(place: Path) -> None:
    (place / "C/authority").rename(place / "away")
    again = sign([place / "Bonn/Bonn.request.json"], place / "C", AT)
    assert [one.kind for one in again.signed] == ["answered again"] and again.consortium.listed.version == 1
    accept(again.replies["Bonn"], place / "Bonn", AT)
    assert "Bonn" not in read_members(place / "Bonn").unsigned


@pytest.mark.parametrize(
    "command",
    [
        lambda place: sign([request(place, "Ulm")], place / "C", AT),
        lambda place: remove_member("Bonn", place / "C", AT),
        lambda place: renew(["Bonn"], False, place / "C", AT),
    ],
)
def test_what_needs_an_authority_that_was_moved_away_says_so_and_changes_nothing(
    command: Callable[[Path], object], place: Path
) -> None:
    (place / "C/authority").rename(place / "away")
    before = (place / "C/consortium.json").read_bytes()
    with pytest.raises(SourceError, match=r"ca\.key is not there.*Bring its folder .*authority back"):
        command(place)
    assert (place / "C/consortium.json").read_bytes() == before


def test_the_authority_of_another_consortium_is_not_signed_with(place: Path, tmp_path: Path) -> None:
    create("Vena", tmp_path / "V", ["front.example"], 8443, AT, 10, 10)
    shutil.rmtree(place / "C/authority")
    shutil.copytree(tmp_path / "V/authority", place / "C/authority")
    with pytest.raises(SourceError, match="another consortium"):
        renew(["Bonn"], False, place / "C", AT)


def test_two_requests_of_one_name_or_one_key_are_refused(place: Path) -> None:
    first, second = request(place, "Ulm"), request(place, "Ulm", "other")
    with pytest.raises(SourceError, match="two requests are of 'Ulm'"):
        sign([first, second], place / "C", AT)
    copied = place / "Trier.json"
    copied.write_text(json.dumps(make("Trier", read_secrets(place / "Ulm"), AT).table))
    with pytest.raises(SourceError, match="one key"):
        sign([first, copied], place / "C", AT)
    copied.write_text(json.dumps(make("Trier", read_secrets(place / "Bonn"), AT).table))
    with pytest.raises(SourceError, match="one key"):
        sign([copied], place / "C", AT)
    with pytest.raises(SourceError, match="one or two"):
        sign([request(place, "KÖLN", "capitals")], place / "C", AT)
    assert read_consortium(place / "C").listed.version == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', "[" * 100_000, '"\\ud800"', "{}" * 40_000])
def test_a_file_that_is_no_request_is_named(text: str, place: Path) -> None:
    (place / "bad.json").write_text(text)
    with pytest.raises(SourceError, match=r"bad\.json"):
        sign([place / "bad.json"], place / "C", AT)


def test_a_member_who_asks_with_other_keys_is_not_believed_unless_a_person_says_that_it_lost_them(
    place: Path,
) -> None:
    lost = request(place, "Bonn", "new Bonn")
    with pytest.raises(SourceError, match="--lost-key"):
        sign([lost], place / "C", AT)
    old = certificate(place / "Bonn/keys/tls.crt").serial_number
    joined = sign([lost], place / "C", AT, ["Bonn"])
    assert [one.kind for one in joined.signed] == ["replaced"] and old in revoked(place)
    everybody = {**hospitals(place), "Bonn": place / "new Bonn"}
    accept_all(joined.replies, everybody, AT)
    assert not_compared("Köln", accepted(place / "Köln"), read_marks(place / "Köln")) == ["Bonn"]
    with pytest.raises(HospitalError, match="keys that are not its own"):
        accept(joined.replies["Bonn"], place / "Bonn", AT)
    compare_all(place / "C", everybody)
    assert "Köln" not in accepted(place / "Köln").unsigned


def test_rotated_keys_that_the_old_ones_signed_need_no_telephone_and_the_old_ones_are_refused(place: Path) -> None:
    old, before = certificate(place / "Bonn/keys/tls.crt").serial_number, read_secrets(place / "Bonn").public
    file = rotate(place / "Bonn", AT)
    assert read_secrets(place / "Bonn").public == before
    joined = sign([file], place / "C", AT)
    assert [one.kind for one in joined.signed] == ["rotated"] and revoked(place) == {old}
    accept_all(joined.replies, hospitals(place), AT)
    after = read_secrets(place / "Bonn").public
    assert not {*before.table.values()} & {*after.table.values()}
    assert not list((place / "Bonn/keys/next").iterdir())
    for site in SITES:
        assert not not_compared(site, accepted(place / site), read_marks(place / site))
        assert site not in accepted(place / site).unsigned


def test_keys_that_were_rotated_away_never_come_back(place: Path) -> None:
    old = read_secrets(place / "Bonn")
    accept(sign([rotate(place / "Bonn", AT)], place / "C", AT).replies["Bonn"], place / "Bonn", AT)
    back = make("Bonn", old, AT, read_secrets(place / "Bonn"))
    (place / "back.json").write_text(json.dumps(back.table))
    with pytest.raises(SourceError, match="rotated away"):
        sign([place / "back.json"], place / "C", AT)


def test_two_rotations_in_a_row_are_carried_over_for_one_who_missed_the_first(place: Path) -> None:
    for _ in range(2):
        joined = sign([rotate(place / "Bonn", AT)], place / "C", AT)
        accept(joined.replies["Bonn"], place / "Bonn", AT)
    accept(joined.replies["Köln"], place / "Köln", AT)
    assert accepted(place / "Köln").version == 3
    assert not not_compared("Köln", accepted(place / "Köln"), read_marks(place / "Köln"))


def test_a_rotation_that_is_asked_for_twice_waits_with_the_same_keys(place: Path) -> None:
    first, second = (json.loads(rotate(place / "Bonn", AT).read_text()) for _ in range(2))
    assert first["keys"] == second["keys"] and first["nonce"] != second["nonce"]


def test_one_who_is_revoked_is_on_the_revocation_list_and_on_no_member_list(place: Path) -> None:
    old, number = certificate(place / "Bonn/keys/tls.crt").serial_number, crl_number(place)
    replies = remove_member("Bonn", place / "C", AT)
    assert revoked(place) == {old} and crl_number(place) == number + 1
    assert sorted(replies) == ["Aachen", "Köln"]
    assert not list((place / "C").rglob("Bonn*"))
    accept_all(replies, hospitals(place), AT)
    listed = accepted(place / "Köln")
    assert sorted(listed.members) == ["Aachen", "Köln"] and listed.version == 2
    assert "Köln" not in listed.unsigned
    with pytest.raises(UnknownNameError):
        remove_member("Bonn", place / "C", AT)


def test_one_who_left_may_come_back_and_one_who_was_revoked_may_not_with_the_same_keys(place: Path) -> None:
    shutil.copytree(place / "C", place / "D")
    remove_member("Bonn", place / "D", AT)
    with pytest.raises(SourceError, match="a key that was revoked"):
        sign([place / "Bonn/Bonn.request.json"], place / "D", AT)
    remove_member("Bonn", place / "C", AT, for_good=False)
    joined = sign([place / "Bonn/Bonn.request.json"], place / "C", AT)
    assert [one.kind for one in joined.signed] == ["joined"] and joined.consortium.listed.version == 3
    accept(joined.replies["Bonn"], place / "Bonn", AT)
    assert certificate(place / "Bonn/keys/tls.crt").serial_number not in revoked(place)


def test_renewal_gives_another_certificate_for_the_same_keys_and_leaves_list_and_signatures(place: Path) -> None:
    later, old = AT + timedelta(days=600), certificate(place / "Bonn/keys/tls.crt")
    replies = renew(["Bonn"], True, place / "C", later)
    assert list(replies) == ["Bonn"]
    before = read_members(place / "Bonn")
    accept(replies["Bonn"], place / "Bonn", later)
    new = certificate(place / "Bonn/keys/tls.crt")
    assert new.public_key() == old.public_key() and new.not_valid_after_utc > old.not_valid_after_utc
    assert read_members(place / "Bonn") == before and not revoked(place)
    assert certificate(place / "C/front/tls.crt").not_valid_after_utc > AT + timedelta(days=1000)


def test_what_runs_out_is_said_thirty_days_before_with_the_command_that_helps(made: Path) -> None:
    assert not expiry_warnings(made / "C", AT + timedelta(days=690))
    said = expiry_warnings(made / "C", AT + timedelta(days=701))
    assert len(said) == 5 and any('renew "Bonn"' in one for one in said)
    assert sum("renew --front" in one for one in said) == 2


def test_the_roster_that_is_printed_is_what_a_study_takes(made: Path) -> None:
    entries = tomllib.loads(roster_text(made / "C"))["federation"]["roster"]
    listed = read_members(made / "Köln")
    assert [RosterEntry(**one) for one in entries] == [
        RosterEntry(site, listed.members[site].roster_key) for site in SITES
    ]
    assert (
        parse('title = "T"\nrounds = 1\nsource = "heart"\n' + HEART + roster_text(made / "C")).federation.names
        == SITES
    )


HEART = 'task = { name = "classification", network = { name = "mlp", hidden = [4] } }\nstrategy = "fedavg"\n'


def test_everybody_is_listed_with_the_groups_that_it_reads_out(made: Path) -> None:
    consortium, found = rows(made / "C")
    assert [row.name for row in found] == [*SITES, "coordinator"] and consortium.listed.version == 1
    assert all(len(row.groups.split()) == 8 for row in found)


@pytest.mark.parametrize("at", range(13))
def test_a_command_that_is_cut_short_anywhere_is_finished_by_the_same_command(
    at: int, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The power fails before the write number `at`: whatever was written stays, nothing after it is."""
    file, left = rotate(place / "Bonn", AT), [at]

    class PowerLossError(Exception):
        pass

    def failing(original: Callable[..., object]) -> Callable[..., object]:
        def write(*args: object, **options: object) -> object:
            if not left[0]:
                raise PowerLossError
            left[0] -= 1
            return original(*args, **options)

        return write

    with monkeypatch.context() as patched:
        for name in ("write_issues", "write", "write_consortium", "write_members", "write_json"):
            patched.setattr(issuing, name, failing(getattr(issuing, name)))
        with pytest.raises(PowerLossError):
            sign([file], place / "C", AT)
    joined = sign([file], place / "C", AT)
    assert joined.consortium.listed.version == 2
    accept_all(joined.replies, hospitals(place), AT)
    leaf = certificate(place / "Bonn/keys/tls.crt")
    assert leaf.public_key() == read_secrets(place / "Bonn").tls.public_key()
    counting = [one.serial for one in read_issues(place / "C").certificates if one.name == "Bonn" and not one.revoked]
    assert counting == [leaf.serial_number] and leaf.serial_number not in revoked(place)
    for site in SITES:
        assert site not in accepted(place / site).unsigned


@pytest.mark.parametrize("name", ["consortium.json", "authority/issued.json", "authority/ca.key", "authority/ca.crt"])
@pytest.mark.parametrize("text", ["", "{}", "null", "[]"])
def test_a_damaged_file_of_the_coordinators_is_said_and_never_a_traceback(name: str, text: str, place: Path) -> None:
    (place / "C" / name).write_text(text)
    with pytest.raises(SourceError):
        renew(["Bonn"], False, place / "C", AT)


def test_a_folder_without_a_consortium_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="consortium create"):
        rows(tmp_path)


def test_links_out_of_the_coordinators_folder_are_not_followed(place: Path) -> None:
    outside = place / "outside"
    outside.mkdir()
    shutil.rmtree(place / "C/replies")
    (place / "C/replies").symlink_to(outside)
    with pytest.raises(access.FileError):
        sign([place / "Bonn/Bonn.request.json"], place / "C", AT)
    assert not list(outside.iterdir())
