"""Every attack, question and adversary, and the engine of debuggers, passes the tests that anybody's inherits."""

from __future__ import annotations

from typing import Any

import pytest

from common.study.options import Entry
from experiments.catalogue import ADVERSARIES, ATTACKS, QUESTIONS
from experiments.engines.inline import Inline
from wardround.testing import AdversaryTests, AttackTests, EngineTests, QuestionTests

FOUND_ELSEWHERE = {
    "bottleneck": "test_bottleneck.py",
    "canary_cases": "test_epsilon_audit.py",
    "deep_image_prior": "test_inversion.py",
    "differences_of_sums": "test_differences_of_sums.py",
    "fgsm": "test_evasion.py",
    "gradient_canaries": "test_epsilon_audit.py",
    "gradient_cosines": "test_membership.py",
    "learned_prior": "test_learned_prior.py",
    "lira_offline": "test_membership.py",
    "lira_online": "test_membership.py",
    "multi_step": "test_local_steps.py",
    "pgd": "test_evasion.py",
    "poisoning": "test_robustness.py",
    "property_over_rounds": "test_property_inference.py",
    "matching": "test_inversion.py",
    "quantile_regression": "test_membership.py",
    "rmia": "test_membership.py",
    "sent_noise": "test_sent_noise.py",
    "two_sums_that_differ": "test_differences_of_sums.py",
    "user_level": "test_membership.py",
}
"""Attacks whose easy case takes more than the tiny run: where it is planted."""


class TestEveryAttack(AttackTests):
    @pytest.fixture(params=ATTACKS.names())
    def made(self, request: pytest.FixtureRequest) -> Any:
        if request.node.originalname == "test_it_finds_what_is_easy_to_find" and request.param in FOUND_ELSEWHERE:
            pytest.skip(f"planted in {FOUND_ELSEWHERE[request.param]}")
        return ATTACKS.build(Entry(str(request.param)))


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
