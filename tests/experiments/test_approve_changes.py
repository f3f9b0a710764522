"""In a hospital: what changed is said before anybody agrees, a yes can be taken back, and a no is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from client.approvals import FOLDER, Approval, approval_now, approvals, read_approval
from client.approved_studies import APPROVED, digest_of, listed_digests
from client.audit_log import lines
from client.policy import POLICY_FILE
from client.waiting_studies import LARGEST_STUDY_BYTES, MOST_WAITING, declined, keep_waiting, waiting
from common.study.program import this_program
from common.study.study import parse
from experiments.approving.changes import changes
from experiments.cli import cli
from experiments.commands import approve as command

A, B, C = ("a" * 64, "b" * 64, "c" * 64)
TEXT = f"""
title = "Hearts of three"
rounds = 2
source = "heart"
task = {{ name = "classification", network = "logistic" }}
strategy = "fedavg"
aggregation = "plain"
privacy = "none"
[federation]
roster = [{{ name = "north", key = "{A}" }}, {{ name = "south", key = "{B}", group = "one" }}]
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "own").mkdir(mode=0o700)
    (tmp_path / "study.toml").write_text(TEXT)
    return tmp_path / "own"


def run(own: Path, *words: str, answer: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["approve", *words], input=answer)
    assert not result.exception or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def approve(own: Path, *words: str, answer: str = "") -> tuple[int, str]:
    return run(own, str(own.parent / "study.toml"), str(own), *words, answer=answer)


def of(text: str, *overrides: str, **changed: object) -> Approval:
    study = parse(text, overrides)
    found = approval_now(study.json, study.title, study.plugins)
    return Approval(**{**vars(found), **changed})


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("rounds=3", "rounds: before 2, now 3"),
        ("training.learning_rate=0.5", "training.learning_rate: before 0.1, now 0.5"),
        ("task.network.name=mlp", 'task.network.name: before "logistic", now "mlp"'),
        ("purposes=['hearts']", 'purposes: before [], now ["hearts"]'),
        ("federation.least_in_sum=2", "federation.least_in_sum: not given before, now 2"),
        ("strategy={name='fedprox', proximal_mu=0.1}", "strategy.proximal_mu: not given before, now 0.1"),
        ('privacy={name="dpsgd", epsilon=1.0}', "privacy.epsilon: not given before, now 1.0"),
        ("audit.after_run=true", "audit.after_run: before false, now true"),
    ],
)
def test_a_setting_is_said_by_its_place_with_what_it_was_and_is(override: str, said: str) -> None:
    found = changes(of(TEXT), of(TEXT, override))
    assert said in found, found


def test_a_setting_that_is_gone_is_said_too() -> None:
    assert "federation.least_in_sum: before 2, not given now" in changes(
        of(TEXT, "federation.least_in_sum=2"), of(TEXT)
    )


def test_nothing_is_said_where_nothing_changed() -> None:
    assert changes(of(TEXT), of(TEXT)) == ()


def test_hospitals_that_join_leave_and_change_their_key_or_group_are_named() -> None:
    roster = f'federation.roster=[{{name="north", key="{C}"}}, {{name="east", key="{A}", group="one"}}]'
    assert changes(of(TEXT), of(TEXT, roster)) == (
        f"Hospital east joined, with the key {A}.",
        f"The KEY of hospital north changed from {A} to {C}: ask that hospital, by telephone, whether it is theirs.",
        "Hospital south left.",
    )
    grouped = f'federation.roster=[{{name="north", key="{A}"}}, {{name="south", key="{B}", group="two"}}]'
    assert changes(of(TEXT), of(TEXT, grouped)) == ("Hospital south is in the group 'two', and was in 'one'.",)


def test_another_program_and_another_plug_in_are_said_with_what_they_compute_with() -> None:
    before = of(
        TEXT, program=C, version="0.0.9", packages={**this_program().packages, "torch": "1.0"}, plugins={"m": A}
    )
    said = changes(before, of(TEXT, plugins={"m": B, "n": C}))
    assert f"Plug-in m has CHANGED: before {A}, now {B}." in said and f"Plug-in n is new: {C}." in said
    assert any(f"before {C} (wardround 0.0.9), now {this_program().digest}" in one for one in said)
    assert f"torch: before 1.0, now {this_program().packages['torch']}." in said
    assert "Plug-in m is gone." in changes(before, of(TEXT))


def test_every_setting_that_differs_is_in_the_list_whatever_it_is() -> None:
    """A study that differs anywhere, in any depth or type, has a line that says so."""
    base = json.loads(parse(TEXT).json)
    places = list(_places(base))
    assert len(places) > 40
    for place in places:
        table = json.loads(json.dumps(base))
        at = table
        for key in place[:-1]:
            at = at[key]
        at[place[-1]] = "another"
        found = changes(of(TEXT), Approval(**{**vars(of(TEXT)), "study": json.dumps(table)}))
        assert found or place[:2] == ("federation", "roster"), place


