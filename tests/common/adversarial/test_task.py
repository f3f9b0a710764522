"""The task that is put around another: what is handed on, what a case alone is, and what privacy sees of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from client.clipping import CaseLoss
from client.per_example_gradients.alone import is_ours
from client.per_example_gradients.hooks import by_hooks
from client.per_example_gradients.layers import by_layers
from client.per_example_gradients.loop import by_loop
from client.policy import Policy
from client.policy_rules import broken
from common.adversarial.recipe import FIRST
from common.data.cases import Batch, Cases
from common.errors import StudyError
from common.learning.abilities import (
    NAMES,
    abilities,
    can,
    companion,
    settled_in,
    task_in_round,
    views,
)
from common.learning.baseline import baseline_rounds
from common.learning.declared_abilities import check_declared
from common.learning.losses import augmented, begin
from common.learning.parameters import new_network, read, trainable
from common.learning.tasks.adversarial import DRAWN
from common.study.catalogue import TASKS
from common.study.evaluation_words import model_facts
from common.study.options import Entry
from common.study.own_weights import network_of
from common.study.study import parse
from tests.common.test_every_task import MAKERS, Made
from wardround.testing.makers import images_with_classes

CNN = {"name": "classification", "network": {"name": "groupnorm_cnn", "channels": 4}}
OF_TRUTH_ALONE = ("denoiser", "generator")
"""They learn what true images look like, and no step looks at what was measured."""
OTHERS = [name for name in MAKERS if name != "adversarial"]


def around(inner: dict[str, Any] | str, **options: Any) -> Any:
    return TASKS.build(Entry("adversarial", {"task": inner, "size": 0.1, "recipe": "fgsm", **options}))


def entry_of(made: Made) -> dict[str, Any]:
    """A task as a study would write it, of its maker's own options."""
    task, _ = made
    name = type(task).__module__.rpartition(".")[2]
    return {"name": name, **{key: value for key, value in vars(task).items() if key in TASKS.options(name)}}


@pytest.mark.parametrize("name", OTHERS)
def test_any_other_task_can_be_put_within_and_hands_its_members_on(name: str) -> None:
    made = MAKERS[name]()
    inner, cases = made
    entry = entry_of(made)
    if getattr(inner, "optimised", None):
        with pytest.raises(StudyError, match="several in turn"):
            around(entry)
        return
    task = around(entry)
    check_declared(task, "adversarial")
    kept_back = {"label_evidence", "loss_of", "optimised"}
    assert {one for one in NAMES if can(task, one)} - {"views"} == {
        one for one in NAMES if can(inner, one) and one not in kept_back
    } - {"views"}
    assert task.headline == inner.headline and views(task) == (*views(inner), DRAWN)
    assert companion(task) == companion(inner)
    network = new_network(task, cases.shape, 1)
    shown = augmented(task, cases.batch(np.arange(3)), np.random.default_rng(0))
    if name in OF_TRUTH_ALONE:
        with pytest.raises(StudyError, match="does not depend on the inputs"):
            task.loss(network, shown)
        return
    losses = task.loss(network, shown)
    assert losses.shape == (3,) and bool(torch.isfinite(losses).all())
    losses.sum().backward()
    assert any(one.grad is not None and bool(one.grad.abs().sum()) for _, one in trainable(network))


def test_what_is_learned_of_is_where_the_loss_is_higher() -> None:
    task, cases = around(CNN), images_with_classes()
    network, batch = new_network(task, cases.shape, 1), cases.batch()
    with torch.no_grad():
        assert float(task.loss(network, batch).mean()) > float(task.around.loss(network, batch).mean())


def test_the_size_grows_round_by_round_from_the_other_task_to_the_whole() -> None:
    task = around(CNN, size=0.2, plain_rounds=2, grows_over=3)
    found = [task_in_round(task, number) for number in range(1, 8)]
    assert found[0] is found[1] is task.around
    assert [vars(one)["size"] for one in found[2:]] == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.2])
    assert [vars(task_in_round(around(CNN, grows_over=1), number))["size"] for number in (1, 2)] == [0.05, 0.1]
    assert settled_in(task) == 6 and settled_in(around(CNN)) == 1 and not can(around(CNN), "in_round")
    study = parse(TEXT, [*GROWING, "rounds=3"])
    pairs = baseline_rounds(study, study.build_task())
    assert [getattr(one, "size", 0.0) for one, _ in pairs] == pytest.approx([0.0, 0.05, 0.1])
    assert [training.epochs for _, training in pairs] == [1, 1, 1], "where the task changes, not all in one go"
    with pytest.raises(
        StudyError, match=r"from round 3 on, and rounds = 2: .* \(task.plain_rounds, task.grows_over\)"
    ):
        parse(TEXT, [*GROWING, "rounds=2"])


