"""What a hospital keeps of cases that it could not use, and that none of it leaves."""

from __future__ import annotations

import stat
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict

from client import app as hospital_app
from client.approved_studies import APPROVED
from client.excluded_cases import keep_left_out
from client.node import Node
from client.protocol_context import SIMULATED_FOLDERS, log_folder_of
from client.source import reasons
from common.data.cases import Cases, Quarantined
from common.wire.message_bytes import identify, name_message, to_bytes

TWO = (Quarantined("p1", "no\nmask"), Quarantined("p2", "Jane Doe's slope is 1.2"))


def cases(quarantined: tuple[Quarantined, ...], removed: list[list[int]] | None = None) -> Cases:
    held = 2 if removed is None else len(removed)
    columns = {} if removed is None else {"removed": np.array(removed, np.int64)}
    inputs, targets = np.zeros((held, 3), np.float32), np.zeros(held, np.int64)
    return Cases.of(inputs, targets, ["a"] * held, ("no", "yes"), quarantined=quarantined, **columns)


def test_every_case_has_one_line_with_its_reason_for_the_owner_alone(tmp_path: Path) -> None:
    keep_left_out(tmp_path, [cases(TWO), cases(TWO)])
    file = tmp_path / "quarantined.txt"
    assert file.read_text() == "p1\tno mask\np2\tJane Doe's slope is 1.2\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_start_without_any_empties_the_file_of_the_last_and_makes_none(tmp_path: Path) -> None:
    keep_left_out(tmp_path, [cases(TWO)])
    keep_left_out(tmp_path, [cases(())])
    assert (tmp_path / "quarantined.txt").read_text() == ""
    keep_left_out(tmp_path / "other", [cases(())])
    assert not (tmp_path / "other").exists()


def test_what_preprocessing_cut_away_is_added_up_by_class(tmp_path: Path) -> None:
    keep_left_out(tmp_path, [cases((), [[0, 5], [0, 7]]), cases((), [[0, 0]])])
    assert (tmp_path / "removed.txt").read_text() == "yes\t12 voxels of 2 cases\n"


def test_a_folder_that_cannot_be_written_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    keep_left_out(tmp_path / "file", [cases(TWO)])
    assert "p2" in caplog.text


def test_of_a_deployed_hospitals_error_a_number_leaves_and_the_text_stays(tmp_path: Path) -> None:
    """An approved study that it cannot even parse: the error's text would hold what arrived."""
    (tmp_path / APPROVED).write_text(sha256(b'{"title": "Jane Doe"}').hexdigest())
    node = Node(hospital_app.app, 2, 1, {"site-index": 0, "folder": str(tmp_path), "data-folder": "/Jane-Doe"})
    identify(1, 1)
    message = Message(RecordDict({"words": ConfigRecord({"study": '{"title": "Jane Doe"}'})}), 2, "query.hello")
    name_message(message, 1, "m")
    reply = node.answer(to_bytes(message))
    log = (tmp_path / "incidents.log").read_text()
    head = log.splitlines()[0]
    assert head.startswith("incident ") and "Error: " in head
    assert head.split()[1].encode() in reply
    assert b"Error" not in reply and b"Jane" not in reply


def test_only_inside_our_own_simulation_the_environment_says_where_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SIMULATED_FOLDERS, '["/elsewhere"]')
    deployed = Context(1, 2, {"site-index": 0, "partition-id": 0}, RecordDict(), {})
    assert log_folder_of(deployed) is None
    own = Context(1, 2, {"partition-id": 0, "folder": "/own"}, RecordDict(), {})
    assert log_folder_of(own) == Path("/own")


def test_reasons_of_one_kind_are_told_once_with_their_number() -> None:
    alike = [Quarantined(name, f"there is no labels/{name}.nii.gz") for name in ("a", "b", "c")]
    assert reasons([*alike, Quarantined("d", "is broken")]) == [
        "(a: there is no labels/a.nii.gz; 2 more alike)",
        "(d: is broken)",
    ]
