"""The figures of the report, worked out by hand: comparisons, curves, differences between hospitals, times."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from server.reporting.comparison import compare
from server.reporting.curves import Curves, evaluation_curves, training_curves
from server.reporting.records import (
    About,
    Baselines,
    Drop,
    Evaluation,
    Holding,
    MessageKind,
    Roster,
    Round,
    Run,
    SiteScores,
    SplitScores,
)
from server.reporting.sections.datasets import class_names, foreground, skew_sentence
from server.reporting.sections.duration import mean_seconds, parts_of
from server.reporting.sections.traffic import merged, reader


def one_round(
    number: int,
    losses: Mapping[str, float] | None = None,
    weights: Mapping[str, float] | None = None,
    evaluation: Evaluation | None = None,
    seconds: Mapping[str, float] | None = None,
) -> Round:
    training = {site: {"loss": loss} for site, loss in (losses or {}).items()}
    sites = tuple(training)
    return Round(number, sites, sites, (), weights or {}, training, evaluation, {}, seconds or {}, 0, 0)


def scores(**dice: float) -> SiteScores:
    return {site: {"dice": value} for site, value in dice.items()}


def test_means_are_over_the_hospitals_that_every_model_has_a_score_for() -> None:
    final = {"test": SplitScores(scores(a=0.6, b=0.8, c=0.1))}
    baselines = Baselines(SplitScores(scores(a=0.5, b=0.9)), SplitScores(scores(a=0.7, b=0.8, c=0.3)))
    comparison = compare(Run("r", About(headline="dice"), final=final, baselines=baselines))
    assert comparison.shared == ("a", "b")
    assert comparison.mean("federated") == pytest.approx(0.7)
    assert comparison.mean("local") == pytest.approx(0.7)
    assert comparison.mean("pooled") == pytest.approx(0.75)
    assert comparison.better == ("a",) and comparison.worse == ("b",)


def test_a_gain_too_small_to_be_shown_counts_neither_way() -> None:
    final = {"test": SplitScores(scores(a=0.6004, b=0.6005))}
    baselines = Baselines(local=SplitScores(scores(a=0.6, b=0.6)))
    comparison = compare(Run("r", About(headline="dice"), final=final, baselines=baselines))
    assert comparison.better == ("b",) and comparison.worse == ()


def test_validation_scores_are_not_compared_with_test_scores_of_other_models() -> None:
    final = {"validation": SplitScores(scores(a=0.6))}
    baselines = Baselines(local=SplitScores(scores(a=0.5)))
    comparison = compare(Run("r", About(headline="dice"), final=final, baselines=baselines))
    assert comparison.split == "validation" and list(comparison.models) == ["federated"]


def test_without_final_scores_the_last_evaluated_round_counts() -> None:
    rounds = (
        one_round(1, evaluation=Evaluation(0, "validation", scores(a=0.1), {})),
        one_round(2, evaluation=Evaluation(1, "validation", scores(a=0.3), {})),
        one_round(3),
    )
    comparison = compare(Run("r", About(headline="dice"), rounds=rounds))
    assert comparison.federated == {"a": 0.3} and comparison.of_round == 1


def test_the_training_loss_over_all_is_weighted_as_the_server_weighted() -> None:
    rounds = (one_round(1, {"a": 1.0, "b": 4.0}, {"a": 3, "b": 1}), one_round(2, {"a": 1.0, "b": 4.0}), one_round(3))
    curves = training_curves(Run("r", About(), rounds=rounds))
    assert curves.pooled == ((1.0, 1.75), (2.0, 2.5), (3.0, None))
    assert curves.sites["a"] == ((1.0, 1.0), (2.0, 1.0))


def test_an_evaluation_stands_at_the_round_of_its_model_and_the_final_one_at_the_end() -> None:
    rounds = (
        one_round(1, evaluation=Evaluation(0, "validation", scores(a=0.1), {"dice": 0.1})),
        one_round(2, evaluation=Evaluation(1, "validation", scores(a=0.3), {"dice": 0.3})),
    )
    final = {"validation": SplitScores(scores(a=0.4), {"dice": 0.4}), "test": SplitScores(scores(a=0.9))}
    curves = evaluation_curves(Run("r", About(headline="dice"), rounds=rounds, final=final), "dice")
    assert curves.pooled == ((0.0, 0.1), (1.0, 0.3), (2.0, 0.4))
    assert curves.sites == {"a": ((0.0, 0.1), (1.0, 0.3), (2.0, 0.4))}


def test_quantiles_leave_out_hospitals_without_a_value() -> None:
    sites = {name: ((1.0, value),) for name, value in (("a", 1.0), ("b", 2.0), ("c", 4.0), ("d", None))}
    curves = Curves("validation", sites, ())
    assert curves.quantile(0.5) == ((1.0, 2.0),)
    assert curves.quantile(0.25) == ((1.0, 1.5),)


def test_background_is_left_out_and_the_other_labels_fill_the_whole() -> None:
    shares, background = foreground({"background": 0.6, "lesion": 0.1, "organ": 0.3})
    assert background == 0.6
    assert shares == pytest.approx({"lesion": 0.25, "organ": 0.75})


def test_a_hospital_without_any_marked_pixel_has_shares_of_zero() -> None:
    assert foreground({"background": 1.0, "lesion": 0.0}) == ({"lesion": 0.0}, 1.0)


def test_many_classes_end_in_all_others() -> None:
    names = class_names(Roster(classes=tuple("abcdefghij")))
    assert names == [*"abcdefg", "all others"]


def test_skew_is_said_in_words_and_a_single_hospital_has_none() -> None:
    one = Holding("a", {}, {}, 0, {})
    two = Roster((one, one), label_divergence=0.4, size_gini=0.05, partition="dirichlet")
    assert "very different mixes" in skew_sentence(two) and "about the same size" in skew_sentence(two)
    assert "dirichlet" in skew_sentence(two)
    assert skew_sentence(Roster((one,), label_divergence=0.0, size_gini=0.0)) == ""


def test_legs_of_one_kind_of_message_are_added_up() -> None:
    kinds = [
        MessageKind("hello", "to hospital", "model", 2, 10),
        MessageKind("round", "to server", "update", 4, 400),
        MessageKind("round", "to hospital", "model", 4, 500),
    ]
    update, model = merged(kinds)
    assert update.content == "update" and (model.leg, model.messages, model.bytes) == ("hello, round", 6, 510)


def test_what_is_not_known_to_be_hidden_is_called_readable() -> None:
    update = MessageKind("round", "to server", "update", 1, 1)
    odd = MessageKind("round", "sideways", "something", 1, 1)
    assert "only the sum" in reader(update, "sum")
    assert "could" in reader(update, "no such word") and "could" in reader(odd, "sum")
    assert odd.leaves_hospital


def test_time_that_no_part_explains_is_a_part_of_its_own() -> None:
    parts = parts_of({"server": 1.0, "training": 6.0, "naps": 1.0}, 10.0)
    assert [(part.label, part.value) for part in parts] == [
        ("training in hospitals", 6.0),
        ("the coordinator's own step", 1.0),
        ("naps", 1.0),
        ("everything else", 2.0),
    ]
    assert len(parts_of({"training": 9.95}, 10.0)) == 1


def test_models_to_compare_with_are_a_part_where_the_total_leaves_room_for_them() -> None:
    parts = parts_of({"training": 6.0}, 10.0, compared=3.0)
    assert [part.value for part in parts] == [6.0, 3.0, 1.0] and "own model" in parts[1].label
    assert [part.value for part in parts_of({"training": 6.0}, 10.0, compared=5.0)] == [6.0, 4.0]


def test_the_slowest_hospital_comes_first() -> None:
    rounds = (one_round(1, seconds={"a": 1.0, "b": 2.0}), one_round(2, seconds={"a": 2.0}))
    assert mean_seconds(Run("r", About(), rounds=rounds)) == {"b": 2.0, "a": 1.5}
    assert list(mean_seconds(Run("r", About(), rounds=rounds))) == ["b", "a"]


def test_hospitals_that_only_a_drop_names_are_known_too() -> None:
    dropped = Round(1, (), (), (Drop("z", "round", "late"),), {}, {}, None, {}, {}, 0, 0)
    roster = Roster((Holding("m", {}, {}, 0, {}),))
    assert Run("r", About(), roster=roster, rounds=(dropped,)).sites == ("m", "z")
