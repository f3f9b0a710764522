"""Attacks on what a hospital agreed to: another program, plug-in, bit, list, roster or clock."""

from __future__ import annotations

import builtins
import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

import pytest
from flwr.app import Message

from client import admission, hours
from client import app as client_app
from client.approvals import FOLDER, approval_now, keep_approval, read_approval
from client.approved_studies import APPROVED, digest_of, list_study, unlist
from client.node import Node, load_app
from client.policy import POLICY_FILE
from client.waiting_studies import decline, waiting
from common.study import plugins, program
from common.study.plugins import ANYTHING, trusting
from common.study.program import this_program
from common.study.study import Study, parse
from common.sums.exchange import Payload
from common.wire.message_bytes import from_bytes, identify, to_bytes
from common.wire.records import from_records, to_records
from common.wire.train_requests import LEGS, PROTOCOL_LEG

KEY = "a" * 64
TEXT = """
title = "Pinned"
rounds = 2
source = { name = "phantom", hospitals = 2, patients = [4], slices_per_patient = 1, size = 16 }
task = { name = "segmentation", network = { name = "unet", channels = 2, depth = 1 } }
strategy = "fedavg"
aggregation = "plain"
privacy = "none"
"""
RUN = "f" * 32
EVERY_LEG = [*LEGS.values(), PROTOCOL_LEG]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "own").mkdir(mode=0o700)
    return tmp_path / "own"


@pytest.fixture
def study() -> Study:
    return parse(TEXT)


def ask(own: Path, study_json: str, leg: str = "query.hello", number: int = 0) -> Payload:
    """What a deployed node answers, which was started as a real one is."""
    node = Node(load_app("client.app:app"), 1, 1, {"site-index": 0, "folder": str(own)})
    identify(1, 1)
    payload = Payload(None, {"round": number}, {"study": study_json, "run": RUN, "leg": "keys"})
    reply = from_bytes(node.answer(to_bytes(Message(to_records(payload), 1, leg))))
    return from_records(reply.content, 1 << 20, 1 << 20)


def refused(own: Path, study_json: str, leg: str = "query.hello", number: int = 0) -> object:
    return ask(own, study_json, leg, number).words.get("refused")


