"""Every analysis of ours passes the tests that anybody's inherits.

A new one adds a line to ENTRIES: its options, which name columns of `wardround.testing.records.tiny_records`, or
tables of its own. Where options change what it does, several lines, told apart after a colon: `"quantiles:median"`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from common.analyses.correlation import Correlation
from common.analyses.mean import Mean
from common.analyses.median import Median
from common.analyses.ttest import TTest
from common.asking.analysis import Analysis
from common.asking.grouped import Grouped
from common.asking.records import Records
from common.study.catalogue import ANALYSES
from common.study.options import Entry
from wardround.testing import AnalysisTests
from wardround.testing.records import Tables, tiny_records


@dataclass(frozen=True)
class Asked:
    """options: as a study gives them. records: tables in which it has an answer."""

    options: Mapping[str, Any] = field(default_factory=dict)
    records: Callable[[], Tables] = tiny_records


EFFECT: Mapping[str, Any] = {"outcome": "after", "treatment": "treated", "covariates": ["age"]}


def visits() -> Tables:
    """Every patient's rows are three visits or fewer."""
    return tuple(
        replace(one, persons=np.array([f"{one.site}{row // 3}" for row in range(len(one))])) for one in tiny_records()
    )


def mapped() -> Tables:
    """With maps of a single block, which holds a part of each map's weight, and answers with it and without."""
    return tuple(
        replace(
            one,
            columns={
                **one.columns,
                "map_00000": (one.numbers("weight") > 70) / 2.0,
                "without_00000": np.where(np.arange(len(one)) % 4 == 0, 0.0, 1.0),
                "answered": np.ones(len(one)),
                "part": np.full(len(one), "train"),
            },
        )
        for one in tiny_records()
    )


def encoded() -> Tables:
    """With two features, and the part of the split that a case is of."""
    return tuple(
        replace(
            one,
            columns={
                **one.columns,
                "feature_00000": one.numbers("weight"),
                "feature_00001": one.numbers("before"),
                "part": np.where(np.arange(len(one)) % 3 == 0, "test", "train").astype(np.str_),
            },
        )
        for one in tiny_records()
    )


def measured() -> Tables:
    """With measurements of an image, of two axes, whose spacing is not the same everywhere."""

    def columns(one: Records) -> dict[str, Any]:
        weight, age = one.numbers("weight"), one.numbers("age")
        named = dict.fromkeys(("low", "high", "air", "filled", "outlined", "smallest", "channels"), weight)
        return {f"image_{name}": values for name, values in named.items()} | {
            "image_side_0": weight,
            "image_side_1": age,
            "image_spacing_0": np.where(age > 60, 1.0, 2.0),
            "image_spacing_1": np.ones(len(one)),
        }

    return tuple(replace(one, columns={**one.columns, **columns(one)}) for one in tiny_records())


