"""What a person sees who enrols a hospital, and what happens to whoever mistypes, misreads or forgets something."""

from __future__ import annotations

import shutil
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from client.enrolment.comparing import accepted
from common.consortium.certificates import now
from common.consortium.fingerprints import digests_of, groups_of
from experiments.cli import cli
from experiments.coordinator import consortium
from experiments.hospital import enrolment, node_process
from tests.own_consortium import found_consortium

AT = now()
SITES = ("Aachen", "Bonn")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    found_consortium("Aorta", folder / "C", {site: folder / site for site in SITES}, at=AT)
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "place")


def said(*words: object, typed: str = "", code: int = 0) -> str:
    result: Result = CliRunner().invoke(cli, [str(word) for word in words], input=typed)
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def groups(folder: Path, name: str) -> str:
    return groups_of(digests_of(accepted(folder))[name])


def test_from_keys_to_a_signed_list_by_commands_alone(tmp_path: Path) -> None:
    folder = tmp_path / "C"
    text = said("consortium", "create", "Aorta", "--folder", folder, "--host", "front.example", "--port", 9443)
    assert "https://front.example:9443" in text and "move it where only you can reach it" in text
    requests = []
    for site in SITES:
        own = tmp_path / site
        text = said("node", "enrol", site, "--folder", own, "--coordinator", "https://front.example:9443")
        requests.append(own / f"{site}.request.json")
        assert str(requests[-1]) in text
    text = said("consortium", "sign", *requests, "--folder", folder)
    assert "Aachen (joined)" in text and "Bonn (joined)" in text
    for site in SITES:
        text = said("node", "accept", folder / f"replies/{site}.reply.json", "--folder", tmp_path / site)
        assert f"{groups(tmp_path / site, site)} {site} (yours, to read out)" in text
        assert "coordinator (to be compared)" in text
    for site, other in (SITES, SITES[::-1]):
        spoken = groups(tmp_path / other, other)
        text = said("node", "accept", "--folder", tmp_path / site, "--compare", other, typed=f"{spoken}\n")
        assert f"{other} is compared" in text and "Left to compare by telephone: coordinator" in text
        spoken = groups(tmp_path / other, "coordinator")
        text = said("node", "accept", "--folder", tmp_path / site, "--compare", "coordinator", typed=f"{spoken}\n")
        assert "this hospital has signed the member list" in text
        assert site not in accepted(tmp_path / site).unsigned
    roster = tomllib.loads(CliRunner().invoke(cli, ["consortium", "roster", "--folder", str(folder)]).output)
    assert [one["name"] for one in roster["federation"]["roster"]] == list(SITES)
    assert "certificate until" in said("consortium", "list", "--folder", folder)


def uncompared(place: Path) -> Path:
    for name in ("members.json", "compared.json"):
        (place / "Aachen" / name).unlink()
    said("node", "accept", place / "C/replies/Aachen.reply.json", "--folder", place / "Aachen")
    return place / "Aachen"


def test_three_wrong_tries_say_what_they_mean_and_mark_nothing(place: Path) -> None:
    own = uncompared(place)
    wrong = "1111 2222 3333 4444 5555 6666 7777 8888\n"
    text = said("node", "accept", "--folder", own, "--compare", "Bonn", typed=3 * wrong, code=1)
    assert "2 tries are left" in text and "one try is left" in text and "no try is left" in text
    assert "Three wrong tries" in text and "do not go on" in text
    assert groups(own, "Bonn") not in text
    assert "Bonn (to be compared)" in said("node", "accept", "--folder", own)


def test_a_slip_is_forgiven_within_three_tries_and_so_are_dashes(place: Path) -> None:
    own = uncompared(place)
    right = groups(own, "Bonn").replace(" ", "-")
    text = said("node", "accept", "--folder", own, "--compare", "Bonn", typed=f"12\nabc\n {right} \n")
    assert "Bonn is compared" in text


