"""What a deployed hospital's log says of the requests of a coordinator, and what it never says."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from client import audit_log
from client.approved_studies import APPROVED
from client.audit_log import lines, verify
from common.sums.exchange import Payload
from common.wire.train_requests import RUN
from tests.client.played_rounds import SECAGG, SITES, VICTIM, Federation, images, study_of

SECRET = "Mustermann-1953"


@pytest.fixture
def played(tmp_path: Path) -> Federation:
    place = tmp_path / SECRET
    place.mkdir()
    return Federation(study_of(images(place), tmp_path / "own", f"aggregation={SECAGG}"), tmp_path / "own")


def facts(played: Federation) -> list[dict[str, object]]:
    return [dict(line.facts) for line in lines(played.own / VICTIM)]


def test_every_leg_of_a_round_is_a_line_with_its_bytes(played: Federation) -> None:
    played.hello()
    played.rounds(1)
    found = facts(played)
    legs = ["query.hello", "keys", "shares", "train.round", "survivors", "unmask"]
    assert [one["leg"] for one in found] == legs
    assert {one["event"] for one in found} == {"answered"}
    assert {one["study"] for one in found} == {sha256(played.study.json.encode()).hexdigest()}
    assert [one["round"] for one in found] == [0, 1, 1, 1, 1, 1]
    parameters = 4 * played.state[0].size
    assert all(one["bytes_in"] > 0 for one in found)  # type: ignore[operator]
    assert found[3]["bytes_in"] > 2 * parameters  # type: ignore[operator]
    assert found[3]["bytes_out"] > 2 * parameters  # type: ignore[operator]
    assert verify(played.own / VICTIM).fault is None


def test_what_fails_is_an_incidents_number_or_a_word_of_the_list_and_nothing_else_of_it(played: Federation) -> None:
    """An exception's text with the place of the data, a study that is not approved, and hostile words."""
    (Path(played.study.source.options["folder"]) / "tiny.npz").unlink()
    played.restart(VICTIM)
    hello = Payload(words={"study": played.study.json, RUN: played.run})
    assert "incident" in played.answer("hello", VICTIM, hello).words
    (played.own / VICTIM / APPROVED).write_text("")
    assert played.answer("hello", VICTIM, hello).words == {"refused": "approval"}
    hostile = Payload(numbers={"round": -7}, words={"study": SECRET, RUN: SECRET, "leg": f"{SECRET}\n\x1b[2J"})
    assert "incident" in played.answer("hello", VICTIM, hostile).words
    found = facts(played)
    assert [one["event"] for one in found] == ["failed", "refused", "failed"]
    assert (found[2]["run"], found[2]["round"], found[2]["leg"]) == ("", 0, "query.hello")
    incidents = (played.own / VICTIM / "incidents.log").read_text()
    assert SECRET in incidents and all(str(found[one]["incident"]) in incidents for one in (0, 2))
    written = b"".join(path.read_bytes() for path in (played.own / VICTIM).glob("log.*"))
    assert SECRET.encode() not in written and str(played.own).encode() not in written
    assert b"hospital-1" not in written


def test_what_cannot_be_logged_is_not_answered(played: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    hello = Payload(words={"study": played.study.json, RUN: played.run})
    with monkeypatch.context() as patch:
        patch.setattr(audit_log.files, "append_durably", full)
        reply = played.answer("hello", VICTIM, hello)
    assert set(reply.words) == {"incident"} and not reply.numbers
    assert "nothing goes out" in (played.own / VICTIM / "incidents.log").read_text()
    assert reply.words["incident"] in (played.own / VICTIM / "incidents.log").read_text()  # type: ignore[operator]
    assert "site" in played.answer("hello", VICTIM, hello).words


def test_a_simulated_hospital_keeps_no_log(played: Federation) -> None:
    played.context(SITES[1]).node_config["simulated"] = True
    played.answer("hello", SITES[1], Payload(words={"study": played.study.json, RUN: played.run}))
    assert not (played.own / SITES[1] / "log.jsonl").exists()
