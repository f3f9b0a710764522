"""Every perturbation and every recipe of ours passes the tests that anybody's inherits."""

from __future__ import annotations

from typing import Any

import pytest

from common.study.catalogue import PERTURBATIONS, RECIPES
from common.study.options import Entry
from wardround.testing import PerturbationTests, RecipeTests

FEWER: dict[str, dict[str, int]] = {"apgd_ce": {"steps": 12}, "square": {"queries": 40}}
"""Options of those that are slow by default."""


class TestEveryPerturbation(PerturbationTests):
    @pytest.fixture(params=PERTURBATIONS.names())
    def made(self, request: pytest.FixtureRequest) -> Any:
        return PERTURBATIONS.build(Entry(request.param, FEWER.get(request.param, {}))), self.shapes


class TestEveryRecipe(RecipeTests):
    @pytest.fixture(params=[*RECIPES.names(), "fgsm without a random start"])
    def made(self, request: pytest.FixtureRequest) -> Any:
        name, _, without = request.param.partition(" ")
        options = {"random_start": False, "step_share": 1.0} if without else {}
        return RECIPES.build(Entry(name, options)), self.task
