"""What every recipe against adversaries must be: of each case alone, by its own draw, leaving nothing behind."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from client.clipping import CaseLoss
from client.per_example_gradients.layers import by_layers
from client.per_example_gradients.loop import by_loop
from common.adversarial.recipe import FIRST
from common.adversarial.room import Room
from common.data.cases import Batch, Cases
from common.learning.parameters import new_network, trainable
from common.learning.tasks.classification import Classification
from common.study.options import Entry
from wardround.testing.laws import check_options, no_global_draw
from wardround.testing.makers import images_with_classes

SHAPES = ((5,), (1, 8, 8))
SIZE = 0.2
Tried = tuple[Any, Any]


class RecipeTests:
    """Inherit, and bind `recipe` to one; `task` where it is not for a classification."""

    recipe: Any
    task: ClassVar[Any] = Classification(network=Entry("groupnorm_cnn", {"channels": 4}))

    @pytest.fixture
    def made(self) -> Tried:
        """The recipe's options, and the task that it is put around."""
        return self.recipe, self.task

    def cases(self) -> Cases:
        """Twelve or so."""
        return images_with_classes()

    def test_its_options_are_a_frozen_dataclass_that_survives_a_copy(self, made: Tried) -> None:
        """Engines hand it to other processes, and a study's record must stay true. Mend: @dataclass(frozen=True)."""
        check_options(made[0])

    def test_it_says_where_it_is_from_and_whether_it_asks_the_first_model(self, made: Tried) -> None:
        """A network that keeps its first model is twice as large. Mend: `source` names the paper, or the idea;
        `keeps_first` is True or False."""
        assert len(made[0].source) > 5, "`source` does not say where it is from"
        assert isinstance(made[0].keeps_first, bool), f"keeps_first is {made[0].keeps_first!r}"

    def test_what_is_drawn_follows_from_its_generator_alone(self, made: Tried) -> None:
        """It travels with the case, so that training alone and among others is the same. Mend: draw from `rng` in
        -1 to 1, float32, always as many."""
        for shape in SHAPES:
            with no_global_draw("draw"):
                first, second = (made[0].draw(np.random.default_rng(3), shape) for _ in range(2))
            assert np.array_equal(first, second), "two draws from one seed differ"
            assert first.dtype == np.float32 and first.shape[1:] == shape, f"{first.dtype}, {first.shape} was drawn"
            assert np.isfinite(first).all() and (np.abs(first) <= 1).all(), "a draw is out of -1 to 1"
        counts = {made[0].draw(np.random.default_rng(seed), SHAPES[0]).shape[0] for seed in range(5)}
        assert len(counts) == 1, f"several numbers of draws: {sorted(counts)}"

    def test_a_case_has_the_same_loss_whoever_else_is_in_the_batch(self, made: Tried) -> None:
        """Else one patient's loss tells of another, and DP-SGD bounds nothing. Mend: no mean over the batch."""
        network, batch, drawn = self._begun(made)
        together = losses(made, network, batch, drawn)
        singles = (losses(made, network, batch.take([i]), drawn[i : i + 1]) for i in range(len(batch)))
        alone = torch.cat(list(singles))
        assert together.shape == (len(batch),) and torch.isfinite(together).all(), (
            "there is not one finite loss a case"
        )
        torch.testing.assert_close(
            together, alone, rtol=1e-4, atol=1e-5, msg=lambda text: f"a loss depends on the other cases: {text}"
        )

    def test_it_trains_on_inputs_that_were_moved_to_mislead(self, made: Tried) -> None:
        """Else nothing is withstood. Mend: move inputs up the loss, and let the moved ones count."""
        network, batch, drawn = self._begun(made)
        with torch.no_grad():
            plain = float(made[1].loss(network, batch).mean())
        found = float(losses(made, network, batch, drawn).mean().detach())
        assert found > plain, f"the mean loss is {found:.4g}; of inputs as they are it is {plain:.4g}"

    def test_the_inner_steps_leave_nothing_behind(self, made: Tried) -> None:
        """What they leave on parameters would be learned from. Mend: `not_learning(network)` around them."""
        network, batch, drawn = self._begun(made)
        learned = [name for name, _ in trainable(network)]
        before = deepcopy(network.state_dict())
        found = losses(made, network, batch, drawn)
        left = [name for name, parameter in network.named_parameters() if parameter.grad is not None]
        assert not left, f"before the backward pass there are gradients of {left}"
        assert [name for name, _ in trainable(network)] == learned, "other parameters learn than before"
        changed = [name for name, value in network.state_dict().items() if not torch.equal(value, before[name])]
        assert not changed, f"{changed} changed"
        found.sum().backward()  # type: ignore[no-untyped-call]
        still = [name for name, one in trainable(network) if one.grad is None or not bool(one.grad.abs().sum())]
        assert not still, f"no gradient reaches {still}"

    def test_gradients_of_single_cases_are_those_of_training_alone(self, made: Tried) -> None:
        """Privacy for one patient clips them, by layers that note what passes. Mend: `not_learning(network)` around
        inner steps, so that they are not noted."""
        network, batch, drawn = self._begun(made)
        loss = CaseLoss(_With(made, drawn), network)  # type: ignore[arg-type]
        batch = batch.with_columns(row=torch.arange(len(batch)))
        for clip_norm in (0.1, 1e6):
            wanted = by_loop(loss, batch, clip_norm)
            try:
                found = by_layers(loss, batch, clip_norm)
            except NotImplementedError:
                return  # then case by case, which is what is wanted
            np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5)

    def _begun(self, made: Tried) -> tuple[nn.Module, Batch, Tensor]:
        """A network after some way, cases, and what is drawn for each."""
        recipe, task = made
        cases = self.cases()
        network = new_network(task, cases.shape, 1)
        if recipe.keeps_first:
            network.add_module(FIRST, new_network(task, cases.shape, 1).requires_grad_(False))
        batch = cases.batch()
        shape = tuple(batch.inputs.shape[1:])
        drawn = np.stack([recipe.draw(np.random.default_rng(index), shape) for index in range(len(batch))])
        return network, batch, torch.from_numpy(drawn)


class _With:
    """A task whose loss is the recipe's."""

    def __init__(self, made: Tried, drawn: Tensor) -> None:
        self.made, self.drawn = made, drawn

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        return losses(self.made, network, batch, self.drawn[batch.tensor("row")])


def losses(made: Tried, network: nn.Module, batch: Batch, drawn: Tensor) -> Tensor:
    """The recipe's."""
    found: Tensor = made[0].losses(made[1], network, batch, Room.of(SIZE), drawn)
    return found
