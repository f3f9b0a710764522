"""Hospitals that collude with the coordinator: what is left of a sum is the honest ones' update."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from client import hospital, pool
from client.hospital import site_names
from client.partition import Partition
from common.errors import StudyError
from common.seeding import generator
from common.study.catalogue import PARTITIONS
from common.study.study import Study
from common.sums.exchange import Payload
from experiments import observation
from experiments.audit import conduct
from experiments.audit.adversaries.colluding import SYSTEM, Colluding
from experiments.audit.collusion_needed import (
    epsilon_of_one_share,
    in_words,
    opening_hospitals,
    opening_if_cheating,
    paid_for,
)
from experiments.audit.conduct import Effort, audit_run, opened
from experiments.audit.records import Claim, Rebuilt, Report, Trial
from experiments.audit.report.headline import opening_sentence
from experiments.audit.report.page import SCHEMA, json_of, page_of
from experiments.audit.report.words import promise_sentence
from experiments.audit.visibility import parties_of
from experiments.engines._quiet import run_quietly
from experiments.evidence.observing import observe, sent_orders, without
from experiments.evidence.recomputed_updates import computed_update, error_bound, own_updates
from experiments.observation import Observation
from tests.experiments.judging import cast_for, found_by, judged

RECORDED = ("rounds=2", "federation.record_traffic=true")
GRADIENTS = (*RECORDED, "strategy=fedsgd", "training={batch_size=1}")
SIX = 'partition={name="quantity",hospitals=6}'
DISTRIBUTED = 'privacy={name="distributed",noise_multiplier=1.0,delta=1e-3,sampling_rate=0.5,colluding=1}'
DPSGD = 'privacy={name="dpsgd",noise_multiplier=1.0,delta=1e-3}'
LEAST, OFF = "federation.least_in_sum=3", 'federation.groups="off"'
LARGEST, SMALLEST, MIDDLE = ["hospital-0", "hospital-1"], "hospital-3", "hospital-2"


def recorded(study: Study, folder: Path) -> tuple[Observation, dict[tuple[int, str], Payload]]:
    run_quietly(study, folder)
    return observe(folder), sent_orders(folder)


@pytest.mark.parametrize(
    "settings",
    [
        ("aggregation=plain",),
        ("aggregation=secagg",),
        ("aggregation=additive",),
        ("aggregation=bfv",),
        ('aggregation={name="ckks",mode="economical"}',),
        ("aggregation=secagg", "strategy=scaffold"),
        ("aggregation=secagg", "federation.compression={kind='random_k', share=0.3}"),
        ("aggregation={name='secagg',value_bits=8,largest_value=0.05}", "federation.compression={kind='int8'}"),
        ("aggregation=secagg", 'privacy={name="dpsgd",noise_multiplier=1.0,delta=1e-3}'),
        ("aggregation=bfv", "strategy=fedsgd", "federation.least_in_sum=3", DISTRIBUTED),
    ],
    ids=" ".join,
)
def test_what_is_left_is_the_honest_ones_update_within_the_stated_error(
    tiny: Callable[..., Study], tmp_path: Path, settings: tuple[str, ...]
) -> None:
    seen, orders = recorded(tiny(*RECORDED, *settings), tmp_path)
    study, sums = seen.study, replace(seen, singles=())
    true = {site: computed_update(study, orders, site, 2) for site in (MIDDLE, SMALLEST)}
    largest = float(np.abs(seen.sums[1].update.vectors).max())

    (single,) = without(sums, own_updates(study, orders, [*LARGEST, MIDDLE], [2])).singles
    assert (single.site, single.round, single.update.weight) == (SMALLEST, 2, true[SMALLEST].weight)
    bound = error_bound(study, orders[2, SMALLEST], 4, 1, largest)
    assert bound < 0.02 * max(np.abs(vector).max() for vector in true[SMALLEST].vectors)
    for found, wanted in zip(single.update.vectors, true[SMALLEST].vectors, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=bound)

    two = without(sums, own_updates(study, orders, LARGEST, [2]))
    (left,) = two.sums
    assert (two.singles, left.sites, left.round) == ((), (MIDDLE, SMALLEST), 2)
    together = true[MIDDLE] + true[SMALLEST]
    bound = error_bound(study, orders[2, SMALLEST], 4, 2, largest)
    for found, wanted in zip(left.update.vectors, together.vectors, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=bound)


def test_a_round_in_which_a_colluder_keeps_silent_is_left_out(tiny: Callable[..., Study], tmp_path: Path) -> None:
    seen, orders = recorded(tiny(*RECORDED, "aggregation=secagg"), tmp_path)
    told = own_updates(seen.study, orders, [*LARGEST, MIDDLE], [1, 2])
    del told[1, MIDDLE]
    found = without(seen, told)
    assert [single.round for single in found.singles] == [2] and not found.sums
    everybody = own_updates(seen.study, orders, seen.sites, [1])
    assert not without(seen, everybody).singles and not without(seen, everybody).sums


def test_the_observation_is_the_same_whatever_data_the_victim_has_by_now(
    tiny: Callable[..., Study], tiny_images: Path, tmp_path: Path
) -> None:
    """After the run the victim's images and labels are wiped; the colluders' are as they were."""
    (tmp_path / "images").mkdir()
    place = tmp_path / "images" / "own.npz"
    place.write_bytes((tiny_images / "tiny.npz").read_bytes())
    study = tiny(*GRADIENTS, "aggregation=secagg", f'source.folder="{place.parent}"')
    seen, orders = recorded(study, tmp_path / "run")
    colluders = [*LARGEST, MIDDLE]
    before = without(seen, own_updates(seen.study, orders, colluders, [1]))
    true = computed_update(seen.study, orders, SMALLEST, 1)
    wipe(study, place, site_names(study).index(SMALLEST))
    after = without(seen, own_updates(seen.study, orders, colluders, [1]))
    np.testing.assert_array_equal(before.singles[0].update.vectors[0], after.singles[0].update.vectors[0])
    gone = computed_update(seen.study, orders, SMALLEST, 1)
    assert np.abs(gone.vectors[0] - true.vectors[0]).max() > 1e-3


def wipe(study: Study, place: Path, index: int) -> None:
    """Black images in place of one hospital's; nothing that was read before is remembered."""
    cases, _ = pool.divided(pool.key_of(json.loads(study.json)))
    assert study.partition is not None
    partition: Partition = PARTITIONS.build(study.partition)
    own = partition.assign(cases, generator(study.seed, "partition")) == index
    arrays = dict(np.load(place))
    start = 0
    for part in ("train", "val", "test"):
        images = arrays[f"{part}_images"]
        images[own[start : start + len(images)]] = 0
        start += len(images)
    np.savez(place, **arrays)
    hospital.close_all()


