"""A whole audit of a tiny run: what comes back in the clear, what does not under masks, and the report about it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path

import jsonschema
import pytest

from common.errors import StudyError
from common.study.study import Study
from experiments.audit.conduct import Effort, audit_run
from experiments.audit.records import Claim, Rebuilt, Report, Trial
from experiments.audit.report.headline import opening_sentence
from experiments.audit.report.page import SCHEMA, json_of, page_of
from experiments.audit.report.words import promise_sentence
from experiments.engines._quiet import run_quietly
from tests.experiments.judging import CHEATS, judged, report_of

GRADIENTS = ("strategy=fedsgd", "training={batch_size=1}", "rounds=2", "federation.record_traffic=true")
SECONDS = 2.0


@pytest.fixture(scope="module")
def audits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    return {}


@pytest.fixture
def audited(
    tiny: Callable[..., Study], tmp_path_factory: pytest.TempPathFactory, audits: dict[str, Report]
) -> Callable[[str], Report]:
    """The audit of a run of gradients of single cases, by how they were added up; made once a module."""

    def made(aggregation: str) -> Report:
        if aggregation not in audits:
            folder = tmp_path_factory.mktemp(f"{aggregation} run")
            run_quietly(tiny(*GRADIENTS, f"aggregation={aggregation}"), folder)
            audits[aggregation] = audit_run(folder, Effort(SECONDS))
        return audits[aggregation]

    return made


def test_single_gradients_of_one_case_come_back_exactly_and_the_verdict_is_red(
    audited: Callable[[str], Report],
) -> None:
    report = audited("plain")
    analytic = [trial for trial in report.trials if trial.attack == "analytic" and trial.possible]
    assert {trial.site for trial in analytic} == {f"hospital-{k}" for k in range(4)}
    assert all(one.ssim > 0.99 and one.rank == 1 for trial in analytic for one in trial.rebuilt)
    assert {verdict.light for verdict in report.verdicts} == {"red"}


def test_under_masks_no_single_hospital_is_attacked(audited: Callable[[str], Report]) -> None:
    report = audited("secagg")
    assert report.claim.reveals == "sum"
    made = [trial for trial in report.trials if trial.kind == "reconstruction" and trial.possible]
    rebuilding = [trial for trial in made if trial.observer == "coordinator"]
    assert rebuilding and all(trial.site == "" for trial in rebuilding)
    shown = [one for trial in rebuilding if trial.attack == "matching" for one in trial.rebuilt]
    assert not any(one.ssim > 0.99 or one.identifies for one in shown)
    assert "single updates" in {party["party"]: party["cannot_read"] for party in report.parties}["the coordinator"]


@pytest.mark.parametrize("aggregation", ["plain", "secagg"])
def test_the_figures_for_machines_keep_to_the_published_schema(
    audited: Callable[[str], Report], aggregation: str
) -> None:
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(json_of(audited(aggregation))), schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize("aggregation", ["plain", "secagg"])
def test_the_page_says_verdict_promise_limits_and_command_and_needs_no_network(
    audited: Callable[[str], Report], aggregation: str
) -> None:
    report = audited(aggregation)
    page = page_of(report)
    for words in ("What was promised", "What was tried", "The verdict", "What was not tried", report.command):
        assert words in unescape(page)
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "default-src 'none'" in unescape(page)


def test_names_in_an_audit_are_shown_and_not_run(audited: Callable[[str], Report]) -> None:
    page = page_of(replace(audited("plain"), title="<script>alert(1)</script>"))
    assert "<script>alert(1)" not in page


def test_without_pictures_no_patients_data_are_in_the_page_though_cases_came_back(
    audited: Callable[[str], Report],
) -> None:
    report = audited("plain")
    assert any(trial.rebuilt for trial in report.trials) and "data:image" not in page_of(report)


def test_a_run_without_recorded_traffic_is_refused_with_the_remedy(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    run_quietly(tiny("rounds=1"), tmp_path)
    with pytest.raises(StudyError, match=r"record_traffic=true"):
        audit_run(tmp_path, Effort(1.0))


def test_the_command_writes_both_files_and_says_the_verdict(
    tiny: Callable[..., Study], tmp_path: Path, wardround: Callable[..., tuple[int, str]]
) -> None:
    run_quietly(tiny(*GRADIENTS), tmp_path)
    code, said = wardround("audit", str(tmp_path), "--seconds", "1")
    assert code == 0 and "hospital-0: Do not sign" in said
    assert (tmp_path / "audit.html").is_file() and (tmp_path / "audit.json").is_file()
    assert wardround("audit", str(tmp_path / "nowhere"))[0] == 1


PLAIN = Claim("plain", "each", "everybody")
PRIVATE = Claim("secagg", "sum", "nobody", "dpsgd", "patient", {"a": 2.0}, 1e-5, "operating system")


def trial(kind: str, **more: object) -> Trial:
    return replace(Trial("attack", "reconstruction", "coordinator", "a", "", "", ""), kind=kind, **more)


def rebuilt(similarity: float, rank: int) -> Rebuilt:
    return Rebuilt("a", "", "", similarity, 20.0, rank, 50)


def of_few(similarity: float, rank: int, decoy: float, chance: float = 0.01) -> Rebuilt:
    """Of ten patients, where no more than the chance to be so near says whether it is one of them."""
    return Rebuilt("a", "", "", similarity, 20.0, rank, 10, chance=chance, decoy=decoy)


@pytest.mark.parametrize(
    ("claim", "found", "light"),
    [
        (PRIVATE, [], "green"),
        (PLAIN, [], "amber"),
        (PLAIN, [trial("reconstruction", rebuilt=(rebuilt(0.6, 1),))], "red"),
        (PLAIN, [trial("reconstruction", rebuilt=(rebuilt(0.6, 2),))], "amber"),
        (PLAIN, [trial("reconstruction", rebuilt=(of_few(0.99, 1, 0.5),))], "red"),
        (PRIVATE, [trial("reconstruction", rebuilt=(of_few(0.99, 1, 0.5, chance=0.1),))], "green"),
        (PRIVATE, [trial("reconstruction", rebuilt=(of_few(0.9, 1, 0.95),))], "green"),
        (PRIVATE, [trial("reconstruction", rebuilt=(of_few(1.0, 2, 0.5),))], "amber"),
        (PLAIN, [trial("reconstruction", rebuilt=(replace(rebuilt(0.6, 1), rival=0.46),))], "red"),
        (PLAIN, [trial("reconstruction", rebuilt=(replace(rebuilt(0.6, 1), rival=0.47),))], "amber"),
        (PRIVATE, [trial("reconstruction", rebuilt=(rebuilt(0.1, 1),))], "green"),
        (PRIVATE, [trial("labels", figures={"exact_share": 1.0, "exact_by_chance": 0.5, "updates": 1.0})], "amber"),
        (PRIVATE, [trial("labels", figures={"exact_share": 1.0, "exact_by_chance": 0.5, "updates": 5.0})], "amber"),
        (PRIVATE, [trial("labels", figures={"exact_share": 0.9, "exact_by_chance": 0.0, "updates": 9.0})], "green"),
    ],
)
def test_each_rule_gives_its_light(claim: Claim, found: list[Trial], light: str) -> None:
    (verdict,) = judged(claim, found)
    assert verdict.light == light
    assert (light == "green") == (verdict.advice == ())


def test_counts_that_chance_guesses_as_well_are_no_finding_and_nothing_that_was_held() -> None:
    guessed = trial("labels", figures={"exact_share": 1.0, "exact_by_chance": 0.5, "updates": 1.0})
    (verdict,) = judged(PRIVATE, [guessed])
    assert verdict.lights["labels"] == "amber" and verdict.could_not_tell == ("labels",)
    (verdict,) = judged(PRIVATE, [replace(guessed, figures={**guessed.figures, "updates": 5.0})])
    assert verdict.lights["labels"] == "amber" and verdict.could_not_tell == ()


def cheat(refused: str) -> Trial:
    back = (rebuilt(0.9, 1),)
    settings = {"refused": {"listed": refused}}
    return trial("reconstruction", observer="cheating", settings=settings, rebuilt=back, condition=CHEATS)


def test_the_page_says_by_whom_each_attack_could_be_made(audited: Callable[[str], Report]) -> None:
    page = unescape(page_of(audited("plain")))
    assert "the coordinator, given the models sent out" in page and "anyone, given the final model" in page
    measured = replace(trial("labels"), observer="auditor", knowledge="everything")
    assert "the auditor, who knows more than any attacker, given everything" in page_of(report_of(PRIVATE, measured))


@pytest.mark.parametrize(
    ("claim", "found", "words"),
    [
        (PRIVATE, [cheat("")], "but only if the coordinator cheats"),
        (PRIVATE, [cheat("not listed")], "None of the attacks that were tried got at a patient's data"),
        (PLAIN, [], "something is weaker than it could be"),
        (PLAIN, [trial("reconstruction", rebuilt=(rebuilt(0.6, 2),))], "nobody in particular is recognised"),
        (
            PLAIN,
            [trial("reconstruction", rebuilt=(rebuilt(0.35, 1),))],
            "is recognised in what came back, though dimly",
        ),
        (PLAIN, [trial("reconstruction", rebuilt=(rebuilt(0.6, 1),))], "a patient's data came back"),
    ],
)
def test_the_opening_sentence_says_what_happened_and_under_which_condition(
    claim: Claim, found: list[Trial], words: str
) -> None:
    said = opening_sentence(report_of(claim, *found))
    assert words in said and "collude" not in said


def test_a_promise_that_does_not_bind_the_coordinator_is_not_said_to_bind_anyone() -> None:
    claim = replace(PRIVATE, mechanism="hospital", unit="hospital", binds_coordinator=False)
    assert "how much anyone can learn" in promise_sentence(report_of(PRIVATE))
    assert "how much anyone but the coordinator" in promise_sentence(report_of(claim))


def test_the_printed_command_repeats_every_choice(audited: Callable[[str], Report]) -> None:
    report = audited("plain")
    command, word, folder, *choices = shlex.split(report.command)
    assert (command, word, choices) == ("wardround", "audit", ["--seconds", f"{SECONDS:g}"])
    assert " " in folder and (Path(folder) / "about.json").is_file()
    assert "seconds" not in report.thresholds
