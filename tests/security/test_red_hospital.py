"""Attacks of a cheating coordinator and a careless insider on one hospital: each worked before it was mended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from client import _log_files as files
from client import delivered_models as kept_models
from client import incidents
from client.approved_studies import digest_of, listed_digests
from client.audit_log import lines, note, verify
from client.delivered_models import place_of
from client.policy_rules import broken
from client.waiting_studies import keep_waiting
from common.errors import FileError, RefusedError, StudyError, WireError
from common.files.tensor_files import read_tensors
from common.study.study import parse_json
from common.sums.identity import read_key
from common.wire.handed_model import HandedModel, from_payload
from common.wire.handed_model import to_payload as handed
from common.wire.train_requests import Order, to_payload
from experiments.cli import cli
from experiments.pages.hospital import log_reading
from experiments.pages.hospital.log_reading import LogReader
from experiments.pages.hospital.node_app import node_app
from server.reporting.records import About, Round, Run
from tests.client.played_rounds import FEDAVG, VICTIM, Federation, images, study_of
from tests.client.test_policy_rules import policy, study, words
from tests.experiments.pages_asked import Asked


@pytest.fixture
def played(tmp_path: Path) -> Federation:
    asked = study_of(images(tmp_path), tmp_path / "own", 'strategy="fedavg"', 'privacy="none"')
    return Federation(asked, tmp_path / "own", work=FEDAVG)


RUN_WORD = "f" * 32
UNBOUNDED = "largest_epsilon_a_person = { epsilon = 100.0, delta = 1e-3 }"


@pytest.mark.parametrize(
    ("rules", "overrides", "word"),
    [
        ("required_sums = true", ('aggregation="ckks"', 'privacy="none"'), "sums"),
        ("required_sums = true", ('aggregation={name="bfv",keys="shared"}', 'privacy="none"'), "sums"),
        ("required_sums = true", ('federation.groups="off"', 'privacy="none"'), "sums"),
        ("required_sums = true", ('privacy={name="hospital", epsilon=1.0}',), "sums"),
        ("required_noise = {}", ('privacy={name="dpsgd", noise_multiplier=1e-9}',), "noise"),
        ("required_noise = {}", ('privacy={name="dpsgd", epsilon=1e6}',), "noise"),
        (UNBOUNDED, ('privacy="none"',), "person"),
        ("own_scores = false", ('aggregation="ckks"', 'privacy="none"'), "scores"),
        ("own_scores = false", ('federation.groups="off"', 'privacy="none"'), "scores"),
        ("own_scores = false", ("federation.evaluate_every=1",), "scores"),
    ],
)
def test_a_rule_is_not_kept_in_name_alone(tmp_path: Path, rules: str, overrides: tuple[str, ...], word: str) -> None:
    assert word in words(tmp_path, rules, *overrides)


def test_who_trusts_the_coordinator_with_noise_may_still_demand_sums(tmp_path: Path) -> None:
    rules = policy(tmp_path, "required_sums = true\nrequired_noise = { trusts_coordinator = true }")
    assert broken(study('privacy={name="hospital", epsilon=1.0}'), rules) == ()


@pytest.mark.parametrize(
    "spelt",
    [
        lambda text: text.replace(": ", ":"),
        lambda text: text.replace('"rounds": 1', '"rounds": 7, "rounds": 1'),
        lambda text: text.replace("0.1", "1e-1", 1),
        lambda text: text.replace("Outlined", "\\u004futlined"),
        lambda text: json.dumps(dict(reversed(json.loads(text).items()))),
        lambda text: json.dumps({key: value for key, value in json.loads(text).items() if key != "seed"}),
    ],
    ids=["blanks", "twice", "number", "escape", "order", "left out"],
)
def test_one_meaning_in_another_spelling_is_not_approved_as_another_study(tmp_path: Path, spelt) -> None:  # type: ignore[no-untyped-def]
    text = spelt(study().json)
    assert parse_json(text).json == study().json != text
    assert keep_waiting(text, tmp_path)
    found = CliRunner().invoke(cli, ["approve", digest_of(text), str(tmp_path), "--yes"])
    assert found.exit_code == 1 and "not written as this program writes it" in found.output
    assert listed_digests(tmp_path) == () and not list(lines(tmp_path))


def test_half_a_character_in_a_title_ends_no_approval_half_way(tmp_path: Path) -> None:
    """The log said "approved" before the record could not be written."""
    text = study().json.replace("Outlined", "\\ud800")
    assert keep_waiting(text, tmp_path)
    found = CliRunner().invoke(cli, ["approve", digest_of(text), str(tmp_path), "--yes"])
    assert found.exit_code == 1 and isinstance(found.exception, SystemExit) and not list(lines(tmp_path))
    with pytest.raises(StudyError, match="half a character"):
        parse_json(text)


def test_a_coordinator_does_not_choose_what_the_log_calls_a_round(played: Federation) -> None:
    played.hello()
    request = to_payload(Order(played.study.json, 1, played.state[0], FEDAVG), played.run)
    lying = replace(request, words={**request.words, "leg": "hello"})
    assert played.answer("round", VICTIM, lying).array is not None
    assert [line.facts["leg"] for line in lines(played.own / VICTIM)] == ["query.hello", "train.round"]


def test_a_model_that_a_hospital_keeps_is_not_exchanged_later(played: Federation) -> None:
    played.hello()
    model = played.rounds(1)
    for card, parameters, is_kept in (("one", model, True), ("two", model, True), ("three", model + 1, False)):
        request = handed(HandedModel(parameters, card, 1), played.study.json, played.run, played.study.rounds + 1)
        reply = played.answer("keep", VICTIM, request)
        assert ("incident" not in reply.words) == is_kept
    place = played.own / VICTIM / place_of(digest_of(played.study.json), played.run)
    kept = read_tensors(place, "model.safetensors").tensors
    assert np.array_equal(np.sort(np.concatenate([one.ravel() for one in kept.values()])), np.sort(model))
    assert (place / "card.md").read_text() == "two"
    assert "kept already" in (played.own / VICTIM / "incidents.log").read_text()
    assert played.run in str(place)


@pytest.mark.parametrize(
    "others",
    [
        "wardround=x; {}",
        "{}; wardround=x",
        'state={{"a": [1]}}; {}',
        'a="b; {}',
        "a[b]=1; {}",
        "=; {}",
        "wardround; {}",
    ],
)
def test_cookies_of_other_programs_on_this_machine_end_no_session(tmp_path: Path, others: str) -> None:
    """Cookies know no ports: whatever serves 127.0.0.1 sets some that a browser sends here as well."""
    page = Asked(node_app, tmp_path).enter()
    answer = page.get(cookie=others.format(page.cookie))
    assert answer.status_code == 200 and "needs its key" not in answer.text


def test_wrong_keys_of_another_program_keep_the_pages_user_not_out(tmp_path: Path) -> None:
    page = Asked(node_app, tmp_path)
    codes = {page.send("POST", "/enter", {"key": "x"}, {"origin": "-"}).status_code for _ in range(40)}
    assert codes == {403, 429} and page.enter().get().status_code == 200


def test_a_page_reads_a_large_log_once_and_still_finds_every_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It read all lines twice after every line that a coordinator caused: hours of computing, an hour later."""
    monkeypatch.setattr(files, "LARGEST_BYTES", 1000)
    for number in range(20):
        note(tmp_path, "refused", study=f"{number:064x}", run=RUN_WORD, reason="approval")
    reader = LogReader(tmp_path)
    read: list[str] = []
    real = files.raw_lines_of

    def noted(folder: Path, name: str) -> Iterator[bytes]:
        read.append(name)
        return real(folder, name)

    monkeypatch.setattr(files, "raw_lines_of", noted)
    whole = reader.activity()
    assert (whole.refused, len(whole.served), whole.found) == (20, 20, verify(tmp_path))
    assert [one.number for one in whole.latest] == list(range(20, 0, -1))
    read.clear()
    note(tmp_path, "refused", study="0" * 64, run=RUN_WORD, reason="approval")
    assert reader.activity().refused == 21 and len(read) <= 2
    old = tmp_path / files.older(tmp_path)[0]
    old.write_text(old.read_text().replace("approval", "declined", 1))
    assert reader.activity().found.fault == "line 1 was changed"
    old.write_text(old.read_text().replace("declined", "approval", 1))
    again = reader.activity()
    assert (again.refused, again.found) == (21, verify(tmp_path)) and again.found.fault is None


