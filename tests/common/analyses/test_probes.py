from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from common.analyses._probe import Probe
from common.analyses.probe_knn import ProbeKnn
from common.analyses.probe_logistic import ProbeLogistic
from common.analyses.probe_regression import ProbeRegression
from common.analyses.probe_ridge import ProbeRidge
from common.asking.analysis import Public
from common.asking.exact_gram import exact_gram, on_grid
from common.asking.exact_sums import FRACTION_BITS, exact_products
from common.asking.features import feature_name
from common.asking.pooled import ask_tables
from common.asking.records import Records
from common.errors import AnalysisError, StudyError

CLASSES = ("no", "maybe", "yes")
SITES = ("a", "b", "c")
PARTS = ("train", "test")


def federation(
    classes: int = 2, width: int = 6, cases: int = 60, seed: int = 0, scale: float = 1.0
) -> tuple[Records, ...]:
    """Three hospitals of unlike mixtures; two features are dead, and one is four times another."""
    rng = np.random.default_rng(seed)
    tables = []
    for place, site in enumerate(SITES):
        chances = np.roll(np.arange(1, classes + 1), place) / np.arange(1, classes + 1).sum()
        labels = rng.choice(classes, cases, p=chances)
        features = rng.normal(size=(cases, width)) + labels[:, None] * np.linspace(0, 0.9, width)
        features = np.maximum(features, 0) * scale
        features[:, 0] = 0
        if width > 3:
            features[:, 3] = 4 * features[:, 2]
        columns: dict[str, Any] = {feature_name(k): features[:, k] for k in range(width)}
        columns["class"] = np.asarray(CLASSES)[labels]
        columns["part"] = np.where(np.arange(cases) % 3 == 0, "test", "train")
        tables.append(Records(columns, np.array([f"{site}{case}" for case in range(cases)]), site))
    return tuple(tables)


def pooled(tables: tuple[Records, ...], part: str) -> tuple[np.ndarray, np.ndarray]:
    names = sorted(name for name in tables[0].columns if name.startswith("feature_"))
    kept = [table.take(table.words("part") == part) for table in tables]
    features = np.concatenate([np.stack([one.numbers(name) for name in names], axis=1) for one in kept])
    return on_grid(features), np.concatenate([one.words("class") for one in kept])


def public(classes: int = 2) -> Public:
    return Public(SITES, {"class": CLASSES[:classes]})


def asked(probe: Probe, tables: tuple[Records, ...], classes: int = 2) -> Mapping[str, Any]:
    return ask_tables(probe, tables, public(classes)).answer.numbers


@pytest.mark.parametrize("standardise", [True, False])
@pytest.mark.parametrize("classes", [2, 3])
def test_ridge_is_that_of_scikit_learn_on_pooled_features(classes: int, standardise: bool) -> None:
    tables = federation(classes)
    features, labels = pooled(tables, "train")
    found = asked(ProbeRidge(penalty=0.7, standardise=standardise, least=1), tables, classes)
    scaler = StandardScaler(with_mean=standardise, with_std=standardise).fit(features)
    hot = np.stack([labels == name for name in CLASSES[:classes]], axis=1).astype(float)
    oracle = Ridge(alpha=0.7).fit(scaler.transform(features), hot)
    scale = scaler.scale_ if standardise else np.ones(features.shape[1])
    assert np.allclose(found["coefficients"], oracle.coef_ / scale, rtol=0, atol=1e-12)
    tested, truth = pooled(tables, "test")
    score = oracle.predict(scaler.transform(tested))
    assert found["accuracy"] == np.mean(np.asarray(CLASSES)[score.argmax(axis=1)] == truth)
    if classes == 2:
        assert abs(found["auc"] - roc_auc_score(truth == "maybe", score[:, 1])) <= found["auc_within"] + 1e-12
    assert found["balanced_accuracy"] == pytest.approx(
        balanced_accuracy_score(truth, np.asarray(CLASSES)[score.argmax(axis=1)])
    )