ENTRIES: dict[str, Asked] = {
    "agreement": Asked({"first": "treated", "second": "disease"}),
    "anova": Asked({"column": "age", "group": "ward"}),
    "anova:site": Asked({"column": "before", "group": "site", "equal_variances": False}),
    "auc": Asked({"score": "age", "truth": "disease"}),
    "baseline": Asked({"columns": ["age", "ward"], "group": "treated"}),
    "bland_altman": Asked({"first": "before", "second": "after"}),
    "bounded_mean": Asked({"column": "age", "low": 18, "high": 100}),
    "chi_squared": Asked({"rows": "ward", "columns": "sex"}),
    "chi_squared:two by two": Asked({"rows": "treated", "columns": "disease"}),
    "combat": Asked({"features": ["weight", "before", "after"], "covariates": ["age", "sex"]}),
    "combat:scanners": Asked({"features": ["weight", "before"], "scanner": "sex", "empirical_bayes": False}),
    "correlation": Asked({"columns": ["age", "weight", "before"]}),
    "correlation:ranks": Asked({"columns": ["age", "pain"], "method": "spearman"}),
    "count": Asked({"columns": ["age", "ward"]}),
    "cox": Asked({"time": "months", "event": "died", "covariates": ["age", "sex"]}),
    "cox:hospitals": Asked({"time": "months", "event": "died", "covariates": ["age", "treated"], "strata": "site"}),
    "cox:ties on a grid": Asked(
        {"time": "months", "event": "died", "covariates": ["age"], "ties": "breslow", "width": 6.0, "strata": "sex"}
    ),
    "cross_table": Asked({"rows": "ward", "columns": "disease"}),
    "data_quality": Asked({"columns": ["age", "ward", "pain"], "ranges": ["age=50:60", "pain=:3"]}),
    "diagnostics": Asked({"test": "treated", "truth": "disease"}),
    "heavy_hitters": Asked(
        {"column": "ward", "least": 2, "alphabet": "cdegimnrstuv", "lengths": (2, 4), "buckets": 64}
    ),
    "heavy_hitters:words": Asked(
        {"column": "ward", "least": 2, "words": ("surgery", "medicine", "palliative"), "buckets": 64}
    ),
    "fingerprint": Asked({"axes": 2}, measured),
    "histogram": Asked({"column": "age", "low": 40, "high": 70, "bins": 6}),
    "histogram:laid out": Asked({"column": "weight"}),
    "kaplan_meier": Asked({"time": "months", "event": "died", "group": "treated", "until": 12.0}),
    "kaplan_meier:grid": Asked({"time": "months", "event": "died", "width": 5.0, "interval": "plain"}),
    "kolmogorov_smirnov": Asked({"column": "weight", "group": "sex"}),
    "kruskal_wallis": Asked({"column": "pain", "group": "ward"}),
    "levene": Asked({"column": "age", "group": "sex"}),
    "mann_whitney": Asked({"column": "pain", "group": "sex"}),
    "mann_whitney:bins": Asked({"column": "weight", "group": "disease", "edges": [70, 80, 90]}),
    "mantel_haenszel": Asked({"rows": "treated", "columns": "disease", "strata": "site"}),
    "mcnemar": Asked({"first": "treated", "second": "disease"}),
    "linear": Asked({"outcome": "weight", "covariates": ["age", "ward"]}),
    "linear:robust": Asked({"outcome": "weight", "covariates": ["age", "sex", "age:sex"], "errors": "hc3"}),
    "logistic": Asked({"outcome": "disease", "covariates": ["age", "sex"], "robust": True}),
    "logrank": Asked({"time": "months", "event": "died", "group": "ward"}),
    "logrank:hospitals": Asked({"time": "months", "event": "died", "group": "sex", "strata": "site"}),
    "logrank:strata": Asked(
        {"time": "months", "event": "died", "group": "treated", "strata": "sex", "weights": "peto"}
    ),
    "mean": Asked({"column": "age"}),
    "mondrian": Asked(
        {"columns": ["age", "sex"], "ranges": {"age": [0, 120, 1]}, "words": {"sex": ["f", "m"]}, "k": 2}
    ),
    "aipw": Asked({**EFFECT, "sites": "ignored", "folds": 2, "ridge": 1.0}),
    "balance": Asked({"treatment": "treated", "covariates": ["age", "sex"]}),
    "g_formula": Asked({"outcome": "after", "history": ["age", "treated"], "treatments": ["treated"]}),
    "instrument": Asked({**EFFECT, "instrument": "pain", "sites": "ignored"}),
    "ipw": Asked({**EFFECT, "outcome": "disease", "sites": "ignored", "bootstrap": 2, "ridge": 1.0}),
    "mediation": Asked({**EFFECT, "mediator": "before", "sites": "ignored"}),
    "standardisation": Asked({**EFFECT, "sites": "ignored", "population": "treated"}),
    "subgroup_effects": Asked({**EFFECT, "group": "sex", "sites": "ignored", "ridge": 1.0}),
    "transport": Asked({**EFFECT, "target": "west", "apart": False, "ridge": 1.0}),
    "median": Asked({"column": "age"}),
    "mixed": Asked({"outcome": "before", "covariates": ["age"]}),
    "mixed:persons": Asked({"outcome": "weight", "covariates": ["age"], "group": "person", "method": "ml"}, visits),
    "paired_ttest": Asked({"first": "before", "second": "after"}),
    "poisson": Asked({"outcome": "pain", "covariates": ["age", "sex"], "exposure": "months"}),
    "private_quantile": Asked({"column": "age", "low": 18, "high": 100}),
    "attribution_maps": Asked({"side": 1, "outcome": "sex", "least": 1}, mapped),
    "probe_knn": Asked({"outcome": "sex", "least": 1, "neighbours": 3, "bins": 16}, encoded),
    "probe_logistic": Asked({"outcome": "ward", "least": 1, "bins": 16}, encoded),
    "probe_logistic:hospitals": Asked({"outcome": "sex", "least": 1, "bins": 16, "by_hospital": True}, encoded),
    "probe_regression": Asked({"outcome": "age", "least": 1}, encoded),
    "probe_ridge": Asked({"outcome": "sex", "least": 1, "bins": 16}, encoded),
    "probe_ridge:few": Asked({"outcome": "sex", "least": 1, "bins": 16, "share": 0.6}, encoded),
    "proportion": Asked({"column": "ward"}),
    "quantile_tree": Asked({"column": "age", "low": 18, "high": 100, "fan": 4, "levels": 3}),
    "quantiles": Asked({"column": "pain", "at": [0.1, 0.5], "method": "weibull"}),
    "quantiles:coarse": Asked({"column": "weight", "resolution": 1.0}),
    "rate": Asked({"events": "died", "time": "months", "per": 1000}),
    "ttest": Asked({"column": "age", "group": "disease"}),
    "ttest:equal variances": Asked({"column": "age", "group": "ward", "levels": ["ward=surgery|medicine"]}),
    "variance": Asked({"column": "weight"}),
    "wilcoxon": Asked({"first": "before", "second": "after"}),
    "simpson": Asked({"outcome": "disease", "exposure": "treated"}),
    "simpson:signs": Asked({"outcome": "disease", "exposure": "treated", "reveal": "signs"}),
    "simpson:numbers": Asked({"outcome": "age", "exposure": "sex", "strata": "ward"}),
}