def _places(value: object, before: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    if isinstance(value, dict):
        return [place for key, inner in value.items() for place in _places(inner, (*before, key))]
    return [before]


def test_the_first_approval_says_that_all_is_new_and_keeps_who_when_and_what(own: Path) -> None:
    status, said = approve(own)
    assert status == 0 and "No study of this title was approved here before" in said
    (kept,) = approvals(own)
    assert kept.digest == digest_of(parse(TEXT).json) and kept.program == this_program().digest
    assert kept.keys == {"north": A, "south": B} and kept.who and kept.when and kept.how == "without a terminal"
    assert (own / FOLDER).stat().st_mode & 0o077 == 0
    assert [line.facts["event"] for line in lines(own)] == ["approved"]


def test_the_next_approval_says_what_changed_before_it_lists_it(own: Path) -> None:
    approve(own)
    status, said = approve(own, "--set", "rounds=5", "--yes")
    assert status == 0 and said.index("rounds: before 2, now 5") < said.index("lists")
    status, said = approve(own, "--set", "rounds=5", "--yes")
    assert "nothing changed" in said and len(listed_digests(own)) == 2


def test_an_earlier_approval_may_be_named_to_compare_with(own: Path) -> None:
    approve(own)
    first = listed_digests(own)[0]
    approve(own, "--set", "rounds=5")
    said = approve(own, "--set", "rounds=9", "--since", first[:12])[1]
    assert "rounds: before 2, now 9" in said
    status, said = approve(own, "--since", "0" * 12)
    assert status == 1 and "there is no one approval" in said


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_on_a_terminal_it_asks_and_no_is_the_answer_of_silence(
    own: Path, monkeypatch: pytest.MonkeyPatch, answer: str, status: int
) -> None:
    monkeypatch.setattr(command, "_is_terminal", lambda: True)
    found, said = approve(own, answer=answer)
    assert found == status and "Agree to this study?" in said
    assert (own / APPROVED).exists() == (status == 0)


def test_yes_is_not_asked(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_is_terminal", lambda: True)
    assert approve(own, "--yes")[0] == 0
    assert next(iter(approvals(own))).how == "--yes"


def test_what_the_policy_forbids_is_said_and_not_listed(own: Path) -> None:
    (own / POLICY_FILE).write_text("required_sums = true\nrequired_noise = {}\n")
    status, said = approve(own, "--yes")
    assert status == 1 and "FORBIDDEN here: policy.toml: required_sums" in said and "required_noise" in said
    assert not (own / APPROVED).exists()


def test_a_study_that_demands_another_program_is_not_listed(own: Path) -> None:
    status, said = approve(own, "--set", f'federation.programs=["{C}"]', "--yes")
    assert status == 1 and "NOT the one here" in said and not (own / APPROVED).exists()
    mine = this_program().digest
    status, said = approve(own, "--set", f'federation.programs=["{C}", "{mine}"]', "--yes")
    assert status == 0 and "the one here among them" in said


def test_list_says_who_when_and_whether_the_program_is_still_the_same(own: Path) -> None:
    approve(own)
    said = run(own, "--list", str(own))[1]
    assert "Hearts of three: approved on" in said and "the program that runs here" in said
    (kept,) = approvals(own)
    table = {**vars(kept), "program": C}
    (own / FOLDER / f"{kept.digest}.json").write_text(json.dumps(table))
    assert "ANOTHER program" in run(own, "--list", "--folder", str(own))[1]
    (own / FOLDER / f"{kept.digest}.json").unlink()
    assert "listed by hand" in run(own, "--list", str(own))[1]


def test_an_approval_is_taken_back_by_its_first_digits_and_the_record_says_so(own: Path) -> None:
    approve(own)
    digest = listed_digests(own)[0]
    assert run(own, "--revoke", digest[:10], str(own))[0] == 0
    assert listed_digests(own) == ()
    kept = read_approval(own, digest)
    assert kept is not None and kept.revoked
    assert "REVOKED" in run(own, "--list", str(own))[1]
    status, said = run(own, "--revoke", digest, str(own))
    assert status == 1 and "no one approved study" in said
    assert [line.facts["event"] for line in lines(own)] == ["approved", "revoked"]


@pytest.mark.parametrize("digits", ["", "abc", "zzzzzzzzzz", "../../../../etc"])
def test_what_is_no_digest_is_said(own: Path, digits: str) -> None:
    approve(own)
    assert run(own, "--revoke", digits, str(own))[0] != 0
    assert listed_digests(own)


def test_a_study_that_waits_is_listed_approved_as_it_came_and_waits_no_more(own: Path) -> None:
    asked = parse(TEXT, ["rounds=7"]).json
    assert keep_waiting(asked, own)
    assert f"{digest_of(asked)}  Hearts of three" in run(own, "--waiting", str(own))[1]
    status, said = run(own, digest_of(asked)[:12], str(own), "--yes")
    assert status == 0, said
    assert listed_digests(own) == (digest_of(asked),) and not waiting(own)


def test_a_study_that_waits_and_does_not_say_which_model_it_begins_from_is_not_approved(own: Path) -> None:
    start = {"model": "any.safetensors", "only": [], "part": "", "fresh": []}
    asked = json.dumps({**json.loads(parse(TEXT).json), "start": start}, sort_keys=True)
    keep_waiting(asked, own)
    status, said = run(own, digest_of(asked)[:12], str(own), "--yes")
    assert status == 1 and "hospitals check it by its digest" in said and not (own / APPROVED).exists()


def test_a_study_that_waits_and_cannot_be_built_is_said_in_a_line(own: Path) -> None:
    for asked in ('{"title": "x"}', '{"title": "x", "source": "os:system", "task": 7}'):
        keep_waiting(asked, own)
        status, said = run(own, digest_of(asked)[:12], str(own), "--yes")
        assert status == 1 and "Error" not in said and not (own / APPROVED).exists()


def test_a_study_that_waits_is_declined_with_a_reason_that_stays_here(own: Path) -> None:
    asked = parse(TEXT).json
    keep_waiting(asked, own)
    status, _ = run(own, digest_of(asked)[:12], str(own), "--refuse", "no ethics vote yet")
    found = declined(digest_of(asked), own)
    assert status == 0 and found is not None and found.reason == "no ethics vote yet" and not waiting(own)
    assert run(own, digest_of(asked)[:12], str(own), "--refuse", " ")[0] == 1


def test_a_no_after_a_yes_takes_the_yes_back_and_a_yes_after_a_no_the_no(own: Path) -> None:
    approve(own)
    digest = listed_digests(own)[0]
    assert run(own, digest[:12], str(own), "--refuse", "we thought again")[0] == 0
    assert listed_digests(own) == () and declined(digest, own) is not None
    assert approve(own)[0] == 0
    assert listed_digests(own) == (digest,) and declined(digest, own) is None


def test_what_waits_is_bounded_in_size_and_number_and_nothing_is_pushed_out(own: Path) -> None:
    first = parse(TEXT).json
    assert keep_waiting(first, own)
    for number in range(2 * MOST_WAITING):
        keep_waiting(json.dumps({"title": str(number)}), own)
    assert len(waiting(own)) == MOST_WAITING and any(one.study == first for one in waiting(own))
    assert keep_waiting(first, own)
    (own.parent / "other").mkdir()
    for text in ("[]", "no JSON", "[" * 100_000, json.dumps({"title": "x" * LARGEST_STUDY_BYTES})):
        assert not keep_waiting(text, own.parent / "other")


def test_a_title_that_waits_moves_no_cursor(own: Path) -> None:
    keep_waiting(json.dumps({"title": "\x1b[2J\x1b[HApproved by your director"}), own)
    assert "\x1b" not in run(own, "--waiting", str(own))[1]


def test_what_lies_in_the_place_of_a_waiting_study_and_is_none_is_passed_over(own: Path) -> None:
    keep_waiting(json.dumps({"title": "x"}), own)
    (own / "waiting" / f"{C}.json").write_text(json.dumps({"study": '{"title": "y"}', "when": ""}))
    (own / "waiting" / f"{B}.json").symlink_to("/etc/passwd")
    assert [one.title for one in waiting(own)] == ["x"]


@pytest.mark.parametrize("words", [[], ["study.toml"]])
def test_without_a_study_or_a_folder_it_says_what_it_needs(own: Path, words: list[str]) -> None:
    status, said = run(own, *words)
    assert status == 2 and "name the study and the hospital's own" in said


def policy(own: Path, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["policy", "--folder", str(own), *words])
    return result.exit_code, result.output


def test_the_policy_is_said_in_sentences_and_whether_a_study_fits(own: Path) -> None:
    status, said = policy(own)
    assert status == 0 and "There is no" in said and "any of tasks" in said
    (own / POLICY_FILE).write_text(
        'tasks = ["classification"]\nrequired_sums = true\nhours = "Mon-Fri 22:00-06:00"\n'
        'time_zone = "Europe/Berlin"\n'
        "least_cohort = 3\nown_scores = false\nlargest_epsilon_a_person = { epsilon = 8.0, delta = 1e-5 }\n"
        'required_noise = { epsilon = 3.0 }\nplugins = ["ward"]\ndevices = ["cpu"]\n'
    )
    status, said = policy(own, "--study", str(own.parent / "study.toml"))
    assert status == 1 and "This study is refused: required_sums" in said
    for words in ("classification alone", "Mon-Fri 22:00-06:00 (Europe/Berlin)", "3 hospitals", "epsilon 8", "ward"):
        assert words in said
    (own / POLICY_FILE).write_text('tasks = ["classification"]\n')
    status, said = policy(own, "--study", str(own.parent / "study.toml"))
    assert status == 0 and "fits the policy" in said
