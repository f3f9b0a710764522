"""Facts of a dossier's first page: what bounds an attack, who left, the floors of a promise, conditions."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from common.data.cases import SiteId
from common.study.study import Study, parse
from experiments.audit.dossier.leftovers import departed, ledgers, retained, unreadable
from experiments.audit.dossier.pyramid import epsilon_in_words, pyramid
from experiments.audit.dossier.recognition import in_words, recognitions
from experiments.audit.dossier.risks import risks
from experiments.audit.dossier.scope import conditions
from experiments.audit.dossier.sheet import Departed, Recognition
from experiments.audit.records import Claim, Power, Trial
from tests.experiments.judging import report_of

PRIVATE = Claim(
    "secagg",
    "sum",
    "",
    mechanism="dpsgd",
    unit="patient",
    epsilon={"a": 1.0},
    delta=1e-4,
    noise_source="seed (simulation)",
    relation="zero-out: one patient's data replaced by nothing",
    opening_hospitals=3,
    opening_if_cheating=0,
)
STUDY = 'title = "t"\nsource = "phantom"\ntask = { name = "segmentation", network = "unet" }\n'


@pytest.fixture(scope="module")
def study() -> Study:
    return parse(STUDY)


def spent(folder: Path, noise: float, rounds: int = 2) -> Path:
    """A run's `privacy.json`: every round of hospital a one noisy sum over all its patients."""
    releases = [{"noise_multiplier": noise, "sampling_rate": 1.0, "steps": 3}]
    (folder / "privacy.json").write_text(json.dumps({"sites": {"a": {"rounds": rounds, "releases": releases}}}))
    return folder


def test_the_bound_on_recognition_is_of_all_rounds_and_never_below_guessing(tmp_path: Path) -> None:
    few = recognitions(spent(tmp_path, 5.0), PRIVATE, ())
    more = recognitions(spent(tmp_path, 5.0, rounds=20), PRIVATE, ())
    assert [one.among for one in few] == [2, 10, 100]
    for one, later in zip(few, more, strict=True):
        assert 1 / one.among < (one.bound or 1) < (later.bound or 1)


def test_much_noise_leaves_hardly_more_than_guessing_and_no_promise_leaves_no_bound(tmp_path: Path) -> None:
    (two, *_) = recognitions(spent(tmp_path, 1e4), PRIVATE, ())
    assert two.bound == pytest.approx(0.5, abs=1e-3)
    assert recognitions(tmp_path, replace(PRIVATE, epsilon={}), ()) == ()
    assert "no epsilon was promised" in in_words((), PRIVATE)


def test_the_sentence_is_of_the_weakest_hospital_among_the_most_patients() -> None:
    found = [Recognition("a", "patient", 100, 0.02), Recognition("b", "patient", 100, 0.03)]
    said = in_words([*found, Recognition("a", "patient", 2, 0.6)], PRIVATE)
    assert "one patient picks the right one out of 100 with a chance above 3 %, where guessing has 1 %" in said
    assert "the coordinator, which adds the noise itself, is not bound" in in_words(
        found, replace(PRIVATE, binds_coordinator=False)
    )
    assert "bounds nothing" in in_words([Recognition("a", "patient", 100, None)], PRIVATE)


def test_who_withdrew_or_did_not_consent_is_counted_and_never_named(tmp_path: Path) -> None:
    place = tmp_path / "hospitals" / "a"
    place.mkdir(parents=True)
    (tmp_path / "run.json").write_text(json.dumps({"withdrawn": {"a": 2}}))
    (place / "quarantined.txt").write_text("p1: no consent to this study\np2: no image\n")
    found = departed(tmp_path)
    assert found == (Departed(SiteId("a"), 2, 0, 1),)
    said = " ".join(retained(found, PRIVATE))
    assert said.startswith("2 persons withdrew") and "epsilon of 1 at delta 0.0001" in said and "p1" not in said
    assert ledgers(tmp_path) == ()


def test_a_list_of_who_withdrew_that_cannot_be_read_is_not_said_to_be_empty(tmp_path: Path) -> None:
    place = tmp_path / "hospitals" / "a"
    place.mkdir(parents=True)
    (tmp_path / "run.json").write_text("{}")
    (place / "withdrawn.json").write_text("no list")
    said = " ".join(retained(departed(tmp_path), PRIVATE, unreadable(tmp_path)))
    assert (
        said.startswith("Of a the list of who withdrew is not as it was written") and "anybody withdrew" not in said
    )
    (place / "withdrawn.json").unlink()
    assert unreadable(tmp_path) == ()