class TestEveryAnalysis(AnalysisTests):
    one_in = 4

    aggregations = ("secagg",)  # the others add up the same words: below

    @pytest.fixture(params=ENTRIES)
    def made(self, request: pytest.FixtureRequest) -> tuple[Analysis, Tables]:
        asked = ENTRIES[request.param]
        return ANALYSES.build(Entry(request.param.partition(":")[0], asked.options)), asked.records()


class TestEveryGrouping(AnalysisTests):
    aggregations = ("secagg",)

    @pytest.fixture(
        params=[
            Grouped(Mean("age"), "ward"),
            Grouped(Median("pain"), "site"),
            Grouped(Grouped(TTest("age", "disease"), "sex"), "site"),
            Grouped(Correlation(("age", "weight"), "spearman"), "treated"),
        ],
        ids=["ward", "site", "sex and site", "ranks"],
    )
    def made(self, request: pytest.FixtureRequest) -> tuple[Analysis, Tables]:
        return request.param, tiny_records()


@pytest.mark.parametrize("analysis", [Mean("age"), Median("pain")], ids=["real numbers", "counts"])
def test_under_every_aggregation_the_answer_is_that_of_all_rows(analysis: Analysis) -> None:
    AnalysisTests().test_under_every_aggregation_the_answer_is_that_of_all_rows((analysis, tiny_records()))


def test_every_analysis_is_tested() -> None:
    missing = set(ANALYSES.names()) - {name.partition(":")[0] for name in ENTRIES}
    assert not missing, f"{sorted(missing)} have no options to be tested with: add them to ENTRIES of this file"
