"""Lights of what came back: every case is judged, and the worst light is a hospital's."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import product

import pytest

from common.study.audit_settings import Audit
from experiments.audit.questions._rebuilt_cases import _best_of_each
from experiments.audit.questions.reconstruction import ReconstructionOfCases
from experiments.audit.records import WORST, Claim, Light, Power, Rebuilt, Trial
from experiments.audit.run import Run
from experiments.audit.verdict import worst
from tests.experiments.judging import CHEATS, run_for
from tests.experiments.judging import judged as all_judged

PROMISED = Claim("secagg", "sum", "nobody", "dpsgd", "patient", {"a": 2.0}, 1e-5, "operating system")
BLURRED = Rebuilt("a", "", "", ssim=0.26, psnr_db=20.0, rank=1, among=50)
"""Most like the right patient of 50, and like nobody else, though below the limit of 0.3."""
SHARP = Rebuilt("a", "", "", ssim=0.95, psnr_db=20.0, rank=2, among=50)
"""Far more alike than other patients' cases, and not this patient's alone."""
NOTHING = Rebuilt("a", "", "", ssim=0.2, psnr_db=20.0, rank=7, among=50, decoy=0.4)

CASES = [
    replace(SHARP, ssim=ssim, rank=rank, chance=chance, decoy=decoy, rival=rival)
    for ssim, rank, chance, decoy, rival in product([0.3, 0.6, 1.0], [1, 2], [0.0, 0.5], [0.0, 0.4], [0.0, 0.4])
]
LIMITS, LAX = Audit(), Audit(image_amber=0.5, image_red=0.7)
"""The second of a study that lets half a similarity pass, so that many a patient is recognised below it."""


def of(*rebuilt: Rebuilt, **more: object) -> Trial:
    return replace(Trial("attack", "reconstruction", "coordinator", "a", "", "", "", rebuilt=rebuilt), **more)


def judged(*trials: Trial, audit: Audit = LIMITS) -> tuple[Light, list[str]]:
    """The light, and what was said with it."""
    (verdict,) = all_judged(PROMISED, trials, audit=audit)
    return verdict.light, [words for light, words in verdict.reasons if light == verdict.light]


def test_a_hospital_of_a_sum_none_of_whose_cases_came_back_was_tried_and_held() -> None:
    others = replace(SHARP, site="b")
    tried = of(others, site="", settings={"hospitals": ["a", "b"]})
    (verdict,) = all_judged(PROMISED, [tried])
    assert verdict.lights["reconstruction"] == "green"
    assert (
        "green",
        "Of what attack rebuilt from a sum nothing is most like a case of this hospital.",
    ) in verdict.reasons
    (verdict,) = all_judged(PROMISED, [of(others, site="", settings={"hospitals": ["b"]})])
    assert "reconstruction" not in verdict.lights


def test_a_patient_who_is_recognised_dimly_is_amber_and_said() -> None:
    light, (said,) = judged(of(BLURRED))
    assert light == "amber"
    assert "similarity 0.26, the right one of 50 patients, yet only dimly (below the limit of 0.3)" in said


def test_a_dim_match_hides_no_sharp_case_of_another_patient() -> None:
    assert judged(of(BLURRED, SHARP))[0] == "amber"
    assert judged(of(BLURRED, replace(BLURRED, ssim=0.9)))[0] == "red"
    (_, (said,)) = judged(of(NOTHING, SHARP))
    assert "similarity 0.95" in said and "not this patient alone" in said


@cache
def lax() -> Run:
    return run_for(PROMISED, LAX)


def light_of(*rebuilt: Rebuilt) -> Light:
    """Of the question's own rules alone: a whole verdict takes a hundred times as long."""
    return worst(ReconstructionOfCases().reasons("a", of(*rebuilt), lax()))


