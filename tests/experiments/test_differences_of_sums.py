"""The audit's coordinator takes sums apart: nothing below a group with whole groups, single hospitals without."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from common.study.study import Study
from experiments.audit.conduct import Effort, audit_run, opened
from experiments.audit.records import Claim, Trial
from experiments.audit.report.page import SCHEMA, json_of, page_of
from experiments.engines._quiet import run_quietly
from server.report import write_report
from tests.experiments.judging import found_by
from tests.experiments.judging import judged as all_judged

RECORDED = ("federation.record_traffic=true", "federation.evaluate_every=0", "training.learning_rate=1e-3")
THREE_OF_FOUR = ("rounds=12", "training.batch_size=64", "federation.client_fraction=0.75")
OFF = 'federation.groups="off"'
LOOKING, CHEATING = "differences_of_sums", "two_sums_that_differ"
PROMISED = Claim("secagg", "sum", "nobody")


def played(study: Study, folder: Path) -> tuple[Claim, list[Trial]]:
    run_quietly(study, folder)
    run = opened(folder, Effort(5.0))
    trials = found_by(run, LOOKING, CHEATING).trials
    return run.claim, [
        *(one for one in trials if one.attack == LOOKING),
        *(one for one in trials if one.attack == CHEATING),
    ]


def judged(claim: Claim, *trials: Trial) -> tuple[str, list[str]]:
    (verdict,) = all_judged(claim, trials, [trials[0].site or "hospital-0"])
    column = trials[0].observer if trials[0].condition else "differences"
    return verdict.lights[column], [words for _, words in verdict.reasons]


def test_where_groups_are_off_an_honest_coordinator_reads_every_hospitals_update_off_the_sums(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    claim, trials = played(tiny(*RECORDED, *THREE_OF_FOUR, OFF, "aggregation=secagg"), tmp_path)
    looked = [trial for trial in trials if trial.attack == LOOKING]
    assert [trial.settings["told_apart"] for trial in looked] == [[trial.site] for trial in looked]
    assert all(trial.figures["cosine"] > 0.8 for trial in looked)
    assert max(trial.figures["beyond_the_sum"] for trial in looked) > 0.05
    for trial in looked:
        light, words = judged(claim, trial)
        assert light == "red" and any("is this hospital's own update: cosine" in one for one in words)
    (cheat,) = [trial for trial in trials if trial.attack == CHEATING]
    assert cheat.figures["opened"] == 0 and claim.opening_hospitals == 0
    assert (
        "tell single hospitals apart all the same" in claim.opened_by or "groups are switched off" in claim.opened_by
    )


def test_with_whole_groups_nothing_below_a_group_is_told_apart(tiny: Callable[..., Study], tmp_path: Path) -> None:
    claim, trials = played(tiny(*RECORDED, *THREE_OF_FOUR, "aggregation=secagg"), tmp_path)
    looked, (cheat,) = trials[:-1], trials[-1:]
    assert {trial.figures["told_apart"] for trial in looked} == {4.0}
    assert all("cosine" not in trial.figures for trial in looked)
    assert judged(claim, looked[0])[0] == "green"
    light, words = judged(claim, cheat)
    assert light == "green" and any("is refused by" in one for one in words)


@pytest.mark.parametrize(
    ("settings", "opened"),
    [
        (("aggregation=secagg",), False),
        (("aggregation=additive",), False),
        (("aggregation=bfv",), False),
        (("aggregation=secagg", OFF), True),
        (("aggregation=additive", OFF), True),
        (('aggregation={name="bfv",keys="shared"}',), True),
        (('aggregation={name="ckks",mode="economical"}',), True),
        (("aggregation=secagg", 'privacy={name="dpsgd",noise_multiplier=1.0,delta=1e-3}'), True),
    ],
)
def test_a_coordinator_that_cheats_gets_two_sums_only_where_nothing_forbids_it(
    tiny: Callable[..., Study], tmp_path: Path, settings: tuple[str, ...], opened: bool
) -> None:
    claim, trials = played(tiny(*RECORDED, "rounds=1", *settings), tmp_path)
    cheat = trials[-1]
    assert bool(cheat.figures["opened"]) is opened
    assert (cheat.figures["cosine"] > 0.999) is opened
    light, words = judged(claim, cheat)
    assert light == ("amber" if opened else "green")
    assert any("epsilon alone hides" in one for one in words) is (opened and bool(claim.mechanism))


def test_a_lost_hospital_isolates_nobody_it_was_grouped_with_and_rules_say_so() -> None:
    apart = {"rounds": 3.0, "told_apart": 2.0, "fewest_of_any": 2.0, "least_in_sum": 3.0}
    two = replace(_looked(), figures=apart, settings={"told_apart": ["a", "b"], "not_scored": "no data"})
    light, words = judged(PROMISED, two)
    assert light == "amber" and any("the sum of 2 hospitals" in one and "no data" in one for one in words)
    difference = replace(
        two, figures=apart | {"told_apart": 4.0, "cosine": 0.7, "cosine_of_sum": 0.68, "beyond_the_sum": 0.02}
    )
    light, words = judged(PROMISED, difference)
    assert light == "amber" and any("over 2 hospitals only" in one for one in words)
    alone = replace(
        two, figures=apart | {"told_apart": 1.0, "cosine": 0.99, "beyond_the_sum": 0.4, "cosine_of_sum": 0.59}
    )
    assert judged(PROMISED, alone)[0] == "red"
    noisy = replace(PROMISED, mechanism="dpsgd")
    assert judged(noisy, alone)[0] == "amber"
    assert judged(replace(noisy, binds_coordinator=False), alone)[0] == "red", "its noise comes after the sum is read"
    drifted = replace(alone, figures=dict(alone.figures) | {"cosine": 0.6, "beyond_the_sum": 0.01})
    assert judged(PROMISED, drifted)[0] == "amber"


def _looked() -> Trial:
    return Trial(LOOKING, "differences", "coordinator", "a", "", "", "")


def test_where_single_updates_are_read_there_is_nothing_to_take_apart(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    trials = played(tiny(*RECORDED, "rounds=1"), tmp_path)[1]
    assert {(trial.possible, trial.reason) for trial in trials} == {(False, "every single update is read as it is")}


def test_first_pages_say_what_was_found_and_whom_the_study_trusts(tiny: Callable[..., Study], tmp_path: Path) -> None:
    shared = ('aggregation={name="ckks",mode="economical"}', OFF)
    run_quietly(tiny(*RECORDED, "rounds=1", *shared), tmp_path)
    report = audit_run(tmp_path, Effort(0.2))
    found = json.loads(json_of(report))
    jsonschema.validate(found, json.loads(SCHEMA.read_text()), jsonschema.Draft202012Validator)
    trusts = "This study trusts the coordinator, and every colluding hospital"
    assert any(sentence.startswith(trusts) for sentence in found["claim"]["trusts"])
    page = page_of(report)
    assert trusts in page and "Telling a hospital apart" in page
    assert trusts in write_report(tmp_path).read_text(encoding="utf-8")