def test_a_terminal_that_ends_before_anything_was_typed_ends_the_command_without_a_traceback(place: Path) -> None:
    own = uncompared(place)
    result = CliRunner().invoke(cli, ["node", "accept", "--folder", str(own), "--compare", "Bonn"], input="")
    assert result.exit_code == 1 and "Traceback" not in result.output


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("node", "accept", "--folder", "Aachen", "--compare", "Bon"), "did you mean 'Bonn'"),
        (("node", "accept", "--folder", "nowhere"), "node.toml"),
        (("node", "accept", "absent.json", "--folder", "Aachen"), "absent.json"),
        (("node", "rotate", "--folder", "nowhere"), "node.toml"),
        (("consortium", "list", "--folder", "nowhere"), "consortium create"),
        (("consortium", "revoke", "Aahen", "--folder", "C"), "did you mean 'Aachen'"),
        (("consortium", "renew", "Trier", "--folder", "C"), "No member 'Trier'"),
        (("consortium", "sign", "C/server.toml", "--folder", "C"), "server.toml was not signed"),
        (("node", "enrol", "a/b", "--folder", "x", "--coordinator", "https://x"), "a/b"),
    ],
)
def test_what_cannot_be_is_answered_in_a_sentence(
    words: tuple[str, ...], answer: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    assert answer in said(*words, code=1)


def test_rotating_renewing_leaving_and_revoking_by_commands(place: Path) -> None:
    coordinator, own = place / "C", place / "Bonn"
    assert "present ones signed it" in said("node", "rotate", "--folder", own)
    assert "Bonn (rotated)" in said("consortium", "sign", own / "Bonn.request.json", "--folder", coordinator)
    for site in SITES:
        text = said("node", "accept", coordinator / f"replies/{site}.reply.json", "--folder", place / site)
        assert "Bonn: has new keys." in text and "Everybody is compared" in text
    assert "revocation list" in said("consortium", "renew", "--all", "--front", "--folder", coordinator)
    assert "Bonn is no longer a member" in said("consortium", "leave", "Bonn", "--folder", coordinator)
    text = said("node", "accept", coordinator / "replies/Aachen.reply.json", "--folder", place / "Aachen")
    assert "Bonn: no longer a member." in text
    assert "Aachen is revoked" in said("consortium", "revoke", "Aachen", "--folder", coordinator)


def test_a_lost_key_is_asked_about_before_it_is_taken(place: Path) -> None:
    said("node", "enrol", "Bonn", "--folder", place / "new", "--coordinator", "https://127.0.0.1:8443")
    request = place / "new/Bonn.request.json"
    assert '--lost-key "Bonn"' in said("consortium", "sign", request, "--folder", place / "C", code=1)
    text = said("consortium", "sign", request, "--folder", place / "C", "--lost-key", "Bonn")
    assert "Bonn (replaced)" in text


def test_what_runs_out_soon_is_said_where_people_look(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (consortium, enrolment):
        monkeypatch.setattr(module, "now", lambda: AT + timedelta(days=720))
    assert 'wardround consortium renew "Bonn"' in said("consortium", "list", "--folder", place / "C")
    assert "this hospital's certificate runs out on" in said("node", "accept", "--folder", place / "Aachen")


def test_a_node_says_every_day_what_runs_out(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    days = iter((701, 702))

    def sleep(seconds: float) -> None:
        assert seconds == 86400
        if len(caplog.messages) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(node_process, "sleep", sleep)
    monkeypatch.setattr(node_process, "now", lambda: AT + timedelta(days=next(days)))
    with pytest.raises(KeyboardInterrupt):
        node_process._warn_daily(place / "Aachen")
    assert ["in 29 days" in caplog.messages[0], "in 28 days" in caplog.messages[1]] == [True, True]


def test_the_help_names_every_step() -> None:
    for group, names in (
        ("node", ("enrol", "rotate", "accept")),
        ("consortium", ("create", "sign", "revoke", "leave", "renew", "list", "roster")),
    ):
        text = said(group, "--help")
        assert all(name in text for name in names)


def test_folders_and_files_of_the_other_side_are_told_apart_before_anything_is_written(place: Path) -> None:
    own, coordinator = place / "Aachen", place / "C"
    before = sorted(coordinator.rglob("*"))
    text = said("node", "enrol", "Xanten", "--folder", coordinator, "--coordinator", "https://front:8443", code=1)
    assert "a coordinator's folder" in text and sorted(coordinator.rglob("*")) == before
    assert "a hospital's folder" in said("consortium", "create", "B", "--folder", own, "--host", "front", code=1)
    assert "is no coordinator's folder" in said("server", "up", "--folder", own, code=78)
    request = own / "Aachen.request.json"
    assert "enrolment reply 1' is needed" in said("node", "accept", request, "--folder", own, code=1)
