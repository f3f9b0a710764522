from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from flwr.app import Message
from typer.testing import CliRunner

from client import app as client_app
from client.approved_studies import APPROVED, LOCK, approve_study, digest_of, list_study
from client.hospital import Hospital, open_hospital
from client.node import Config, Node, load_app
from common.errors import HospitalError, RefusedError
from common.study.study import Study, parse
from common.sums.exchange import Payload
from common.wire.message_bytes import from_bytes, identify, to_bytes
from common.wire.records import from_records, to_records
from common.wire.train_requests import LEGS, PROTOCOL_LEG
from experiments.cli import cli

TEXT = """
title = "Outlined"
rounds = 1
source = { name = "phantom", hospitals = 2, patients = [4], slices_per_patient = 1 }
task = { name = "segmentation", network = { name = "unet", channels = 2, depth = 1 } }
strategy = "fedavg"
aggregation = "plain"
privacy = { name = "dpsgd", epsilon = 1.0, delta = 1e-3 }
"""
DEPLOYED: Config = {"site-index": 0}
SIMULATED: Config = {"site-index": 0, "simulated": True}


@pytest.fixture
def study() -> Study:
    return parse(TEXT)


def said(study: Study, config: Config, folder: Path, leg: str = "query.hello") -> set[str]:
    """The words of a hospital's answer, as a rule to a greeting."""
    node = Node(load_app("client.app:app"), 1, 1, {**config, "folder": str(folder)})
    identify(1, 1)
    message = Message(to_records(Payload(words={"study": study.json})), 1, leg)
    reply = from_bytes(node.answer(to_bytes(message)))
    return set(from_records(reply.content, 1 << 20, 1 << 20).words)


def test_a_study_is_listed_once_by_the_digest_of_all_its_settings(study: Study, tmp_path: Path) -> None:
    digest = list_study(study, tmp_path / "own")
    assert list_study(study, tmp_path / "own") == digest == sha256(study.json.encode()).hexdigest()
    other = parse(TEXT, ["privacy.epsilon=2.0"])
    list_study(other, tmp_path / "own")
    lines = (tmp_path / "own" / APPROVED).read_text().splitlines()
    assert lines == [f"{digest}  Outlined", f"{digest_of(other.json)}  Outlined"]
    assert (tmp_path / "own").stat().st_mode & 0o077 == 0


def test_a_line_without_its_end_keeps_its_digest(study: Study, tmp_path: Path) -> None:
    (tmp_path / APPROVED).write_text("0" * 64)
    list_study(study, tmp_path)
    assert (tmp_path / APPROVED).read_text() == f"{'0' * 64}\n{digest_of(study.json)}  Outlined\n"
    approve_study(study.json, tmp_path, needs_list=True)


def test_a_list_that_cannot_be_kept_is_an_error_that_names_it_and_changes_nothing(
    study: Study, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(HospitalError, match=r"not approved: .*file"):
        list_study(study, tmp_path / "file")
    (tmp_path / APPROVED).write_bytes(b"\xff\xfe0\x00")
    with pytest.raises(HospitalError, match=r"approved-studies\.txt is no list"):
        list_study(study, tmp_path)
    assert (tmp_path / APPROVED).read_bytes() == b"\xff\xfe0\x00"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([APPROVED, LOCK, "file"])


def test_a_list_is_for_its_owner_alone_and_a_byte_order_mark_does_no_harm(study: Study, tmp_path: Path) -> None:
    digest = list_study(study, tmp_path)
    assert (tmp_path / APPROVED).stat().st_mode & 0o077 == 0
    (tmp_path / APPROVED).write_bytes(b"\xef\xbb\xbf" + digest.upper().encode() + b"\r\n")
    approve_study(study.json, tmp_path, needs_list=True)


def test_only_listed_studies_are_served_where_there_is_a_list(study: Study, tmp_path: Path) -> None:
    approve_study(study.json, None, needs_list=False)
    approve_study(study.json, tmp_path, needs_list=False)
    for folder in (None, tmp_path):
        with pytest.raises(RefusedError, match="wardround approve"):
            approve_study(study.json, folder, needs_list=True)
    (tmp_path / APPROVED).write_text("0" * 64 + "  another\n\n")
    for needs_list in (False, True):
        with pytest.raises(RefusedError, match="not one of those"):
            approve_study(study.json, tmp_path, needs_list)


def test_a_deployed_hospital_says_nothing_about_itself_until_the_study_is_approved(
    study: Study, tmp_path: Path
) -> None:
    assert "site" in said(study, SIMULATED, tmp_path)
    assert said(study, DEPLOYED, tmp_path) == {"refused"}
    assert "wardround approve" in (tmp_path / "refusals.log").read_text()
    list_study(study, tmp_path)
    assert "site" in said(study, DEPLOYED, tmp_path)
    weaker = parse(TEXT, ["privacy.epsilon=50.0"])
    assert said(weaker, DEPLOYED, tmp_path) == {"refused"}


@pytest.mark.parametrize("leg", [*LEGS.values(), PROTOCOL_LEG])
def test_on_no_leg_is_anything_opened_for_a_study_that_is_not_approved(
    leg: str, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def noticed(study_json: str, *_: object) -> Hospital:
        opened.append(study_json)
        return open_hospital(study_json, 0)

    monkeypatch.setattr(client_app, "open_hospital", noticed)
    assert said(study, DEPLOYED, tmp_path, leg) == {"refused"}
    assert not opened
    list_study(study, tmp_path)
    said(study, DEPLOYED, tmp_path, leg)
    assert opened == [study.json]


def test_a_node_that_calls_itself_a_partition_is_simulated_inside_ray_alone(study: Study, tmp_path: Path) -> None:
    numbered: Config = {"partition-id": 0, "num-partitions": 2}
    assert said(study, numbered, tmp_path) == {"refused"}
    assert "wardround approve" in (tmp_path / "refusals.log").read_text()


def test_the_command_approves_exactly_what_a_run_with_the_same_settings_sends(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(TEXT)
    (tmp_path / "own").mkdir()
    result = CliRunner().invoke(cli, ["approve", str(file), str(tmp_path / "own"), "--set", "rounds=2"])
    assert result.exit_code == 0, result.output
    approve_study(parse(TEXT, ["rounds=2"]).json, tmp_path / "own", needs_list=True)
    with pytest.raises(RefusedError):
        approve_study(parse(TEXT).json, tmp_path / "own", needs_list=True)