def test_ever_new_runs_fill_no_pages_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_reading, "MOST_RUNS_KEPT", 3)
    for number in range(9):
        note(tmp_path, "answered", study="a" * 64, run=f"{number:032x}", round=1, leg="train.round")
    found = LogReader(tmp_path).activity()
    assert [one.run[-1] for one in found.served] == ["8", "7", "6"] and found.rounds == 9


def test_made_up_runs_fill_no_disk_with_models(played: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_models, "MOST_OF_A_STUDY", 1)
    said = []
    for digit in "ab":
        run = Federation(played.study, played.own, digit * 32, FEDAVG)
        run.hello()
        request = handed(HandedModel(run.rounds(1), "", 1), run.study.json, run.run, run.study.rounds + 1)
        said.append([*run.answer("keep", VICTIM, request).words])
    assert said == [["kept"], ["incident"]]
    assert "move those away" in (played.own / VICTIM / "incidents.log").read_text()


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\r", "\u202e", "\x9b0m", "\u200b", "\ud800"])
def test_a_models_card_is_text_that_any_terminal_may_show(hostile: str) -> None:
    request = handed(HandedModel(np.zeros(3, np.float32), f"# A\n{hostile}", 1), "{}", "", 1)
    with pytest.raises(WireError, match="card is text"):
        from_payload(request, 3)


def test_ever_other_refusals_fill_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was said last is not said again; a coordinator that alternates two studies wrote a line each time."""
    monkeypatch.setattr(incidents, "LARGEST_BYTES", 1000)
    for number in range(100):
        incidents.refused(RefusedError("approval", f"study {number % 2} is not approved"), tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2500


def test_a_long_run_is_shown_without_counting_its_rounds_for_each_of_them() -> None:
    """The page of a run with 20,000 rounds, of anybody's, never came: every point of a curve counted them all."""
    counted = []

    class Rounds(tuple[Round, ...]):
        def __iter__(self) -> Iterator[Round]:
            counted.append(1)
            return super().__iter__()

    run = Run("run", About(), rounds=Rounds())
    assert {run.model_round for _ in range(100)} == {0} and len(counted) == 1


@pytest.mark.parametrize("damage", ["", "AAAA", "A", "ä", "\x00"])
def test_a_damaged_signing_key_is_said_in_a_line(tmp_path: Path, damage: str) -> None:
    (tmp_path / "identity.key").write_text(damage)
    with pytest.raises(FileError, match=r"identity\.key is no signing key"):
        read_key(tmp_path)
