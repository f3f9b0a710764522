"""The ledger: charges are on the disk before anything leaves, limits hold, and a changed file is noticed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client import _ledger_file
from client._ledger_accounting import for_patient, histories
from client._ledger_file import MARKER_FILE
from client.ledger import Charge, Ledger, tight
from common.errors import BudgetSpentError, LedgerError, RoundsSpentError, StudyError, UnknownNameError
from common.privacy.release import Release

ROOT = Path(__file__).parents[2]
FILE, KEY, HEAD = "privacy-ledger.sqlite", "privacy-ledger.key", "privacy-ledger.head"
ONE = Release(1.0, 0.01, 1)
CHILD = """
import sys, time
from pathlib import Path
from client.ledger import Charge, Ledger
from common.errors import BudgetSpentError
from common.privacy.release import Release

def steps(releases, delta):
    return float(sum(release.steps for release in releases))

charge = Charge("0" * 64, "study", 1, "patient", 1e-5, (Release(1.0, 0.01, 1),), ("Ada", "Bob"))
ledger = Ledger(Path(sys.argv[1]), steps)
for _ in range(int(sys.argv[2])):
    try:
        ledger.spend(charge)
        print("spent", flush=True)
    except BudgetSpentError:
        print("refused", flush=True)
time.sleep(float(sys.argv[3]))
"""
OPENER = """
import sys
from pathlib import Path
from client.ledger import Charge, Ledger
from common.privacy.release import Release

charge = Charge("0" * 64, "study", 1, "patient", 1e-5, (Release(1.0, 0.01, 1),), ("Ada", "Bob"))
for line in sys.stdin:
    Ledger(Path(line.strip())).spend(charge)
    print("spent", flush=True)