def test_what_an_attack_sees_is_made_without_any_code_of_hospitals() -> None:
    source = Path(observation.__file__).read_text(encoding="utf-8")
    modules = {node.module or "" for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)}
    assert not {name for name in modules if name.startswith(("client", "experiments.audit"))}
    with pytest.raises(StudyError, match="`without`"):
        observe(Path(), "colluding")


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    return {}


@pytest.fixture
def report(
    tiny: Callable[..., Study], tmp_path: Path, reports: dict[str, Report], monkeypatch: pytest.MonkeyPatch
) -> Report:
    """The audit of gradients of single cases of six hospitals under masks.

    Without exact inversion, which takes a sum of six single cases apart and needs no colluder
    (`test_exact_batch.py`).
    """
    if not reports:
        few = cast_for(attacks=("analytic", "bottleneck", "matching"))
        monkeypatch.setattr(conduct, "cast_of", lambda _: few)
        run_quietly(tiny(*GRADIENTS, SIX, "aggregation=secagg"), tmp_path)
        reports["secagg"] = audit_run(tmp_path, Effort(4.0))
    return reports["secagg"]


def test_an_audit_plays_all_others_and_then_as_many_as_the_threshold(report: Report) -> None:
    alone, pair = report.openings
    assert (alone.left, len(alone.colluders)) == (("hospital-5",), 5)
    assert (pair.left, len(pair.colluders)) == (("hospital-4", "hospital-5"), 4)
    assert report.claim.opening_hospitals == 4
    assert all(0 < one.largest_error <= one.stated_error for one in report.openings)
    colluding = [trial for trial in report.trials if trial.observer == "colluding"]
    assert {(trial.attack, trial.site) for trial in colluding} >= {
        ("analytic", ""),
        ("analytic", "hospital-5"),
        ("bottleneck", "hospital-5"),
        ("matching", "hospital-5"),
    }
    (back,) = next(trial for trial in colluding if trial.attack == "analytic" and trial.site).rebuilt
    assert back.ssim > 0.99 and back.identifies