@pytest.mark.parametrize("recipe", ["fgsm", "pgd", "trades"])
def test_a_case_is_shown_alone_as_it_is_among_others(recipe: str) -> None:
    task, cases = around(CNN, recipe=recipe), images_with_classes()
    network = new_network(task, cases.shape, 1)
    together = augmented(task, cases.batch(), np.random.default_rng(5))
    rng = np.random.default_rng(5)
    alone = [augmented(task, cases.batch(np.array([index])), rng) for index in range(len(cases))]
    assert torch.equal(together.tensor(DRAWN), torch.cat([one.tensor(DRAWN) for one in alone]))
    torch.testing.assert_close(task.loss(network, together), torch.cat([task.loss(network, one) for one in alone]))


def test_views_that_the_other_task_draws_are_the_same_alone_and_among_others() -> None:
    made = MAKERS["simclr"]()
    task, cases = around(entry_of(made)), made[1]
    together = augmented(task, cases.batch(), np.random.default_rng(5))
    rng = np.random.default_rng(5)
    alone = [augmented(task, cases.batch(np.array([index])), rng) for index in range(len(cases))]
    for view in views(task):
        assert torch.equal(together.tensor(view), torch.cat([one.tensor(view) for one in alone]))


@pytest.mark.parametrize("recipe", ["fgsm", "pgd", "trades", "course"])
def test_gradients_that_privacy_clips_are_those_of_each_case_trained_alone(recipe: str) -> None:
    """So a step's sum moves by the clip at most when one case comes or goes, and epsilon is what it was."""
    task, cases = around(CNN, recipe=recipe), images_with_classes()
    network = new_network(task, cases.shape, 1)
    batch = augmented(task, cases.batch(), np.random.default_rng(0))
    loss, clip = CaseLoss(task, network), 0.05
    assert is_ours(task)
    alone = [by_loop(loss, batch.take([index]), clip) for index in range(len(batch))]
    assert all(np.linalg.norm(one) <= clip for one in alone)
    np.testing.assert_allclose(by_loop(loss, batch, clip), np.sum(alone, 0), atol=1e-6)
    without = by_loop(loss, batch.take(list(range(1, len(batch)))), clip)
    assert np.linalg.norm(by_loop(loss, batch, clip) - without) <= clip * (1 + 1e-5)
    for way in (by_layers, by_hooks):
        try:
            found = way(loss, batch, clip)
        except NotImplementedError:
            assert recipe in ("trades", "course"), "one pass that learns is worked out layer by layer"
            continue
        np.testing.assert_allclose(found, np.sum(alone, 0), atol=1e-6)


def test_a_strangers_network_within_is_given_one_case_at_a_time() -> None:
    task = around(CNN)
    assert is_ours(task)
    object.__setattr__(task.around, "network", Entry("own.py:Net"))
    assert not is_ours(task)


def test_believed_labels_have_the_recipes_loss_and_inputs_a_gradient() -> None:
    task, cases = around(CNN, recipe={"name": "fgsm", "random_start": False}), images_with_classes()
    assert not views(task)
    network, batch = new_network(task, cases.shape, 1), cases.batch()
    truth = torch.nn.functional.one_hot(batch.targets, 3).float()
    inputs = batch.inputs.clone().requires_grad_(True)
    losses = abilities(task).soft_loss(network, inputs, truth)
    torch.testing.assert_close(losses, task.loss(network, batch))
    (gradient,) = torch.autograd.grad(losses.sum(), inputs, create_graph=True)
    assert bool(gradient.abs().sum() > 0) and gradient.requires_grad


def test_robust_scores_stand_beside_the_others_and_are_presented_alike() -> None:
    task, cases = around(CNN, attack={"name": "pgd", "steps": 2}), images_with_classes()
    scores = task.score(new_network(task, cases.shape, 1).eval(), cases.batch())
    assert scores["robust_loss"].value >= scores["loss"].value
    inner = {"name": "regression", "network": {"name": "mlp", "hidden": [4]}, "center": 48, "spread": 9}
    regression, rows = around(inner, attack="fgsm"), MAKERS["regression"]()[1]
    found = regression.score(new_network(regression, rows.shape, 1), rows.batch())
    shown = abilities(regression).presented({name: mean.value for name, mean in found.items()})
    assert {"mae", "robust_mae", "rmse", "robust_rmse"} <= set(shown) and shown["robust_mae"] > shown["mae"]
    assert not can(around(entry_of(MAKERS["cox"]()), attack="fgsm"), "answered")