@pytest.mark.parametrize(("classes", "c"), [(2, 1.0), (2, 1e3), (3, 1.0), (3, 0.01)])
def test_logistic_regression_is_that_of_scikit_learn_on_pooled_features(classes: int, c: float) -> None:
    tables = federation(classes)
    features, labels = pooled(tables, "train")
    found = asked(ProbeLogistic(c=c, least=1), tables, classes)
    scaler = StandardScaler().fit(features)
    places = np.searchsorted(sorted(CLASSES[:classes]), labels)
    oracle = LogisticRegression(C=c, tol=1e-12, max_iter=4000, solver="newton-cholesky" if classes == 2 else "lbfgs")
    oracle.fit(scaler.transform(features), np.array([CLASSES.index(label) for label in labels]))
    ours = np.array(found["coefficients"]) * scaler.scale_
    assert np.abs(ours - oracle.coef_).max() < (1e-9 if classes == 2 else 1e-5)
    assert len(places) == len(labels)
    tested, truth = pooled(tables, "test")
    chances = oracle.predict_proba(scaler.transform(tested))
    ours_scores = tested @ np.array(found["coefficients"]).T + found["intercepts"]
    if classes == 2:
        area = roc_auc_score(truth == "maybe", chances[:, 1])
    else:
        own = np.exp(ours_scores - ours_scores.max(axis=1, keepdims=True))
        assert np.allclose(own / own.sum(axis=1, keepdims=True), chances, atol=1e-5)
        area = roc_auc_score([CLASSES.index(one) for one in truth], chances, multi_class="ovr")
    assert abs(found["auc"] - area) <= found["auc_within"] + 1e-9
    assert found["rounds_of_newton"] <= 12