def test_collusion_is_a_stated_condition_and_amber_at_most(report: Report) -> None:
    lights = {verdict.site: verdict.light for verdict in report.verdicts}
    assert "red" not in lights.values()
    (verdict,) = [verdict for verdict in report.verdicts if verdict.site == "hospital-5"]
    said = [
        words
        for light, words in verdict.reasons
        if light == "amber" and "data came back" in words and "collude" in words
    ]
    assert said and all(words.startswith("If ") and " collude with the coordinator" in words for words in said)
    assert any(words.startswith("If all 5 other hospitals") for words in said)
    assert "or hospital-5 a patient's data came back, but only if other hospitals" in opening_sentence(report)


def test_the_page_and_the_figures_for_machines_say_what_was_played(report: Report) -> None:
    page = page_of(report)
    for words in ("single update of round 1, opened to within", "by 5 colluders", "4 of 6 hospitals are enough"):
        assert words in page
    assert (
        "(colluding)" in page
        and "fewer than 4 hospitals collude with a coordinator that keeps to the protocol" in page
    )
    schema = json.loads(SCHEMA.read_text())
    found = json.loads(json_of(report))
    jsonschema.validate(found, schema, jsonschema.Draft202012Validator)
    assert [one["left"] for one in found["openings"]] == [["hospital-5"], ["hospital-4", "hospital-5"]]


