"""Every attack, question and adversary, and the engine of debuggers, passes the tests that anybody's inherits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from common.study.options import Entry
from experiments.catalogue import ADVERSARIES, ATTACKS, QUESTIONS
from experiments.engines.inline import Inline
from wardround.testing import AdversaryTests, AttackTests, EngineTests, QuestionTests
from wardround.testing.attacks import EASY

BY_HEART = "test_membership.py::test_every_attack_tells_the_members_of_a_model_that_learned_by_heart"
FOUND_ELSEWHERE = {
    "all_for_one": BY_HEART,
    "apgd": "test_evasion.py::test_the_accuracy_of_a_known_boundary_falls_at_the_cases_margins",
    "bottleneck": "test_bottleneck.py::test_an_outlined_case_comes_back_though_its_outlines_are_unknown",
    "canary_cases": "test_canaries.py::test_cases_planted_in_a_training_with_little_noise_give_it_away",
    "deep_image_prior": "test_inversion.py::test_a_deep_image_prior_brings_back_this_patient_and_nobody_else",
    "differences_of_sums": (
        "test_differences_of_sums.py::test_where_groups_are_off_an_honest_coordinator_reads_every_hospitals_update_off_the_sums"
    ),
    "explanation_maps": (
        "test_explanation_maps.py::test_the_audit_names_the_patients_of_an_exact_answer_and_nobody_of_one_with_noise"
    ),
    "fgsm": "test_evasion.py::test_the_accuracy_of_a_known_boundary_falls_at_the_cases_margins",
    "gradient_canaries": "test_canaries.py::test_less_noise_than_promised_is_told",
    "gradient_cosines": BY_HEART,
    "inverting_gradients": (
        "test_inversion.py::test_inverting_gradients_of_a_small_cnn_brings_back_this_patient_and_nobody_else"
    ),
    "patch_tokens": (
        "test_attacks_on_pretraining.py::test_an_image_comes_back_from_maes_gradient_of_one_case_hidden_patches_too"
    ),
    "view_similarity": "test_attacks_on_pretraining.py::test_an_encoder_that_learned_some_by_heart_gives_them_away",
    "learned_prior": "test_learned_prior.py::test_a_case_comes_back_from_fewer_numbers_than_it_has",
    "latent_traps": "test_cheating_coordinator.py::test_convolutions_hand_pictures_on_and_their_windows_are_decoded",
    "linkage": "test_linkage_audit.py::test_side_knowledge_finds_people_in_spite_of_k_and_a_planted_release_is_seen",
    "lira_offline": BY_HEART,
    "lira_online": BY_HEART,
    "matching": "test_inversion.py::test_matching_of_a_small_cnn_brings_back_this_patient_and_nobody_else",
    "multi_step": "test_inversion.py::test_simulating_one_step_brings_back_what_the_analytic_attack_does",
    "pgd": "test_evasion.py::test_the_accuracy_of_a_known_boundary_falls_at_the_cases_margins",
    "poisoning": "test_robustness.py::test_a_sign_flipping_hospital_ruins_the_mean_and_not_the_median",
    "property_over_rounds": (
        "test_property_inference.py::test_shares_of_women_are_read_off_updates_and_said_beside_the_truth"
    ),
    "quantile_regression": BY_HEART,
    "rmia": BY_HEART,
    "scattered_imprint": (
        "test_cheating_coordinator.py::test_an_imprint_is_refused_under_noise_and_in_several_directions"
    ),
    "separate_models": (
        "test_cheating_coordinator.py::"
        "test_cases_come_back_from_hospitals_that_check_nothing_and_their_checks_refuse_it"
    ),
    "sent_noise": "test_sent_noise.py::test_every_planted_fault_is_found_by_the_code_that_found_nothing",
    "square": "test_evasion.py::test_the_accuracy_of_a_known_boundary_falls_at_the_cases_margins",
    "two_sums_that_differ": (
        "test_differences_of_sums.py::test_a_coordinator_that_cheats_gets_two_sums_only_where_nothing_forbids_it"
    ),
    "user_level": "test_membership.py::test_cases_of_one_person_are_asked_about_together",
}
"""Attacks whose easy case takes more than the tiny run and its moment: the test that plants it."""


UNPLANTED = {
    "decepticon": "no network with attention is among ours",
}
"""Attacks without an easy case in the suite, and why: none may join them unseen."""
BY_HEART_RUN = EASY[2]
EASY_OF = {"analytic": EASY[0], "exact_batch": EASY[1]}
OPTIONS: dict[str, dict[str, object]] = {name: {"shadows": 4} for name in ("lira_offline", "lira_online", "rmia")}
"""Of attacks that train models: as few as they can do with."""


@pytest.mark.parametrize(("attack", "place"), FOUND_ELSEWHERE.items())
def test_the_easy_case_of_an_attack_is_planted_where_it_is_said_to_be(attack: str, place: str) -> None:
    file, _, test = place.partition("::")
    text = (Path(__file__).parent / file).read_text(encoding="utf-8")
    assert re.search(rf"^def {test}\(", text, re.MULTILINE), f"{file} has no {test}"
    assert attack in text or ATTACKS.load(attack).__name__ in text, f"{file} does not name {attack}"


class TestEveryAttack(AttackTests):
    @pytest.fixture(params=ATTACKS.names())
    def made(self, request: pytest.FixtureRequest) -> Any:
        if request.node.originalname == "test_it_finds_what_is_easy_to_find" and request.param in FOUND_ELSEWHERE:
            pytest.skip(f"planted in {FOUND_ELSEWHERE[request.param]}")
        return ATTACKS.build(Entry(str(request.param), OPTIONS.get(request.param, {})))

    def _easy(self, made: Any) -> tuple[str, ...]:
        """One run where it is known which, or where it is easy elsewhere: it need not be tried on three."""
        name = type(made).__module__.rpartition(".")[2]
        return EASY_OF.get(name, BY_HEART_RUN if name in FOUND_ELSEWHERE else ())

    def test_it_finds_what_is_easy_to_find(self, made: Any) -> None:
        """A skip would hide that nobody plants anything for it."""
        name = type(made).__module__.rpartition(".")[2]
        if name in UNPLANTED:
            pytest.skip(UNPLANTED[name])
        try:
            super().test_it_finds_what_is_easy_to_find(made)
        except pytest.skip.Exception as skipped:
            raise AssertionError(f"{name}: plant its easy case, and name the test in FOUND_ELSEWHERE") from skipped


class TestEveryQuestion(QuestionTests):
    @pytest.fixture(params=QUESTIONS.names())
    def made(self, request: pytest.FixtureRequest) -> Any:
        return QUESTIONS.build(Entry(str(request.param)))


class TestEveryAdversary(AdversaryTests):
    @pytest.fixture(params=ADVERSARIES.names())
    def made(self, request: pytest.FixtureRequest) -> Any:
        return ADVERSARIES.build(Entry(str(request.param)))


class TestInline(EngineTests):
    engine = Inline()
