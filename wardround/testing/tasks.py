"""What every task must do."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from client.evaluation import evaluate
from client.training import Trainer
from common.data.cases import Batch, Cases
from common.learning.abilities import can, couples, follows_parameters, scored_whole
from common.learning.client_work import Training
from common.learning.judging import joined, judge
from common.learning.losses import augmented, follow
from common.learning.parameters import new_network, read, read_gradient
from common.learning.task import Task
from common.sums.mean import Mean, merge
from wardround.testing.laws import check_options, check_same, no_global_draw
from wardround.testing.makers import tiny_cases

Tried = tuple[Any, Cases]
LEFT_WHERE_COMPARED = 0.7
"""Cases that are equal leave a loss that no order of them removes."""


class TaskTests:
    """Inherit, and bind `task` to one; `cases` where those that are made for it do not fit.

    loss_left, headline_reached: of the loss before, and of the headline, after `training` on four cases.
    """

    task: Task
    loss_left: ClassVar[float] = 0.5
    headline_reached: ClassVar[float] = 0.9
    training: ClassVar[Training] = Training(steps=150, batch_size="full", learning_rate=0.02, optimiser="adam")

    def cases(self) -> Cases:
        """Twelve or so of six persons, small enough to train on at once."""
        return tiny_cases(self.task)

    @pytest.fixture
    def made(self) -> Tried:
        """The task, and cases for it."""
        return self.task, self.cases()

    def test_its_options_are_a_frozen_dataclass_that_survives_a_copy(self, made: Tried) -> None:
        """Engines hand it to other processes, and a study's record must stay true. Mend: @dataclass(frozen=True)."""
        check_options(made[0])

    def test_its_network_can_be_exchanged_and_follows_from_the_seed_alone(self, made: Tried) -> None:
        """All hospitals begin with one model. Mend: draw initial values by torch, keep float32, and take GroupNorm
        instead of batch normalisation."""
        task, cases = made
        with no_global_draw("build_network"):
            first, second = (new_network(task, cases.shape, 1) for _ in range(2))
        assert np.array_equal(read(first), read(second)), "the same seed gave two networks"
        assert np.array_equal(read(copy.deepcopy(first)), read(first)), "a copy of the network has other parameters"

    def test_it_overfits_four_cases(self, made: Tried) -> None:
        """What cannot learn four cases by heart learns nothing. Mend: the loss must fall where predictions get
        better; see also that the network is large enough and the task's default options are sane."""
        task, cases = made
        four = cases.take(np.arange(4))
        network = new_network(task, cases.shape, 1)
        before = _mean_loss(task, network, four)
        Trainer(task, network, four, self.training, np.random.default_rng(0)).train()
        after = _mean_loss(task, network, four)
        left = max(self.loss_left, LEFT_WHERE_COMPARED) if couples(task) else self.loss_left
        assert after < left * before, (
            f"after {self.training.steps} steps the loss is {after:.3g}, of {before:.3g} before: "
            f"a share of {left} or less was expected"
        )
        reached = evaluate(task, network, four)[task.headline].value
        assert reached > self.headline_reached, f"{task.headline} is {reached:.3g} on the four cases it trained on"

    def test_the_loss_is_one_number_a_case(self, made: Tried) -> None:
        """Privacy and the audit need each case's own loss. Mend: reduction="none", and the mean over all axes but the
        first."""
        task, cases = made
        loss = task.loss(_network(made), cases.batch())
        assert loss.shape == (len(cases),), f"loss of {len(cases)} cases has shape {tuple(loss.shape)}"
        assert loss.dtype == torch.float32, f"the loss is {loss.dtype}"
        assert torch.isfinite(loss).all(), "the loss of an untrained network is not finite"
        assert loss.requires_grad, "no gradient flows from the loss to the network"

    def test_a_case_has_the_same_loss_whoever_else_is_in_the_batch(self, made: Tried) -> None:
        """Else one patient's loss tells of another, chunks do not add up, and DP-SGD bounds nothing. Mend: compute
        each case by itself; a loss that compares cases declares `couples`."""
        task, cases = made
        _skip_where_cases_are_compared(task)
        network = _network(made)
        together = task.loss(network, cases.batch())
        alone = torch.cat([task.loss(network, cases.batch(np.array([index]))) for index in range(len(cases))])
        torch.testing.assert_close(together, alone, msg=lambda text: f"a loss depends on the other cases: {text}")

    def test_gradients_of_chunks_add_up_to_that_of_the_whole(self, made: Tried) -> None:
        """A large batch is worked off in chunks. Mend: as for the loss of one case; nothing may be kept from call to
        call."""
        task, cases = made
        _skip_where_cases_are_compared(task)
        whole = _gradient(task, cases, [slice(None)])
        parts = _gradient(task, cases, [slice(0, 5), slice(5, None)])
        assert np.allclose(whole, parts, rtol=1e-4, atol=1e-5 * np.abs(whole).max()), (
            f"the gradients differ by up to {np.abs(whole - parts).max():.3g}"
        )

    def test_the_headline_is_among_the_scores(self, made: Tried) -> None:
        """It is what curves show and what a study can stop at. Mend: `score` returns a Mean by that name."""
        task, cases = made
        scores = evaluate(task, _network(made), cases)
        assert task.headline in scores, f"headline {task.headline!r} is not among {sorted(scores)}"
        assert all(isinstance(score, Mean) for score in scores.values()), "a score is no Mean"

    def test_scores_of_hospitals_merge_exactly_into_those_of_all_patients(self, made: Tried) -> None:
        """Hospitals' scores are added up, in any order. Mend: give each case or person its own value, in Mean.of."""
        task, cases = made
        network = new_network(task, cases.shape, 3)
        whole = evaluate(task, network, cases)
        names, of_case = np.unique(cases.patients, return_inverse=True)
        for seed in range(3):
            rng = np.random.default_rng(seed)
            hospital = rng.integers(3, size=len(names))[of_case]
            parts = [evaluate(task, network, cases.take(np.flatnonzero(hospital == index))) for index in range(3)]
            merged = merge(parts[index] for index in rng.permutation(3))
            # Where patients are compared with each other, those of two hospitals never are.
            wanted = merge(parts) if scored_whole(task) else whole
            assert merged == wanted, f"three hospitals' scores add up to {_shown(merged)}, not to {_shown(wanted)}"

    def test_what_scores_are_made_of_is_of_each_case_alone(self, made: Tried) -> None:
        """A network is asked once, in pieces, whatever is then scored. Mend: `answered` of a case must not depend on
        the others, and `score` be made of it alone; compute in float64."""
        task, cases = made
        if not can(task, "answered"):
            pytest.skip("the task does not say what its scores are made of")
        network = _network(made).eval()
        with torch.no_grad():
            whole = task.answered(network, cases.batch())
            singly = joined(task.answered(network, cases.batch(np.array([index]))) for index in range(len(cases)))
            assert judge(task, whole) == task.score(network, cases.batch()), "score is made of something else"
        for name, values in whole.items():
            torch.testing.assert_close(
                values.cpu(), singly[name], rtol=1e-7, atol=1e-9, msg=f"{name} of a case depends on the other cases"
            )

    def test_augmentation_depends_on_its_generator_alone(self, made: Tried) -> None:
        """The same study trains the same model on every engine. Mend: take every draw from `rng`, and return a new
        batch."""
        task, cases = made
        batch, given = cases.batch(), cases.batch()
        with no_global_draw("augment"):
            first, second = (task.augment(batch, np.random.default_rng(4)) for _ in range(2))
        _check_same_batch(first, second, "the same generator gave two augmentations")
        _check_same_batch(batch, given, "augment changed the batch it was given")
        assert len(first) == len(batch), "augment changed the number of cases"

    def test_nothing_that_is_given_is_changed_and_no_shared_generator_is_drawn_from(self, made: Tried) -> None:
        """What is drawn, or changed, in one hospital would differ from engine to engine. Mend: work on copies; draw
        only in `augment`, from `rng`."""
        task, cases = made
        network, batch, given = _network(made).eval(), cases.batch(), cases.batch()
        parameters = read(network)
        with torch.no_grad(), no_global_draw("loss, score or predict"):
            first, second = ((task.loss(network, batch), task.score(network, batch)) for _ in range(2))
            task.predict(network, batch.inputs)
        check_same(first[0], second[0], "two calls of loss differ")
        assert first[1] == second[1], "two calls of score differ"
        _check_same_batch(batch, given, "loss, score or predict changed the batch")
        assert np.array_equal(read(network), parameters), "loss, score or predict changed the network's parameters"

    def test_a_companion_that_is_said_to_follow_the_model_is_moved_by_no_case(self, made: Tried) -> None:
        """Privacy for one patient counts on it: noise covers what is learned, and what follows from that. Mend: let
        `follow` read parameters alone, or do not declare `follows_parameters`."""
        task, cases = made
        if not follows_parameters(task):
            pytest.skip("the task does not declare that its companion follows what is learned")
        ends = []
        for half in (slice(0, 6), slice(6, None)):
            network = new_network(task, cases.shape, 1).train()
            task.loss(network, augmented(task, cases.batch(half), np.random.default_rng(0)))
            follow(task, network)
            ends.append(read(network))
        assert np.array_equal(ends[0], ends[1]), "the companion is another after a step on other cases"

    def test_predictions_are_one_a_case_classes_or_numbers(self, made: Tried) -> None:
        """Whoever uses the model reads them. Mend: argmax over axis 1 where classes are learned, int64; float32
        where numbers are."""
        task, cases = made
        with torch.no_grad():
            predicted: Tensor = task.predict(_network(made), cases.batch().inputs)
        assert len(predicted) == len(cases), f"{len(cases)} cases got {len(predicted)} predictions"
        wanted = torch.int64 if cases.classes else torch.float32
        assert predicted.dtype == wanted, f"predictions are {predicted.dtype}, not {wanted}"
        assert torch.isfinite(predicted).all(), "a prediction is not finite"


def _network(made: Tried) -> nn.Module:
    task, cases = made
    return new_network(task, cases.shape, 1)


def _mean_loss(task: Any, network: nn.Module, cases: Cases) -> float:
    network.eval()
    with torch.no_grad():
        return float(task.loss(network, cases.batch()).mean())


def _gradient(task: Any, cases: Cases, chunks: list[slice]) -> Any:
    network = new_network(task, cases.shape, 1)
    for chunk in chunks:
        task.loss(network, cases.batch(chunk)).sum().backward()
    return read_gradient(network)


def _skip_where_cases_are_compared(task: Any) -> None:
    if couples(task):
        pytest.skip("the task declares that its loss compares cases")


def _check_same_batch(first: Batch, second: Batch, what: str) -> None:
    assert first.columns.keys() == second.columns.keys(), what
    for name, column in first.columns.items():
        for one, other in zip(column, second.columns[name], strict=True):
            if isinstance(one, Tensor) and isinstance(other, Tensor):
                check_same(one, other, f"{what}: {name}")
            else:
                assert one == other, f"{what}: {name}"


def _shown(scores: dict[str, Mean]) -> dict[str, float]:
    return {name: score.value for name, score in scores.items()}