def test_noise_that_cannot_be_drawn_again_is_said_to_be_the_reason(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    recorded(tiny(*GRADIENTS, "rounds=1", "aggregation=secagg"), tmp_path)
    claim = Claim("secagg", "sum", "nobody", noise_source=SYSTEM, opening_hospitals=3)
    run = replace(opened(tmp_path, Effort(1.0)), claim=claim)
    (view,) = Colluding().views(run)
    assert view.opening is not None and view.opening.left == () and not view.observed.singles
    trials = [trial for trial in found_by(run, "analytic").trials if trial.observer == "colluding"]
    assert trials and all(not trial.possible and "operating system" in trial.reason for trial in trials)


def test_clipping_that_breaks_the_stated_error_is_said(
    tiny: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of hospitals that do not refuse to send what is cut."""
    monkeypatch.setattr("client.protocol_context.MOST_CLIPPED", 1.0)
    clipped = 'aggregation={name="secagg",largest_value=1e-7}'
    seen, _ = recorded(tiny(*RECORDED, "rounds=1", clipped), tmp_path)
    claim = Claim("secagg", "sum", "nobody", opening_hospitals=3)
    (played,) = Colluding().views(replace(opened(tmp_path, Effort(1.0)), claim=claim))
    assert played.opening is not None
    # Even the widest range that hospitals agree to, 1024 times the study's, is too narrow here.
    assert played.opening.largest_error > played.opening.stated_error
    reads = {party.name: party.reads for party in parties_of(seen, claim, [played.opening])}
    assert "where nothing was clipped" in reads["several hospitals that collude"]


@pytest.mark.parametrize(
    ("settings", "hospitals", "needed", "if_cheating", "words"),
    [
        (("aggregation=plain",), 6, 0, 0, "the coordinator alone"),
        (("aggregation=secagg",), 4, 3, 3, "fewer than 3 of 4"),
        (("aggregation=secagg",), 6, 4, 4, "4 of 6 hospitals are enough"),
        (('aggregation={name="secagg",threshold=5}',), 6, 5, 5, "fewer than 5 of 6"),
        (('aggregation={name="secagg",colluding=2}',), 6, 5, 5, "fewer than 5 of 6"),
        (("aggregation=bfv",), 9, 6, 6, "6 of 9 hospitals are enough"),
        # Three groups of three: two of the last one's group, and the difference of two sums.
        (("aggregation=secagg", LEAST), 9, 6, 2, "6 of 9 hospitals are enough"),
        (("aggregation=secagg", LEAST, "federation.client_fraction=0.4"), 9, 2, 2, "fewer than 2 of 3"),
        (('aggregation={name="secagg",threshold=5}', LEAST), 9, 5, 1, "and 1 where the coordinator cheats"),
        (("aggregation=additive", LEAST), 9, 8, 2, "and 2 where the coordinator cheats"),
        (("aggregation=secagg", OFF), 4, 3, 0, "no hospital has to help a coordinator that cheats"),
        (
            ("aggregation=secagg", OFF, "federation.client_fraction=0.75", "rounds=30"),
            4,
            0,
            0,
            "help the coordinator",
        ),
        (("aggregation=secagg", DPSGD), 4, 3, 0, "the promise rests on epsilon alone"),
        (('aggregation={name="bfv",keys="shared"}',), 6, 1, 0, "one hospital is enough"),
        (("aggregation=ckks",), 6, 1, 0, "one hospital is enough"),
        (("aggregation=additive",), 6, 5, 5, "fewer than 5 of 6"),
        (
            ('aggregation={name="secagg",value_bits=22}',),
            300,
            33,
            33,
            "33 of those that a hospital chose for a round",
        ),
    ],
)
def test_how_many_have_to_collude_is_what_the_protocol_says(
    tiny: Callable[..., Study], settings: tuple[str, ...], hospitals: int, needed: int, if_cheating: int, words: str
) -> None:
    study, roster = tiny(*settings), [f"hospital-{number}" for number in range(hospitals)]
    assert (opening_hospitals(study, roster), opening_if_cheating(study, roster)) == (needed, if_cheating)
    assert words in in_words(study, roster)


def test_distributed_noise_says_how_many_colluders_it_pays_for(tiny: Callable[..., Study]) -> None:
    study = tiny("strategy=fedsgd", "aggregation=secagg", "federation.least_in_sum=4", DISTRIBUTED)
    share = epsilon_of_one_share(study, 4)
    assert paid_for(study) == 1 and share is not None
    claim = Claim("secagg", "sum", "", "distributed", "patient", {"a": 2.0}, paid_for=1, epsilon_of_one_share=share)
    report = Report("", "", "", "", 0, 0, {}, claim, (), (), (), (), (), "")
    assert "allows for at most 1 hospital to collude" in promise_sentence(report)
    assert epsilon_of_one_share(tiny(), 4) is None


@pytest.mark.parametrize(("similarity", "rank", "light"), [(0.9, 1, "amber"), (0.9, 2, "green"), (0.1, 1, "green")])
def test_the_rule_of_collusion_is_one_light_milder_than_that_of_the_coordinator(
    similarity: float, rank: int, light: str
) -> None:
    claim = Claim("secagg", "sum", "nobody", "dpsgd", "patient", {"a": 2.0}, 1e-5)
    condition = "all 2 other hospitals collude with the coordinator, this hospital's update is open, and"
    rebuilt = (Rebuilt("a", "", "", similarity, 20.0, rank, 50),)
    trial = Trial("x", "reconstruction", "colluding", "a", "", "", "", condition=condition, rebuilt=rebuilt)
    (verdict,) = judged(claim, [trial])
    assert verdict.light == light
    assert any("If all 2 other hospitals collude" in words for _, words in verdict.reasons)
