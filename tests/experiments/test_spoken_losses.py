"""What the terminal says of what was lost: whole, at 80 columns and in any encoding."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from experiments.running.live_table import LiveTable
from experiments.running.spoken_losses import FEW_CASES, Said, last_lines, lines_at_once
from experiments.terminal_letters import writable
from server.problems import Problem
from server.progress import HospitalDropped, HospitalJoined, ProblemFound

LONG = "hospital-of-" + 30 * "x" + "-1234567"


def written(folder: Path, site: str, name: str, text: str) -> None:
    place = folder / "hospitals" / site
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize("width", [20, 80])
def test_no_name_and_no_number_is_cut_on_a_narrow_terminal(width: int) -> None:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=True, color_system=None)
    with LiveTable(console) as table:
        table(HospitalDropped(12, LONG, "the array holds 1234567890 numbers; the model needs 314"))
    said = file.getvalue().replace("\n", "").replace("\r", "")
    assert LONG in said.replace(" ", "") and "1234567890" in said


def test_a_latin_1_terminal_shows_what_it_can_and_loses_no_line() -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="latin-1")
    with LiveTable(Console(file=file, width=80)) as table:
        table(ProblemFound(Problem("start", "it came \u2013 late", "Köln")))
        table(ProblemFound(Problem("start", "no reply", "Łódź")))
    file.flush()
    assert raw.getvalue().decode("latin-1").splitlines() == [
        "Köln took no part: it came - late",
        "\\u0141ód\\u017a took no part: no reply",
    ]
    assert writable("Łódź", "utf-8") == "Łódź"


def test_a_few_cases_are_named_and_the_others_counted_with_their_place(tmp_path: Path) -> None:
    written(tmp_path, "Ulm", "quarantined.txt", "".join(f"c{k}\tno mask\n" for k in range(7)))
    lines = lines_at_once(HospitalJoined("Ulm", 7), tmp_path)
    assert lines[:2] == ["Ulm: 7 cases could not be used:", "  c0: no mask"]
    assert lines[1 + FEW_CASES] == f"  and {7 - FEW_CASES} more in {tmp_path}/hospitals/Ulm/quarantined.txt"


def test_of_a_deployed_hospital_only_the_count_is_said(tmp_path: Path) -> None:
    assert lines_at_once(HospitalJoined("Ulm", 7), tmp_path) == ["Ulm: 7 cases could not be used"]
    assert lines_at_once(HospitalJoined("Ulm", 0), tmp_path) == []


def test_what_was_cut_away_of_the_truth_is_said(tmp_path: Path) -> None:
    written(tmp_path, "Ulm", "removed.txt", "tumour\t12 voxels of 3 cases\n")
    assert lines_at_once(HospitalJoined("Ulm", 0), tmp_path) == [
        "Ulm: of the truth were cut away 12 voxels of 3 cases of tumour"
    ]


def test_a_run_that_completed_begins_its_last_lines_with_the_result(tmp_path: Path) -> None:
    (tmp_path / "about.json").write_text('{"state": "completed", "headline": "dice"}')
    for final, said in (
        ({"pooled": {"dice": 0.8125}}, "Dice 0.812 on test cases of all hospitals together"),
        (
            {"sites": {"Ulm": {"dice": 0.5}, "Bonn": {"dice": 0.75}}, "pooled": {"dice": 0.7}},
            "Dice 0.625 on test cases on average over 2 hospitals",
        ),
    ):
        (tmp_path / "final.json").write_text(json.dumps({"test": final}))
        assert last_lines(tmp_path)[0][1] == said


def test_an_incident_of_a_node_without_a_name_is_found_by_its_number(tmp_path: Path) -> None:
    """Ray's and a deployment's nodes have no names before they introduce themselves."""
    written(tmp_path, "Ulm", "incidents.log", "incident 0123abcd at 2026-01-01T00:00:00+00:00: ValueError: no scan\n")
    (tmp_path / "about.json").write_text(
        '{"state": "completed", "hospitals_expected": 2, "sites_expected": ["Ulm", "Bonn"]}'
    )
    (tmp_path / "roster.json").write_text('{"sites": [{"site": "Bonn"}]}')
    problems = [
        Problem("start", "incident 0123abcd; the hospital's own log says what happened", "", 77),
        Problem("start", "no node of this name introduced itself within 5 s; it may be node 77", "Ulm"),
    ]
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps(one.table) + "\n" for one in problems))
    lines, code = last_lines(tmp_path)
    assert code == 3
    assert lines == [
        f"completed with problems (in {tmp_path})",
        "1 of 2 expected hospitals came up",
        "  Ulm took no part: incident 0123abcd, ValueError: no scan (see hospitals/Ulm/incidents.log)",
    ]


def test_a_process_that_ended_is_said_with_the_place_of_what_it_wrote(tmp_path: Path) -> None:
    written(tmp_path, "Ulm", "output.log", "out of memory\n")
    (line,) = lines_at_once(HospitalDropped(3, "Ulm", "its process ended (signal 9, SIGKILL)"), tmp_path)
    assert line.endswith("its process ended (signal 9, SIGKILL) (see hospitals/Ulm/output.log)")


def test_a_long_reason_is_spelt_out_once_and_a_loss_of_a_round_tried_again_is_said_once() -> None:
    why, said = "the network answers with numbers of another shape than the task needs", Said()
    told = [lines_at_once(HospitalDropped(1, site, why), None, said) for site in ("Ulm", "Köln", "Ulm", "Köln")]
    assert told == [[f"round 1: Ulm dropped: {why}"], ["round 1: Köln dropped: as at Ulm"], [], []]
    assert lines_at_once(HospitalDropped(2, "Ulm", why), None, said) == [f"round 2: Ulm dropped: {why}"]


def test_the_same_failure_at_the_start_keeps_the_number_and_the_log_of_each_hospital(tmp_path: Path) -> None:
    said, text = Said(), "StudyError: network 'mlp' does not fit what the task needs of it"
    for site, number in (("Ulm", "0123abcd"), ("Köln", "89abcdef")):
        written(tmp_path, site, "incidents.log", f"incident {number} at 2026-01-01T00:00:00+00:00: {text}\n")
    of_ulm, of_koeln = (
        lines_at_once(ProblemFound(Problem("start", f"incident {number}", site)), tmp_path, said)
        for site, number in (("Ulm", "0123abcd"), ("Köln", "89abcdef"))
    )
    assert of_ulm == [f"Ulm took no part: incident 0123abcd, {text} (see hospitals/Ulm/incidents.log)"]
    assert of_koeln == ["Köln took no part: incident 89abcdef, as at Ulm (see hospitals/Köln/incidents.log)"]
