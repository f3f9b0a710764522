"""The first page of a dossier, of one small audit: what it says, and what stays out of the copy for the file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

from common.study.dossier_settings import Dossier, Party
from common.study.study import Study, parse
from experiments.audit.cast import cast_of
from experiments.audit.conduct import Effort, audit_run
from experiments.audit.dossier import printing, schema
from experiments.audit.dossier.anonymity import answer
from experiments.audit.dossier.prices import prices
from experiments.audit.dossier.risks import light_of, placed
from experiments.audit.dossier.scope import kind_of, sentence
from experiments.audit.dossier.sheet import Bearing, Price, Recognition, Risk
from experiments.audit.dossier.verifying import verify
from experiments.audit.dossier.words import words_of
from experiments.audit.dossier.writing import Filing, file_dossier
from experiments.audit.records import Power, Report
from experiments.audit.report.page import json_of, page_of
from experiments.audit.report.words import plainly
from experiments.cli import cli
from experiments.engines._quiet import run_quietly

SAID = Dossier(purpose="To find <stripes>.", parties=(Party("Ada Trust", "joint controller"),), review="2027-06-30")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dossier")


@pytest.fixture(scope="module")
def made() -> dict[str, Report]:
    return {}


@pytest.fixture
def report(tiny: Callable[..., Study], place: Path, made: dict[str, Report]) -> Report:
    """Of gradients of single cases in the clear: patients come back, so that pictures are at stake."""
    if not made:
        study = tiny("strategy=fedsgd", "training={batch_size=1}", "rounds=1", "federation.record_traffic=true")
        run_quietly(replace(study, dossier=SAID), place)
        made["report"] = audit_run(place, Effort(0.5, pictures=True))
    return made["report"]


def text_of(page: str) -> str:
    return " ".join(
        unescape(re.sub(r"<[^>]*>", " ", re.sub(r"<(style|script).*?</\1>", "", page, flags=re.S))).split()
    )


def test_the_first_line_says_what_is_judged_and_the_first_page_asks_one_question_and_answers_it(
    report: Report,
) -> None:
    text = text_of(page_of(report))
    judged, question, answer_ = (text.index(words) for words in ("Judged is a simulation", "May this model", "No."))
    assert judged < question < answer_ < text.index("The study and its promise")


def test_what_the_study_says_stands_there_and_what_it_does_not_say_is_openly_to_be_filled_in(report: Report) -> None:
    text = text_of(page_of(report))
    assert "To find <stripes>." in text and "Ada Trust: joint controller" in text and "2027-06-30" in text
    assert "Legal basis To be filled in by the data-protection officer" in text


def test_no_name_of_code_stands_before_the_details(report: Report) -> None:
    text = text_of(page_of(report)).partition("Every attempt, and how to make it again")[0]
    text = text.partition("What was not tried")[0]
    coded = {name for name in cast_of(()).attacks if "_" in name}
    assert not {name for name in coded if re.search(rf"\b{name}\b", text)}


def test_the_figures_for_machines_hold_the_first_page_and_keep_to_the_schema(report: Report) -> None:
    figures = json.loads(json_of(report))
    jsonschema.validate(figures, dict(schema.published()), jsonschema.Draft202012Validator)
    assert schema.fault_of(figures) is None
    assert figures["dossier"]["judged"] == "simulation"
    assert figures["dossier"]["said"]["purpose"] == "To find <stripes>."


def test_pictures_are_shown_where_asked_for_and_never_in_the_copy_for_the_file(
    report: Report, place: Path, tiny: Callable[..., Study]
) -> None:
    assert "data:image" in page_of(report)
    study = parse((place / "study.toml").read_text())
    folder = file_dossier(report, place, study, Filing(packed=place.parent / "filed.zip"))
    assert "data:image" not in (folder / "audit.html").read_text()
    assert verify(place).whole and verify(place.parent / "filed.zip", run=place).whole
    (place / "study.toml").write_text((place / "study.toml").read_text() + "\n")
    assert not verify(place).whole


def test_the_command_verifies_signs_and_says_who(place: Path, report: Report, tmp_path: Path) -> None:
    file_dossier(report, place, parse((place / "study.toml").read_text()), Filing())
    run = CliRunner().invoke
    assert run(cli, ["audit", "key", str(tmp_path / "key")]).exit_code == 0
    assert "Nobody signed" in run(cli, ["audit", "verify", str(place)]).output
    assert "all 32 digits" in run(cli, ["audit", "verify", str(place), "--signer", "3733 6494"]).output
    signed = run(cli, ["audit", "sign", str(place), "--key", str(tmp_path / "key"), "--party", "Ada Trust"]).output
    digits = signed.rpartition("signed by ")[2].strip().rstrip(")")
    checked = run(cli, ["audit", "verify", str(place), "--signer", digits])
    assert checked.exit_code == 0 and "Ada Trust" in checked.output and "nothing differs from what" in checked.output
    (place / "dossier" / "audit.html").write_text("<p>Sign.</p>")
    found = run(cli, ["audit", "verify", str(place)])
    assert found.exit_code == 1 and "audit.html is not as it was written" in found.output
    refused = run(cli, ["audit", "sign", str(place), "--key", str(tmp_path / "key")])
    assert refused.exit_code == 1 and "was not signed: audit.html" in " ".join(refused.output.split())
    assert run(cli, ["audit", str(tmp_path)]).exit_code == 1  # what is no command of the group is a run


@pytest.mark.skipif(printing.browser() is None, reason="no Chromium is installed, which prints the PDF")
def test_the_pdf_is_a4_and_holds_what_was_folded(report: Report) -> None:
    page = page_of(report)
    assert "<details>" in page and "<details>" not in printing.unfolded(page)
    found = printing.pdf_of(page)
    assert found.startswith(b"%PDF") and re.search(rb"/MediaBox \[0 0 59[45][\d.]* 84[12][\d.]*\]", found)


def test_a_run_says_by_its_engine_whether_a_simulation_or_a_deployment_is_judged() -> None:
    kinds = [kind_of(engine) for engine in ("inline", "processes", "simulation", "nodes", "deployment", "flower", "")]
    assert kinds == ["simulation"] * 3 + ["rehearsal"] * 2 + ["deployment"] * 2
    assert sentence("deployment", 4).startswith("Judged is a deployment: 4 hospitals")


def test_a_price_is_what_the_comparison_measured_and_else_the_command_is_said(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "heart" / "one"
    run.mkdir(parents=True)
    assert prices(run, "heart") == (
        (),
        "What advice would cost in the model's score was not measured here. This measures it: "
        "`wardround audit heart --matrix --seconds 20`",
    )
    rows = [
        {"protection": "plain", "score": 0.8, "score_name": "accuracy", "priced_against": None},
        {"protection": "noise", "score": 0.788, "score_name": "accuracy", "priced_against": "plain"}
        | {"promised_epsilon": 2.0},
        {"protection": "lost", "score": None, "score_name": "accuracy", "priced_against": "plain"},
    ]
    (run.parent / "matrix.json").write_text(json.dumps(rows))
    (one,), _ = prices(run, "heart")
    assert (one.protection, one.epsilon, one.score, one.without) == ("noise", 2.0, "accuracy", 0.8)
    assert one.cost == pytest.approx(0.012)
    (run.parent / "matrix.json").write_text("[[")
    assert prices(run, "heart")[0] == ()


def test_risks_before_and_after_stand_in_the_cells_of_their_severity_and_likelihood() -> None:
    one = Risk("a", "b", "significant", "maximum", "", "negligible", "")
    two = Risk("c", "d", "limited", "not judged", "", "limited", "")
    cells = placed([one, two])
    assert cells["significant", "maximum"] == ([1], []) and cells["significant", "negligible"] == ([], [1])
    assert cells["limited", "limited"] == ([], [2])


def test_whether_it_is_anonymous_is_answered_where_findings_do_and_else_left_to_the_officer(report: Report) -> None:
    red, green = Bearing("inference", "red", ""), Bearing("inference", "green", "")
    private = replace(report, claim=replace(report.claim, epsilon={"a": 1.0}))
    assert answer(report, [green, red]).startswith("Personal data")
    assert answer(report, [green]).startswith("Not shown to be anonymous")
    assert answer(private, [green]).startswith("Left to you, with a doubt")
    held = replace(report.verdicts[0], lights={"epsilon": "green"}, conditional=())
    shown = replace(private, verdicts=[held], power=[Power("epsilon", "sent_noise", "no noise", 5, 5)])
    assert answer(shown, [green]).startswith("Left to you: nothing")


def test_what_came_back_under_a_condition_only_is_amber_for_its_question(report: Report) -> None:
    held = replace(report.verdicts[0], lights={"labels": "green"}, conditional=())
    assert light_of(replace(report, verdicts=[held]), "labels") == "green"
    if_cheating = replace(held, conditional=[("labels", "cheating")])
    assert light_of(replace(report, verdicts=[if_cheating]), "labels") == "amber"
    assert light_of(report, "no such question") is None


def test_names_of_code_are_words_and_longer_names_are_not_taken_apart() -> None:
    cast = cast_of(())
    said = plainly("lira_offline and rmia; matching, and lira_offline.py", cast)
    assert said == (
        "Comparing with models trained without the patient (LiRA) and comparing with other people's cases (RMIA); "
        "matching an update, and lira_offline.py"
    )


def test_words_of_a_file_of_their_own_take_the_place_of_the_studys(tmp_path: Path) -> None:
    (tmp_path / "words.toml").write_text('[dossier]\npurpose = "Another"\n')
    assert words_of(tmp_path / "words.toml") == Dossier(purpose="Another")


def test_values_of_the_first_page_are_plain() -> None:
    assert Recognition("a", "patient", 2, 0.6).bound == 0.6
    assert Price("p", None, "accuracy", 0.8, 0.0, "m").cost == 0