"""


def steps(releases, delta):
    """A plain accountant: one a step."""
    return float(sum(release.steps for release in releases))


def charge(patients=("Ada", "Bob"), study="a", number=1, releases=(ONE,), unit="patient"):
    return Charge(study * 64, f"study {study}", number, unit, 1e-5, tuple(releases), tuple(patients))


def limit(folder, epsilon, delta=1e-5):
    (folder / "privacy-limit.toml").write_text(f"epsilon = {epsilon}\ndelta = {delta}\n", encoding="utf-8")


@pytest.fixture
def child(start_process):
    def start(folder, times, wait_s=0.0):
        command = [sys.executable, "-c", CHILD, str(folder), str(times), str(wait_s)]
        return start_process(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    return start


def altered(folder, *statements):
    """Change the file as somebody would who has the folder but not the key."""
    connection = sqlite3.connect(folder / FILE)
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
    for statement in [*(f"DROP TRIGGER {name}" for name in names), *statements]:
        connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.fixture
def filled(tmp_path):
    for number in (1, 2, 3):
        Ledger(tmp_path).spend(charge(number=number))
    return tmp_path


def test_charges_are_kept_in_order_and_verify(filled):
    found = Ledger(filled).contents()
    assert found.fault is None
    assert [(entry.number, entry.round, entry.unit, entry.delta) for entry in found.entries] == [
        (1, 1, "patient", 1e-5),
        (2, 2, "patient", 1e-5),
        (3, 3, "patient", 1e-5),
    ]
    assert all(entry.releases == (ONE,) for entry in found.entries)


def test_a_round_that_is_run_again_counts_again(tmp_path):
    for _ in range(2):
        Ledger(tmp_path).spend(charge(number=7))
    found = Ledger(tmp_path).contents()
    assert histories(found.entries, found.sets) == {(Release(1.0, 0.01, 2),): 2}


def test_names_of_patients_are_not_in_any_file(filled):
    data = b"".join(path.read_bytes() for path in filled.iterdir())
    assert b"Ada" not in data and b"Bob" not in data


def test_only_the_hospitals_user_can_read_its_files(filled):
    assert {path.stat().st_mode & 0o077 for path in filled.iterdir()} == {0}


def test_a_charge_outlives_kill_9_between_spending_and_sending(child, tmp_path):
    process = child(tmp_path, times=1, wait_s=60)
    assert process.stdout.readline() == "spent\n"
    process.send_signal(signal.SIGKILL)
    assert process.wait(120) == -signal.SIGKILL
    found = Ledger(tmp_path).contents()
    assert found.fault is None
    assert len(found.entries) == 1


def test_kill_9_at_any_moment_loses_nothing_that_was_said_to_be_spent(child, tmp_path):
    process = child(tmp_path, times=1000)
    for _ in range(5):
        process.stdout.readline()
    process.kill()
    said = 5 + len(process.stdout.read().splitlines())
    process.wait(120)
    Ledger(tmp_path).spend(charge())
    found = Ledger(tmp_path).contents()
    assert found.fault is None
    assert len(found.entries) >= said + 1


def test_no_process_that_opens_a_new_ledger_at_the_same_moment_is_turned_away(start_process, tmp_path):
    folders = [tmp_path / str(number) for number in range(40)]
    command = [sys.executable, "-c", OPENER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    children = [start_process(command, cwd=ROOT, **pipes) for _ in range(3)]
    for folder in folders:
        for process in children:
            process.stdin.write(f"{folder}\n")
        assert [process.stdout.readline() for process in children] == ["spent\n"] * 3
    for process in children:
        process.communicate(timeout=500)
    assert {len(Ledger(folder).contents().entries) for folder in folders} == {3}


def test_two_processes_at_once_never_overspend(child, tmp_path):
    limit(tmp_path, 7)
    children = [child(tmp_path, times=6) for _ in range(2)]
    said = Counter("".join(process.communicate(timeout=500)[0] for process in children).split())
    assert said == {"spent": 7, "refused": 5}
    found = Ledger(tmp_path).contents()
    assert found.fault is None
    assert Counter(entry.kind for entry in found.entries) == {"charge": 7, "refused": 5}


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE entries SET delta = 0.5 WHERE number = 2", "row 2 is not as it was written"),
        ("UPDATE entries SET seal = 'no' WHERE number = 3", "row 3 is not as it was written"),
        ("DELETE FROM entries WHERE number = 2", "row 2 is missing"),
        ("DELETE FROM entries WHERE number = 3", "3 rows were written, and 2 are left"),
        ("DELETE FROM entries", "3 rows were written, and 0 are left"),
        ("DELETE FROM patient_sets", "the patients of row 1 are not as they were written"),
        ("UPDATE patient_sets SET cases = 2", "the patients of row 1 are not as they were written"),
        ("DROP TABLE entries", "holds no ledger"),
    ],
)
def test_a_changed_row_is_noticed_and_stops_spending(filled, statement, said):
    altered(filled, statement)
    with pytest.raises(LedgerError, match=said):
        Ledger(filled).spend(charge(number=4))


@pytest.mark.parametrize("verb", ["UPDATE entries SET delta = 1", "DELETE FROM entries", "DELETE FROM patient_sets"])
def test_the_file_itself_refuses_changes_by_mistake(filled, verb):
    connection = sqlite3.connect(filled / FILE)
    with pytest.raises(sqlite3.IntegrityError, match="only grows"):
        connection.execute(verb)
    connection.close()


@pytest.mark.parametrize("share", [0, 1, 2])
def test_a_truncated_file_is_noticed(filled, share):
    size = (filled / FILE).stat().st_size
    os.truncate(filled / FILE, size * share // 3)
    with pytest.raises(LedgerError):
        Ledger(filled).spend(charge(number=4))


@pytest.mark.parametrize("name", [FILE, KEY, HEAD])
def test_a_missing_file_is_noticed(filled, name):
    (filled / name).unlink()
    with pytest.raises(LedgerError, match=name):
        Ledger(filled).spend(charge(number=4))


@pytest.mark.parametrize("name", [FILE, KEY, HEAD])
def test_another_hospitals_file_is_noticed(filled, tmp_path_factory, name):
    other = tmp_path_factory.mktemp("other")
    for number in range(5):
        Ledger(other).spend(charge(number=number))
    (filled / name).write_bytes((other / name).read_bytes())
    with pytest.raises(LedgerError, match="changed"):
        Ledger(filled).spend(charge(number=4))


def test_an_older_copy_of_the_ledger_alone_is_noticed(filled):
    older = (filled / FILE).read_bytes()
    Ledger(filled).spend(charge(number=4))
    (filled / FILE).write_bytes(older)
    assert Ledger(filled).contents().fault == "4 rows were written, and 3 are left"


def test_a_head_that_a_crash_left_behind_is_no_fault(filled):
    older = (filled / HEAD).read_bytes()
    Ledger(filled).spend(charge(number=4))
    (filled / HEAD).write_bytes(older)
    Ledger(filled).spend(charge(number=5))
    assert Ledger(filled).contents().fault is None


def test_a_head_that_is_farther_behind_than_a_crash_leaves_it_is_noticed(filled):
    """165 bytes, put back from before two charges: rows cut off down to it would otherwise not show."""
    older = (filled / HEAD).read_bytes()
    for number in (4, 5):
        Ledger(filled).spend(charge(number=number))
    (filled / HEAD).write_bytes(older)
    assert Ledger(filled).contents().fault == f"{HEAD} is an older copy: it names row 3 of 5"
    with pytest.raises(LedgerError, match="older copy"):
        Ledger(filled).spend(charge(number=6))


def test_a_head_catches_up_before_the_next_row_so_that_two_crashes_are_no_fault(filled, monkeypatch):
    with monkeypatch.context() as crashing:
        crashing.setattr(_ledger_file, "commit", lambda connection, *_: connection.execute("COMMIT"))
        for number in (4, 5, 6):
            Ledger(filled).spend(charge(number=number))
    assert Ledger(filled).contents().behind == 1
    Ledger(filled).spend(charge(number=7))
    assert (Ledger(filled).contents().fault, Ledger(filled).contents().behind) == (None, 0)


@pytest.mark.parametrize("head", ["{}", "[]", '{"number": 3, "last": "00"}', '{"version": 1}', "3", ""])
def test_a_head_of_another_format_is_noticed(filled, head):
    (filled / HEAD).write_text(head)
    with pytest.raises(LedgerError, match="another format"):
        Ledger(filled).spend(charge(number=4))


def test_a_folder_that_lost_all_three_files_starts_no_new_ledger(filled):
    for name in (FILE, KEY, HEAD):
        (filled / name).unlink()
    with pytest.raises(LedgerError, match="says that there was a ledger"):
        Ledger(filled).spend(charge(number=4))


@pytest.mark.parametrize("left", ["last-private-updates/study.safetensors", f"{FILE}-journal", HEAD])
def test_whatever_only_a_charge_leaves_stands_in_for_the_marker(filled, left):
    for name in (FILE, KEY, MARKER_FILE):
        (filled / name).unlink()
    if left != HEAD:
        (filled / HEAD).unlink()
        (filled / left).parent.mkdir(exist_ok=True)
        (filled / left).write_bytes(b"left behind")
    with pytest.raises(LedgerError, match="says that there was a ledger"):
        Ledger(filled).spend(charge(number=4))


def test_a_folder_that_a_crash_left_before_the_first_key_is_no_lost_ledger(filled, tmp_path_factory):
    new = tmp_path_factory.mktemp("new")
    (new / FILE).write_bytes(b"")
    (new / HEAD).write_text(json.dumps({"number": 0, "last": "0" * 64, "seal": "of a key that was never saved"}))
    Ledger(new).spend(charge(number=1))
    assert Ledger(new).contents().fault is None


def test_a_ledger_of_before_markers_gets_one(filled):
    (filled / MARKER_FILE).unlink()
    Ledger(filled).spend(charge(number=4))
    assert (filled / MARKER_FILE).exists() and Ledger(filled).contents().fault is None


def test_a_ledger_put_back_whole_is_not_noticed_as_the_module_says(filled):
    """The limit of what a folder can know of itself: only a witness elsewhere tells."""
    before = {path: path.read_bytes() for path in filled.iterdir()}
    last = Ledger(filled).contents().last
    Ledger(filled).spend(charge(number=4))
    witness = Ledger(filled).contents().last
    for path, octets in before.items():
        path.write_bytes(octets)
    found = Ledger(filled).contents()
    assert found.fault is None and found.last == last != witness


def test_a_refused_charge_leaves_only_its_refusal(tmp_path):
    limit(tmp_path, 2)
    ledger = Ledger(tmp_path, steps)
    ledger.spend(charge(["Ada"], releases=[Release(1.0, 0.01, 2)]))
    before = ledger.contents()
    with pytest.raises(BudgetSpentError) as refused:
        ledger.spend(charge(["Ada", "Eve"]))
    after = ledger.contents()
    assert [entry.kind for entry in after.entries] == ["charge", "refused"]
    assert after.entries[1].patients == ""
    assert after.sets == before.sets
    assert histories(after.entries, after.sets) == histories(before.entries, before.sets)
    assert "Ada" not in str(refused.value) and "Eve" not in str(refused.value)
    ledger.spend(charge(["Eve"]))


def test_a_charge_up_to_the_limit_itself_is_allowed(tmp_path):
    limit(tmp_path, tight([Release(1.0, 0.01, 3)], 1e-5))
    for number in (1, 2, 3):
        Ledger(tmp_path).spend(charge(number=number))
    with pytest.raises(BudgetSpentError):
        Ledger(tmp_path).spend(charge(number=4))


def test_without_a_limit_everything_is_recorded_and_nothing_stopped(tmp_path):
    Ledger(tmp_path).spend(charge(releases=[Release(0.1, 1.0, 1000)]))
    assert Ledger(tmp_path).contents().fault is None


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("epsilonn = 1.0\ndelta = 1e-5", UnknownNameError, "did you mean 'epsilon'"),
        ("epsilon = 1.0", StudyError, "delta is missing"),
        ("epsilon = -1.0\ndelta = 1e-5", StudyError, "above zero"),
        ("epsilon = 1.0\ndelta = 2.0", StudyError, "delta must be"),
        ("epsilon = nan\ndelta = 1e-5", StudyError, "above zero"),
        ("epsilon", LedgerError, "cannot be read"),
    ],
)
def test_an_impossible_limit_stops_spending(tmp_path, text, error, said):
    (tmp_path / "privacy-limit.toml").write_text(text, encoding="utf-8")
    with pytest.raises(error, match=said):
        Ledger(tmp_path).spend(charge())


def test_a_charge_of_nobody_is_refused(tmp_path):
    with pytest.raises(LedgerError, match="none"):
        Ledger(tmp_path).spend(charge([]))


def test_a_study_is_charged_as_often_as_it_has_rounds_and_other_studies_do_not_count(tmp_path):
    for number in (1, 1):
        Ledger(tmp_path).spend(replace(charge(number=number), most=2))
    Ledger(tmp_path).spend(replace(charge(study="b"), most=2))
    with pytest.raises(RoundsSpentError, match="charged for 2 rounds"):
        Ledger(tmp_path).spend(replace(charge(number=2), most=2))
    Ledger(tmp_path).spend(replace(charge(study="b", number=2), most=2))
    kinds = [entry.kind for entry in Ledger(tmp_path).contents().entries]
    assert kinds == ["charge", "charge", "charge", "refused", "charge"]


RELEASES = st.sampled_from([Release(1.0, 0.01, 1), Release(2.0, 0.5, 3), Release(1.0, 1.0, 1, "discrete gaussian")])
COHORTS = st.lists(st.sampled_from(["Ada", "Bob", "Eve", "Kim"]), min_size=1, max_size=6)
CHARGES = st.lists(
    st.tuples(COHORTS, st.sampled_from("ab"), RELEASES, st.sampled_from(["patient", "sample", "hospital"])),
    min_size=1,
    max_size=5,
)


@settings(max_examples=25, deadline=None)
@given(CHARGES)
def test_histories_over_overlapping_cohorts_equal_those_counted_one_patient_at_a_time(charges):
    with tempfile.TemporaryDirectory() as name:
        for number, (patients, study, release, unit) in enumerate(charges):
            Ledger(Path(name)).spend(charge(patients, study, number, [release], unit))
        found = Ledger(Path(name)).contents()
    expected = Counter()
    for patient in {patient for patients, *_ in charges for patient in patients}:
        own = Counter()
        for patients, _, release, unit in charges:
            if patient in patients:
                one = for_patient(release, unit, patients.count(patient))
                own[one.noise, one.noise_multiplier, one.sampling_rate] += one.steps
        expected[tuple(sorted((*key, count) for key, count in own.items()))] += 1
    assert expected == {
        tuple((one.noise, one.noise_multiplier, one.sampling_rate, one.steps) for one in history): patients
        for history, patients in histories(found.entries, found.sets).items()
    }


def test_only_patients_of_the_charge_can_stop_it(tmp_path):
    limit(tmp_path, 2)
    ledger = Ledger(tmp_path, steps)
    for patients in (["Ada", "Bob"], ["Bob", "Eve"]):
        ledger.spend(charge(patients))
    ledger.spend(charge(["Ada", "Eve", "Kim"], study="b"))
    with pytest.raises(BudgetSpentError):
        ledger.spend(charge(["Bob", "Kim"], study="b"))


def test_a_patient_with_two_cases_costs_what_the_mixture_of_both_costs_at_most():
    """The true mechanism in one number: 0, 1 or 2 of its cases are in the sum. Hockey sticks by integration."""
    import numpy as np
    from scipy.stats import norm

    noise, rate = 1.5, 0.3
    line = np.linspace(-15, 17, 64001)
    alone = norm.pdf(line, 0, noise)
    chances = (0.49, 0.42, 0.09)
    present = sum(chance * norm.pdf(line, count, noise) for count, chance in enumerate(chances))
    one = for_patient(Release(noise, rate, 1), "sample", 2)
    for delta in (1e-2, 1e-4):
        epsilon = tight([one], delta)
        for first, second in ((present, alone), (alone, present)):
            true = np.trapezoid(np.maximum(first - np.exp(epsilon) * second, 0), line)
            assert true <= delta * (1 + 1e-6)


def test_a_hospitals_release_counts_as_the_exchange_of_its_update():
    assert for_patient(Release(4.0, 0.5, 3), "hospital", 9) == Release(2.0, 1.0, 3)
