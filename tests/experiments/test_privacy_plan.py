"""`wardround privacy plan`: what a study's privacy will cost, said before it runs."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from client.hospital import open_hospital
from common.errors import StudyError
from common.learning.client_work import Training
from common.privacy.accounting import Bound, epsilon_of
from common.privacy.mechanism import Facts
from common.privacy.mechanisms.dpsgd import Dpsgd
from common.privacy.release import Release
from common.privacy.study_facts import mechanism_of
from common.study.study import Study
from experiments.planning.privacy_plan import Plan, PlannedSite, count, marks, plan_of, planned_site
from experiments.planning.view import blocks, drawing

SVG = "{http://www.w3.org/2000/svg}"
FOR_PATIENTS = ("privacy.name=dpsgd", "privacy.delta=0.001")
FACTS = Facts(
    patients=100, cases=300, hospitals=4, rounds=20, sends="delta", training=Training(steps=5, batch_size=8)
)


@pytest.fixture
def study_file(tiny: Callable[..., Study], tmp_path: Path) -> Callable[..., str]:
    def write(*overrides: str) -> str:
        path = tmp_path / "tiny.toml"
        path.write_text(tiny(*overrides).text)
        return str(path)

    return write


def test_a_study_without_a_mechanism_is_told_so(wardround: Callable[..., tuple[int, str]], study_file) -> None:
    code, said = wardround("privacy", "plan", study_file())
    assert code == 0
    assert "names no privacy mechanism" in said


def test_noise_set_gives_epsilon_and_epsilon_asked_gives_noise() -> None:
    set_noise = planned_site(Dpsgd(noise_multiplier=1.5), FACTS, "a")
    assert set_noise.releases == (Release(1.5, 0.08, 5),)
    assert set_noise.steps == 100
    assert set_noise.bound == epsilon_of([Release(1.5, 0.08, 100)], 1e-5)
    asked = planned_site(Dpsgd(epsilon=set_noise.bound.epsilon), FACTS, "a")
    assert asked.releases[0].noise_multiplier == pytest.approx(1.5, abs=2e-4)


def test_the_curve_ends_at_the_bound() -> None:
    one = planned_site(Dpsgd(noise_multiplier=1.5), FACTS, "a")
    assert [number for number, _ in one.curve] == list(range(1, 21))
    assert one.curve[-1] == (20, one.bound.epsilon)


def test_a_promise_that_cannot_be_kept_names_the_hospital() -> None:
    with pytest.raises(StudyError, match="in ward-b: delta must be below 1 / 100"):
        planned_site(Dpsgd(noise_multiplier=1.0, delta=0.01), FACTS, "ward-b")


def test_every_hospital_is_counted_as_it_will_train(tiny: Callable[..., Study]) -> None:
    study = tiny(*FOR_PATIENTS, "privacy.noise_multiplier=2.0")
    counted = count(study)
    assert len(counted.facts) == 4
    for index, facts in enumerate(counted.facts.values()):
        train = open_hospital(study.json, index).train
        assert (facts.patients, facts.cases) == (len(np.unique(train.patients)), len(train))
    assert counted.parameters == 36 * 8 + 8 + 8 * 2 + 2
    plan = plan_of(counted)
    assert plan is not None and set(plan.sites) == set(counted.facts)


def test_a_plan_promises_no_less_than_the_mechanism_will_spend(tiny: Callable[..., Study]) -> None:
    counted = count(tiny(*FOR_PATIENTS, "privacy.epsilon=2.0", "partition.hospitals=2"))
    mechanism, plan = mechanism_of(counted.study), plan_of(counted)
    assert mechanism is not None and plan is not None
    for site, one in plan.sites.items():
        spent = epsilon_of(mechanism.round_releases(counted.facts[site]) * counted.study.rounds, plan.delta)
        assert one.bound.epsilon == pytest.approx(spent.epsilon, rel=1e-9)
        assert 1.9 < one.bound.epsilon <= 2.0 <= one.bound.epsilon_rdp


def test_the_command_prints_a_line_a_hospital_and_writes_both_files(
    wardround: Callable[..., tuple[int, str]], study_file, tmp_path: Path
) -> None:
    table, plot = tmp_path / "out" / "plan.json", tmp_path / "out" / "plan.svg"
    study = study_file(*FOR_PATIENTS, "privacy.noise_multiplier=2.0")
    code, said = wardround("privacy", "plan", study, "--json", str(table), "--plot", str(plot))
    assert code == 0, said
    assert "GDP" not in said and "Rényi" in said
    plan = json.loads(table.read_text())
    assert len(plan["sites"]) == 4
    for one in plan["sites"].values():
        assert one["bound"]["epsilon"] == one["curve"][-1][1] > 0
    names = {element.text for element in ET.parse(plot).iter(f"{SVG}text")}
    assert {"round", *plan["sites"]} <= names


def test_a_plot_of_another_kind_is_refused_before_any_work(
    wardround: Callable[..., tuple[int, str]], study_file
) -> None:
    code, said = wardround("privacy", "plan", study_file(), "--plot", "plan.png")
    assert code == 1
    assert "must end with .svg" in said


def test_hiding_whole_hospitals_is_set_beside_hiding_patients(
    wardround: Callable[..., tuple[int, str]], study_file
) -> None:
    settings = ("privacy.name=hospital", "privacy.noise_multiplier=2.0", "privacy.delta=0.1")
    study = study_file(*settings, "partition.hospitals=2")
    code, said = wardround("privacy", "plan", study)
    words = " ".join(said.split())
    assert code == 0, said
    assert "noise on the mean update is 1.000 times the clip norm in every coordinate" in words
    assert "17.72 times over all 314 parameters" in words  # sqrt(314)
    assert "Hiding patients instead" in words


def of_epsilons(*values: float) -> PlannedSite:
    bound = Bound(values[-1], values[-1], 1e-5)
    return PlannedSite(10, 10, (Release(1.0, 1.0, 1),), len(values), bound, tuple(enumerate(values, 1)))


def test_blocks_stand_for_epsilon_and_end_with_the_last_round() -> None:
    assert blocks(of_epsilons(0.0, 0.5, 1.0), 1.0) == "▁▅█"
    many = blocks(of_epsilons(*np.linspace(0, 1, 30)), 1.0)
    assert len(many) <= 12 and many.endswith("█")


def test_only_the_hospitals_that_spend_most_are_drawn() -> None:
    sites = {f"site-{number:02d}": of_epsilons(0.1, number / 10) for number in range(1, 13)}
    text = drawing(Plan("dpsgd", "patient", 1e-5, 2, sites))
    assert ">site-05<" in text and ">site-12<" in text and ">site-04<" not in text


def test_marks_keep_the_first_and_the_last_round() -> None:
    assert marks(1) == (1,)
    assert marks(4) == (1, 2, 3, 4)
    assert (marks(1000)[0], marks(1000)[-1], len(marks(1000))) == (1, 1000, 30)