def test_a_ledger_that_cannot_be_read_is_said_to_be_one(tmp_path: Path) -> None:
    place = tmp_path / "hospitals" / "a"
    place.mkdir(parents=True)
    (place / "privacy-ledger.sqlite").write_bytes(b"no database")
    (line,) = ledgers(tmp_path)
    assert line.fault and line.epsilon is None


def floors(claim: Claim) -> str:
    return str(pyramid(report_of(claim)))


def test_every_floor_of_a_promise_is_there_and_what_was_not_judged_is_never_green() -> None:
    page = floors(PRIVATE)
    for part in ("Epsilon and delta", "Unit", "What is compared", "Mechanism", "Noise", "Trust", "Access and keys"):
        assert part in page
    assert "Not measured." in page and "zero-out" not in page and "`" not in page
    assert pyramid(report_of(replace(PRIVATE, epsilon={}))) is None


@pytest.mark.parametrize(("epsilon", "look"), [(1.0, "good"), (8.0, "warn"), (11.0, "bad"), (inf, "bad")])
def test_the_strength_of_a_promise_has_the_light_of_its_epsilon(epsilon: float, look: str) -> None:
    first = floors(replace(PRIVATE, epsilon={"a": epsilon})).partition("</tr>")[2].partition("</tr>")[0]
    assert f"badge {look}" in first and epsilon_in_words(epsilon) in first


def test_a_deployments_conditions_ask_neither_for_its_own_noise_nor_for_another_run_of_the_study(
    study: Study,
) -> None:
    """What nobody can prove from the coordinator's folder stays amber."""
    real = replace(PRIVATE, noise_source="system")
    said = list(conditions("deployment", study, real, {"a": "01", "b": "01"}))
    words = " ".join(one.sentence for one in said)
    assert "Each hospital said that it ran the program of the digest below" in words
    assert "Noise comes from" not in words and "on machines of their own" not in words
    assert {one.light for one in said} == {"amber"}
    unlike = " ".join(one.sentence for one in conditions("deployment", study, real, {"a": "01", "b": "02"}))
    assert "said that it ran" not in unlike and "Flower's stock node" in unlike


def test_a_simulations_conditions_ask_for_noise_of_the_system_and_the_same_study(study: Study) -> None:
    words = " ".join(one.sentence for one in conditions("simulation", study, PRIVATE, {}))
    assert "Noise comes from the operating system" in words and "approve its digest" in words
    trusting = conditions("simulation", study, replace(PRIVATE, reveals="each", binds_coordinator=False), {})
    words = " ".join(one.sentence for one in trusting)
    assert "it adds the noise itself" in words and "it reads what each hospital sends" in words
    bare = conditions("simulation", study, Claim("secagg", "sum", "", opening_if_cheating=0), {})
    assert [one.light for one in bare if "cheats" in one.sentence] == ["red"]


def test_a_risk_before_the_measures_is_that_of_the_same_training_without_them(tmp_path: Path) -> None:
    rows = [
        {"protection": "single cases", "lights": {"labels": "red"}},
        {"protection": "bare", "lights": {"labels": "amber"}},
        {"protection": "noise", "lights": {"labels": "green"}, "priced_against": "bare"},
    ]
    (tmp_path / "matrix.json").write_text(json.dumps(rows))
    trial = Trial("label_counts", "labels", "coordinator", SiteId(""), "", "", "", figures={"exact_share": 0.0})
    (one,) = [one for one in risks(report_of(PRIVATE, trial), tmp_path) if one.before_because.startswith("As")]
    assert one.before == "significant" and "bare" in one.before_because


def test_a_promise_whose_faults_were_not_all_seen_makes_no_likelihood_negligible(tmp_path: Path) -> None:
    trial = Trial("label_counts", "labels", "coordinator", SiteId(""), "", "", "", figures={"exact_share": 0.0})
    weak = replace(report_of(PRIVATE, trial), power=(Power("epsilon", "sent_noise", "no noise", 0, 5),))
    assert all(one.after != "negligible" for one in risks(weak, tmp_path))