def test_cases_of_several_sizes_are_moved_one_by_one() -> None:
    inner = {"name": "segmentation", "network": {"name": "unet", "channels": 4, "depth": 2}, "patch": [8, 8]}
    task, rng = around(inner, attack="fgsm"), np.random.default_rng(0)
    images = [rng.normal(size=(1, *sides)).astype(np.float32) for sides in ((10, 12), (12, 9))]
    masks = [(image[0] > 0).astype(np.uint8) for image in images]
    cases = Cases.of(images, masks, ["a", "b"], ("none", "one"))
    network = new_network(task, cases.shape, 1)
    assert task.loss(network, augmented(task, cases.batch(), rng)).shape == (2,)
    assert task.loss(network, cases.batch()).shape == (2,)
    assert "robust_dice" in task.score(network, cases.batch())


def test_the_courses_first_model_is_kept_as_training_began_and_nobody_moves_it() -> None:
    task, cases = around(CNN, recipe="course"), images_with_classes()
    network = new_network(task, cases.shape, 1)
    assert companion(task) == (FIRST,) and len(read(network)) == 2 * sum(p.numel() for _, p in trainable(network))
    with torch.no_grad():
        for _, parameter in trainable(network):
            parameter.add_(1.0)
    begin(task, network)
    kept = dict(network.get_submodule(FIRST).named_parameters())
    assert all(torch.equal(kept[name], one) for name, one in trainable(network))
    row = around({"name": "classification", "network": {"name": "mlp", "hidden": [4]}}, recipe="course")
    batch = Batch.of(torch.zeros(2, 5), torch.tensor([0, 1]), ("a", "b"))
    network = new_network(row, MAKERS["classification"]()[1].shape, 1)
    torch.testing.assert_close(row.predict(network, batch.inputs), row.around.predict(network, batch.inputs))
    made = MAKERS["byol"]()
    taught = around(entry_of(made), recipe="course")
    with pytest.raises(StudyError, match="companion of its own"):
        taught.build_network(made[1].shape)


HOSTILE: dict[str, dict[str, Any]] = {
    "above zero": {"size": 0.0},
    "above zero ": {"size": float("nan")},
    "above zero  ": {"size": float("inf")},
    "below task.high": {"low": 1.0, "high": 0.0},
    "below task.high ": {"low": float("nan"), "high": 1.0},
    "below task.high  ": {"low": float("inf")},
    "more than all": {"size": 3.0, "low": 0.0, "high": 1.0},
    "at most 1e": {"size": 1e308},
    "'adversarial' itself": {"task": {"name": "adversarial", "task": "classification", "size": 0.1}},
    "did you mean": {"recipe": "pgdd"},
    "did you mean ": {"attack": "sqare"},
    "must be a number": {"size": "large"},
    "grows_over": {"grows_over": -1},
    "plain_rounds": {"plain_rounds": 1.5},
}


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_options_are_refused(words: str) -> None:
    with pytest.raises(StudyError, match=words.strip()):
        TASKS.build(Entry("adversarial", {"task": CNN, "size": 0.1, **HOSTILE[words]}))


TEXT = """
title = "T"
source = { name = "phantom", hospitals = 3, size = 16, patients = [4] }
task = { name = "adversarial", task = { name = "segmentation", network = "unet" }, size = 0.1 }
strategy = "fedavg"
aggregation = "plain"
"""
GROWING = ["task.plain_rounds=1", "task.grows_over=1"]


def test_a_hospitals_policy_looks_at_the_task_within_and_its_network() -> None:
    study = parse(TEXT)
    assert network_of(study.task) == Entry("unet")
    fine = Policy(tasks=("adversarial", "segmentation"), networks=("unet",))
    assert not [one for one in broken(study, fine) if one.word in ("tasks", "networks")]
    for policy, rule in (
        (Policy(tasks=("adversarial",)), "tasks"),
        (Policy(tasks=("segmentation",)), "tasks"),
        (Policy(networks=("mlp",)), "networks"),
    ):
        assert [one for one in broken(study, policy) if one.word == rule]


def test_what_leaves_of_the_scores_of_the_task_within_is_said_before_it_is_approved() -> None:
    """Before: the sentence was looked for at the outer task alone, and nobody was told of bins of cases."""
    inner = '{ name = "classification", network = "groupnorm_cnn", scores = ["auc"] }'
    text = TEXT.replace('{ name = "segmentation", network = "unet" }', inner)
    assert any("counts of cases by bin" in one and "(auc)" in one for one in model_facts(parse(text)))


def test_a_batch_of_nobody_is_moved_nowhere() -> None:
    task, nobody = around(CNN, attack={"name": "square", "queries": 2}), images_with_classes().batch(np.arange(0))
    network = new_network(task, images_with_classes().shape, 1)
    assert task.loss(network, nobody).shape == (0,)
    assert len(task.augment(nobody, np.random.default_rng(0))) == 0