@pytest.fixture
def nothing_happens(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whatever a study could start is written down: a build, a hospital, an import, an entry, a plug-in."""
    for name in ("client.app", "client.handlers", "client.hospital"):
        import_module(name)
    did: list[str] = []
    real = builtins.__import__

    def noted(what: str):  # type: ignore[no-untyped-def]
        def instead(*args: object, **_: object) -> object:
            did.append(f"{what} {args[-1:]}")
            raise AssertionError(what)

        return instead

    def importing(name: str, *rest: object) -> object:
        if name not in sys.modules:
            did.append(f"import {name}")
        return real(name, *rest)  # type: ignore[arg-type]

    from common.study import catalogue
    from common.study import study as studies

    monkeypatch.setattr(client_app, "open_hospital", noted("open_hospital"))
    monkeypatch.setattr(studies, "_built", noted("build"))
    monkeypatch.setattr(catalogue.Catalogue, "load", noted("load"))
    monkeypatch.setattr(plugins.Reference, "files", noted("plug-in"))
    monkeypatch.setattr(builtins, "__import__", importing)
    return did


def planted(tmp_path: Path, study: Study) -> dict[str, object]:
    """A study that names code of its own wherever it can, and a file that leaves a mark when it is run."""
    mark = tmp_path / "was-run"
    (tmp_path / "evil.py").write_text(f"from pathlib import Path\nPath({str(mark)!r}).write_text('x')\n")
    table: dict[str, object] = json.loads(study.json)
    table |= {key: {"name": f"{tmp_path / 'evil.py'}:Evil"} for key in ("source", "task", "strategy", "aggregation")}
    return table


@pytest.mark.parametrize("leg", EVERY_LEG)
def test_of_a_study_that_is_not_approved_nothing_is_built_or_imported_on_any_leg(
    own: Path, tmp_path: Path, study: Study, leg: str, nothing_happens: list[str]
) -> None:
    for sent in (json.dumps(planted(tmp_path, study)), "no study", "[1]", "{}", "[" * 50_000):
        assert refused(own, sent, leg, 1) == "approval"
    assert nothing_happens == [] and not (tmp_path / "was-run").exists()


@pytest.mark.parametrize("leg", EVERY_LEG)
def test_of_a_study_that_was_approved_with_another_program_nothing_is_built(
    own: Path, study: Study, leg: str, nothing_happens: list[str]
) -> None:
    list_by_hand(own, study)
    keep_approval(replace(approval_now(study.json, "", {}), program="0" * 64), own)
    assert refused(own, study.json, leg, 1) == "program"
    assert nothing_happens == []


def list_by_hand(own: Path, study: Study) -> None:
    (own / APPROVED).write_text(digest_of(study.json))


def test_what_is_planted_is_seen_where_it_happens(own: Path, study: Study, nothing_happens: list[str]) -> None:
    """The watch works: an approved study is built."""
    list_by_hand(own, study)
    assert "incident" in ask(own, study.json).words
    assert nothing_happens


def test_an_approved_study_is_served_by_the_program_of_its_approval_and_says_which(own: Path, study: Study) -> None:
    list_study(study, own)
    words = ask(own, study.json).words
    assert words["program"] == this_program().digest and words["program_versions"] == this_program().words


def test_after_an_update_it_refuses_until_its_people_agree_anew(
    own: Path, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_study(study, own)
    newer = replace(this_program(), digest="9" * 64, version="9.9.9")
    monkeypatch.setattr(admission, "this_program", lambda: newer)
    assert refused(own, study.json) == "program"
    assert "approve the study once more" in (own / "refusals.log").read_text()
    monkeypatch.setattr("client.approvals.this_program", lambda: newer)
    list_study(study, own)
    assert refused(own, study.json) is None


def test_a_program_that_changes_on_the_disk_while_the_node_runs_is_refused(
    own: Path, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_study(study, own)
    assert refused(own, study.json) is None
    monkeypatch.setattr(program, "_signature", lambda: frozenset({("client/app.py", 1, 2, 3)}))
    assert refused(own, study.json) == "program"


def test_a_study_may_demand_programs_and_the_hospital_checks_its_own(own: Path) -> None:
    mine = this_program().digest
    for listed, word in ((["0" * 64], "program"), (["0" * 64, mine], None)):
        asked = parse(TEXT, [f"federation.programs={json.dumps(listed)}"])
        list_study(asked, own)
        assert refused(own, asked.json) == word


@pytest.mark.parametrize("demand", ["x", 7, {}, [], [None]])
def test_a_demand_that_is_none_is_not_met(own: Path, study: Study, demand: object) -> None:
    table = json.loads(study.json)
    table["federation"]["programs"] = demand
    sent = json.dumps(table)
    (own / APPROVED).write_text(digest_of(sent))
    assert refused(own, sent) == "program"


WARD = """
from dataclasses import dataclass
from client.sources.phantom import Phantom

@dataclass(frozen=True)
class Ward(Phantom):
    "A phantom."

source = Ward
"""


def test_a_plug_in_that_changed_after_the_approval_is_refused_and_not_run(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pinned_ward.py").write_text(WARD)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(plugins, "_digests", {})
    (own / POLICY_FILE).write_text('plugins = ["pinned_ward"]\n')
    with trusting(ANYTHING):
        asked = parse(TEXT, ['source={name="pinned_ward:Ward", hospitals=2, patients=[4], size=16}'])
    list_study(asked, own)
    assert ask(own, asked.json).words["site"]
    mark = tmp_path / "was-run"
    (tmp_path / "pinned_ward.py").write_text(f"open({str(mark)!r}, 'w')\n{WARD}")
    plugins._digests.clear()
    sys.modules.pop("pinned_ward")
    assert refused(own, asked.json) == "program"
    assert not mark.exists() and "pinned_ward" not in sys.modules
    (own / POLICY_FILE).write_text("plugins = []\n")
    assert refused(own, asked.json) == "program"


def test_a_study_that_differs_by_one_bit_is_another_study(own: Path, study: Study) -> None:
    list_study(study, own)
    sent = study.json.encode()
    for place in range(0, len(sent), 7):
        changed = bytes([*sent[:place], sent[place] ^ 1, *sent[place + 1 :]])
        assert refused(own, changed.decode()) == "approval"
    assert refused(own, study.json + " ") == refused(own, " " + study.json) == "approval"


def test_a_revoked_study_is_refused_from_the_next_message_on(own: Path, study: Study) -> None:
    list_study(study, own)
    assert refused(own, study.json) is None
    unlist(digest_of(study.json), own)
    assert [refused(own, study.json, leg, 1) for leg in EVERY_LEG] == ["approval"] * len(EVERY_LEG)


def test_a_declined_study_says_that_and_never_why(own: Path, study: Study) -> None:
    list_study(study, own)
    decline(digest_of(study.json), "Dr Smith does not trust you", own)
    answer = ask(own, study.json)
    assert answer.words == {"refused": "declined"} and not answer.numbers
    assert "Dr Smith" in (own / "refusals.log").read_text()


def test_a_list_that_is_a_link_lists_nothing(own: Path, tmp_path: Path, study: Study) -> None:
    (tmp_path / "theirs.txt").write_text(digest_of(study.json))
    (own / APPROVED).symlink_to(tmp_path / "theirs.txt")
    answer = ask(own, study.json)
    assert answer.words.keys() == {"incident"} and "site" not in answer.words


@pytest.mark.parametrize("damage", ["link", "not JSON", "{}", "another study's", "of more"])
def test_a_record_of_an_approval_that_was_tampered_with_serves_nothing(
    own: Path, tmp_path: Path, study: Study, damage: str
) -> None:
    digest = list_study(study, own)
    place, record = own / FOLDER / f"{digest}.json", read_approval(own, digest)
    assert record is not None
    before = place.read_text()
    place.unlink()
    if damage == "link":
        (tmp_path / "theirs.json").write_text(before)
        place.symlink_to(tmp_path / "theirs.json")
    else:
        other = json.dumps({**json.loads(before), "study": parse(TEXT, ["rounds=3"]).json})
        more = json.dumps({**json.loads(before), "extra": 1})
        place.write_text({"another study's": other, "of more": more}.get(damage, damage))
    assert ask(own, study.json).words.keys() == {"incident"}


def test_a_coordinator_that_lies_about_the_roster_sends_another_study(own: Path) -> None:
    """Who is in a round follows from the approved study: with one hospital or key more it is none that is listed."""
    honest = parse(TEXT, [f'federation.roster=[{{name="hospital-0", key="{KEY}"}}, {{name="b", key="{"b" * 64}"}}]'])
    list_study(honest, own)
    for name, key in (("mallory", "c" * 64), ("b", "c" * 64)):
        table = json.loads(honest.json)
        table["federation"]["roster"][1] = {"name": name, "key": key, "group": ""}
        assert refused(own, json.dumps(table, sort_keys=True)) == "approval"


def test_what_waits_is_kept_as_it_came_and_once(own: Path, study: Study) -> None:
    for _ in range(3):
        assert refused(own, study.json) == "approval"
    (kept,) = waiting(own)
    assert kept.study == study.json and kept.title == "Pinned"
    assert "wardround approve" in (own / "refusals.log").read_text()
    assert len((own / "refusals.log").read_text().splitlines()) == 1


def test_a_full_disk_keeps_no_answer_back(own: Path, study: Study) -> None:
    (own / "waiting").write_text("no folder")
    assert refused(own, study.json) == "approval"


def test_hours_are_kept_against_a_clock_that_is_set_back(
    own: Path, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    window = f"{now + timedelta(hours=2):%H:%M}-{now + timedelta(hours=3):%H:%M}"
    (own / POLICY_FILE).write_text(f'hours = "{window}"\ntime_zone = "UTC"\n')
    list_study(study, own)
    assert refused(own, study.json) == "hours"

    class Back(datetime):
        @classmethod
        def now(cls, tz=None):  # type: ignore[no-untyped-def, override]
            return now - timedelta(hours=21, minutes=30)

    monkeypatch.setattr(hours, "datetime", Back)
    assert refused(own, study.json) == "hours"
    assert "it was set back" in (own / "refusals.log").read_text()


def test_a_policy_that_cannot_be_read_serves_nothing(own: Path, study: Study) -> None:
    list_study(study, own)
    (own / POLICY_FILE).write_text("tasks = [")
    assert ask(own, study.json).words.keys() == {"incident"}