@pytest.mark.parametrize("other", [BLURRED, SHARP, NOTHING])
def test_the_order_of_cases_does_not_matter(other: Rebuilt) -> None:
    assert judged(of(BLURRED, other)) == judged(of(other, BLURRED))


@pytest.mark.parametrize("one", CASES)
def test_the_light_of_two_cases_is_the_worse_of_both_alone(one: Rebuilt) -> None:
    for other in CASES:
        alone = [light_of(case) for case in (one, other)]
        assert light_of(one, other) == max(alone, key=WORST.index)


@pytest.mark.parametrize("case", [case for case in CASES if case.identifies])
def test_no_patient_who_is_recognised_is_green(case: Rebuilt) -> None:
    assert light_of(case) != "green"


def test_another_hospitals_cases_are_not_held_against_this_one() -> None:
    assert judged(of(replace(SHARP, site="b")))[0] == "green"


def test_what_decides_a_verdict_is_kept_where_few_cases_are() -> None:
    many = [replace(BLURRED, ssim=0.26 + step / 1000) for step in range(6)]
    kept = _best_of_each([NOTHING, *many, SHARP])
    assert many[-1] in kept and SHARP in kept and NOTHING not in kept
    one_each = _best_of_each([replace(one, site=site) for site in "abcde" for one in (BLURRED, SHARP)])
    assert {(one.site, one.ssim) for one in one_each} == {(site, s) for site in "abcde" for s in (0.26, 0.95)}


def test_the_summary_says_what_is_more_alike_than_what_is_recognised() -> None:
    said = ReconstructionOfCases().answer([of(BLURRED, SHARP)])
    assert "similarity of 0.26" in said and "Another has 0.95" in said
    assert "Another" not in ReconstructionOfCases().answer([of(BLURRED, NOTHING)])


@pytest.mark.parametrize("refused", ["", "the study is not listed"])
def test_a_way_to_cheat_is_named_in_words_that_fit_any_name(refused: str) -> None:
    settings = {"refused": {"listed": refused}}
    cheating = of(SHARP, attack="imprint", observer="cheating", settings=settings, condition=CHEATS)
    (verdict,) = all_judged(PROMISED, [cheating])
    said = f"is refused by a hospital that checks: {refused}" if refused else f"If {CHEATS} imprint rebuilt"
    assert any(said in words for _, words in verdict.reasons)


@pytest.mark.parametrize(("seen", "light"), [(10, "green"), (8, "green"), (7, "amber"), (0, "amber")])
def test_what_was_held_is_green_only_where_a_planted_fault_would_have_been_seen(seen: int, light: str) -> None:
    power = [
        Power("reconstruction", name, "a patient sent as it is", number, 10)
        for name, number in (("x", 0), ("y", seen))
    ]
    (verdict,) = all_judged(PROMISED, [of(replace(NOTHING, ssim=0.1))], power=power)
    assert verdict.lights["reconstruction"] == light
    assert verdict.could_not_tell == (() if light == "green" else ("reconstruction",))
    assert any(f"seen in {seen} of 10" in words for _, words in verdict.reasons) is (light == "amber")
    (red,) = all_judged(PROMISED, [of(replace(BLURRED, ssim=0.9))], power=power)
    assert red.lights["reconstruction"] == "red" and red.could_not_tell == ()


def test_a_fault_that_no_test_could_be_shown_is_named_with_the_reason() -> None:
    """One that another attack sees is not."""
    power = [
        Power("reconstruction", "x", "no noise", 0, 0, "nothing was recorded"),
        Power("reconstruction", "y", "no noise", 5, 5),
        Power("reconstruction", "x", "one step too many", 0, 0, "nothing was recorded"),
    ]
    (verdict,) = all_judged(PROMISED, [of(replace(NOTHING, ssim=0.1))], power=power)
    assert verdict.could_not_tell == ("reconstruction",)
    (said,) = (words for light, words in verdict.reasons if "not powerful enough" in words)
    assert "(one step too many): nothing was recorded." in said