def test_at_the_optimum_of_several_classes_the_slope_is_zero() -> None:
    tables = federation(3)
    features, labels = pooled(tables, "train")
    found = asked(ProbeLogistic(c=0.5, least=1, standardise=False), tables, 3)
    weights, tops = np.array(found["coefficients"]), np.array(found["intercepts"])
    eta = features @ weights.T + tops
    chances = np.exp(eta - eta.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    hot = np.stack([labels == name for name in CLASSES], axis=1).astype(float)
    assert np.abs((hot - chances).T @ features - weights / 0.5).max() < 1e-9
    assert np.abs((hot - chances).sum(axis=0)).max() < 1e-9
    assert abs(tops.sum()) < 1e-9


@pytest.mark.parametrize("probe", [ProbeRidge(least=1), ProbeLogistic(least=1)])
def test_a_class_that_a_hospital_or_nobody_has_is_left_out_and_said(probe: Probe) -> None:
    tables = federation(3)
    without = tuple(table.take(table.words("class") != "yes") for table in tables)
    whole = ask_tables(probe, without, public(3)).answer
    assert whole.numbers["labels"]["yes"] == 0
    assert any("Nobody has a label yes" in sentence for sentence in whole.words)
    one_less = (tables[0].take(tables[0].words("class") != "yes"), *tables[1:])
    assert asked(probe, one_less, 3)["labels"]["yes"] > 0
    assert np.isfinite(asked(probe, one_less, 3)["auc"])


@pytest.mark.parametrize("probe", [ProbeRidge(least=1), ProbeLogistic(least=1)])
def test_more_features_than_cases_have_an_answer(probe: Probe) -> None:
    tables = federation(2, width=40, cases=9)
    features, labels = pooled(tables, "train")
    found = asked(probe, tables)
    scaler = StandardScaler().fit(features)
    if isinstance(probe, ProbeRidge):
        oracle: Any = Ridge(alpha=1.0).fit(scaler.transform(features), (labels == "maybe").astype(float))
        wanted, ours = oracle.coef_, np.array(found["coefficients"][1])
    else:
        oracle = LogisticRegression(C=1.0, tol=1e-12, solver="newton-cholesky").fit(
            scaler.transform(features), labels == "maybe"
        )
        wanted, ours = oracle.coef_[0], np.array(found["coefficients"][0])
    assert np.abs(ours * scaler.scale_ - wanted).max() < 1e-9


def test_without_a_penalty_ridge_has_the_shortest_of_all_best_coefficients() -> None:
    tables = federation(2)
    features, labels = pooled(tables, "train")
    found = asked(ProbeRidge(penalty=0, least=1), tables)
    scaled = StandardScaler().fit_transform(features)
    wanted = np.linalg.pinv(scaled) @ ((labels == "maybe") - np.mean(labels == "maybe"))
    assert np.allclose(
        np.array(found["coefficients"][1]) * features.std(axis=0), wanted * (features.std(axis=0) > 0), atol=1e-9
    )


def test_classes_without_overlap_and_without_a_penalty_are_refused_in_words() -> None:
    tables = tuple(
        replace(
            table,
            columns={
                **table.columns,
                feature_name(1): (table.words("class") == "maybe") * 8.0 + table.numbers(feature_name(1)),
            },
        )
        for table in federation(2)
    )
    with pytest.raises(AnalysisError, match="set c"):
        asked(ProbeLogistic(c=inf, least=1), tables)
    assert asked(ProbeLogistic(c=1.0, least=1), tables)["auc"] > 0.95


@pytest.mark.parametrize("scale", [1e-4, 1e5])
def test_small_and_large_features_are_as_exact(scale: float) -> None:
    tables = federation(2, scale=scale)
    features, labels = pooled(tables, "train")
    scaler = StandardScaler().fit(features)
    oracle = LogisticRegression(C=1.0, tol=1e-12, solver="newton-cholesky").fit(
        scaler.transform(features), labels == "maybe"
    )
    found = asked(ProbeLogistic(least=1), tables)
    assert np.abs(np.array(found["coefficients"][0]) * scaler.scale_ - oracle.coef_[0]).max() < 1e-8


def test_a_number_is_predicted_as_scikit_learn_does_on_pooled_features() -> None:
    tables = tuple(
        replace(
            one, columns={**one.columns, "target": one.numbers(feature_name(5)) ** 2 - one.numbers(feature_name(1))}
        )
        for one in federation(2)
    )
    found = asked(ProbeRegression(penalty=2.0), tables)
    (features, _), (tested, _) = pooled(tables, "train"), pooled(tables, "test")
    numbers = [np.concatenate([one.numbers("target")[one.words("part") == part] for one in tables]) for part in PARTS]
    scaler = StandardScaler().fit(features)
    oracle = Ridge(alpha=2.0).fit(scaler.transform(features), numbers[0])
    assert np.allclose(np.array(found["coefficients"]) * scaler.scale_, oracle.coef_, rtol=0, atol=1e-11)
    assert found["r_squared"] == pytest.approx(oracle.score(scaler.transform(tested), numbers[1]), abs=1e-11)
    few = asked(ProbeRegression(share=0.3), tables)
    assert few["labels"] == pytest.approx(36, abs=2)
    with pytest.raises(AnalysisError, match="least = 500"):
        asked(ProbeRegression(least=500), tables)


def test_a_penalty_that_is_lost_beside_the_products_has_an_answer() -> None:
    assert np.isfinite(asked(ProbeRidge(penalty=1e-30, least=1), federation(2))["auc"])


def test_neighbours_are_those_of_the_paper_worked_out_by_loops() -> None:
    tables = federation(2)
    found = asked(ProbeKnn(neighbours=5, temperature=0.2, least=1), tables)
    right = total = 0
    for table in tables:
        (known, labels), (tested, truth) = pooled((table,), "train"), pooled((table,), "test")
        for one, wanted in zip(tested, truth, strict=True):
            cosines = known @ one / np.maximum(np.linalg.norm(known, axis=1) * np.linalg.norm(one), 1e-300)
            nearest = np.argsort(-cosines)[:5]
            votes = {name: np.exp(cosines[nearest][labels[nearest] == name] / 0.2).sum() for name in CLASSES[:2]}
            right, total = right + (max(votes, key=votes.__getitem__) == wanted), total + 1
    assert found["accuracy"] == pytest.approx(right / total, abs=1.01 / total)


def test_a_hospital_without_labels_answers_of_nobody() -> None:
    tables = federation(2)
    first = tables[0].take(tables[0].words("part") == "test")
    found = asked(ProbeKnn(neighbours=3, least=1), (first, *tables[1:]))
    assert found["unanswered"] == len(first)


def test_shares_draw_by_class_and_hospital_and_a_larger_one_has_more() -> None:
    tables = federation(2, cases=120)
    found = {share: asked(ProbeRidge(share=share, least=1), tables)["labels"] for share in (0.1, 0.5, 1.0)}
    assert sum(found[0.1].values()) == pytest.approx(24, abs=3)
    assert sum(found[0.5].values()) == pytest.approx(120, abs=3)
    assert found[0.1]["no"] / sum(found[0.1].values()) == pytest.approx(found[1.0]["no"] / 240, abs=0.1)
    other = asked(ProbeRidge(share=0.5, draw=1, least=1), tables)
    assert other["coefficients"] != asked(ProbeRidge(share=0.5, least=1), tables)["coefficients"]


def test_answers_of_each_hospital_add_up_to_that_of_all() -> None:
    found = asked(ProbeLogistic(by_hospital=True, least=1), federation(2))
    assert set(found["hospitals"]) == set(SITES)
    total = sum(np.array(one["confusion"]) for one in found["hospitals"].values())
    assert total.tolist() == found["confusion"]


def test_sums_of_few_persons_are_refused_and_so_is_noise() -> None:
    tables = federation(2)
    with pytest.raises(AnalysisError, match="least = 5"):
        asked(ProbeRidge(share=0.05), tables)
    assert "privacy = 'dpsgd'" in ProbeRidge.without_noise


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"encoder": "strat"}, "start"),
        ({"evaluated": "tset"}, "test"),
        ({"share": 0.0}, "share"),
        ({"share": 2.0}, "share"),
        ({"bins": 1}, "bins"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        ProbeRidge(**options)


def test_what_is_not_there_is_said() -> None:
    tables = federation(2)
    with pytest.raises(StudyError, match="nobody named the levels"):
        ask_tables(ProbeRidge(outcome="grade"), tables, public())
    bare = tuple(
        replace(one, columns={name: column for name, column in one.columns.items() if "feature" not in name})
        for one in tables
    )
    with pytest.raises(StudyError, match="no features"):
        asked(ProbeRidge(), bare)
    same = tuple(one.take(one.words("class") == "no") for one in tables)
    with pytest.raises(AnalysisError, match="nothing tells them apart"):
        asked(ProbeLogistic(least=1), same)


@settings(max_examples=30)
@given(st.integers(0, 9), st.integers(1, 4), st.sampled_from([1e-9, 1.0, 1e3, 1e6]), st.integers(0, 99))
def test_products_of_columns_are_exact_whoever_adds_them_up(rows: int, width: int, scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    left, right = (on_grid(rng.normal(size=(rows, width)) * scale) for _ in range(2))
    found = exact_gram(left, right)
    for k in range(width):
        column = np.repeat(left[:, k : k + 1], width, axis=1)
        assert found[k].tolist() == exact_products(column, right).tolist()
    cut = rows // 2
    apart = exact_gram(left[:cut], right[:cut]) + exact_gram(left[cut:], right[cut:])
    assert apart.tolist() == found.tolist()
    assert np.allclose((found / 2**FRACTION_BITS).astype(float), left.T @ right, rtol=1e-9, atol=1e-20)
