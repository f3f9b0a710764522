"""What every loss of a person's own must be: a function of a network's answers and the targets."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from wardround.testing.laws import no_global_draw

Of = Callable[[Tensor, Tensor], Tensor]
COUNT = 6
Tried = tuple[Of, Tensor, Tensor]


class LossTests:
    """Inherit, and bind `loss` to `staticmethod(of_answers_and_targets)`, or to an entry that has `of`."""

    loss: Any

    def answers(self) -> tuple[Tensor, Tensor]:
        """A network's answers, and the targets that go with them."""
        return fitting_answers(_function(type(self)))

    @pytest.fixture
    def made(self) -> Tried:
        """The loss, answers and targets."""
        return _function(type(self)), *self.answers()

    def test_it_is_one_number_a_case(self, made: Tried) -> None:
        """Privacy and the audit need each case's own loss. Mend: reduction="none", and the mean over all axes but the
        first."""
        loss, answers, targets = made
        given = loss(answers, targets)
        assert given.shape == (COUNT,), f"of {COUNT} cases the loss has shape {tuple(given.shape)}"
        assert given.is_floating_point() and torch.isfinite(given).all(), f"the loss is {given.tolist()}"

    def test_a_case_has_the_same_loss_whoever_else_is_in_the_batch(self, made: Tried) -> None:
        """Else one patient's loss tells of another, and DP-SGD bounds nothing. Mend: compute each case by itself."""
        loss, answers, targets = made
        alone = torch.cat([loss(answers[i : i + 1], targets[i : i + 1]) for i in range(COUNT)])
        torch.testing.assert_close(
            loss(answers, targets), alone, msg=lambda text: f"a loss depends on the other cases: {text}"
        )

    def test_it_can_be_learned_from(self, made: Tried) -> None:
        """Training follows its gradient. Mend: compute with torch alone; no argmax, no .item(), no numpy."""
        loss, answers, targets = made
        answers = answers.clone().requires_grad_()
        optimiser = torch.optim.Adam([answers], lr=0.05)
        before = float(loss(answers, targets).detach().mean())
        for _ in range(20):
            optimiser.zero_grad()
            mean = loss(answers, targets).mean()
            assert mean.requires_grad, "no gradient flows from the loss to the answers"
            mean.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        after = float(loss(answers, targets).detach().mean())
        assert after < before, f"down its own gradient it went from {before:.3g} to {after:.3g}"

    def test_it_is_finite_for_answers_that_are_very_sure(self, made: Tried) -> None:
        """One infinite loss ends a hospital's training. Mend: log_softmax and logsigmoid, not log of softmax."""
        loss, answers, targets = made
        for times in (1e3, -1e3):
            sure = (times * answers).requires_grad_()
            given = loss(sure, targets)
            given.sum().backward()  # type: ignore[no-untyped-call]
            assert torch.isfinite(given).all(), f"of answers times {times:g} the loss is {given.tolist()}"
            assert sure.grad is not None and torch.isfinite(sure.grad).all(), "its gradient is not finite"

    def test_it_changes_nothing_and_draws_nothing(self, made: Tried) -> None:
        """The same study trains the same model. Mend: no operation in place, and no random number."""
        loss, answers, targets = made
        before = answers.clone(), targets.clone()
        with no_global_draw("the loss"):
            first, second = loss(answers, targets), loss(answers, targets)
        assert torch.equal(first, second), "two calls differ"
        assert torch.equal(answers, before[0]) and torch.equal(targets, before[1]), "it changed what it was given"


def fitting_answers(loss: Of) -> tuple[Tensor, Tensor]:
    """Answers and targets of the first sort that the loss takes. Raises AssertionError, saying why not, for none."""
    drawn = torch.Generator().manual_seed(0)
    classes, places = torch.arange(COUNT) % 3, torch.arange(COUNT * 64).reshape(COUNT, 8, 8) % 3
    sorts = {
        "classes": (torch.randn(COUNT, 3, generator=drawn), classes),
        "outlines": (torch.randn(COUNT, 3, 8, 8, generator=drawn), places),
        "images": (torch.rand(COUNT, 1, 16, 16, generator=drawn), torch.rand(COUNT, 1, 16, 16, generator=drawn)),
        "numbers": (torch.randn(COUNT, generator=drawn), torch.randn(COUNT, generator=drawn)),
    }
    refusals = []
    for name, (answers, targets) in sorts.items():
        try:
            loss(answers, targets)
        except Exception as error:  # noqa: BLE001 - a loss may refuse answers in any way
            refusals.append(f"  {name}: {type(error).__name__}: {str(error).strip()[:200]}")
        else:
            return answers, targets
    tried = "\n".join(refusals)
    raise AssertionError(
        f"the loss takes answers of none of these sorts; write `answers()` that gives some:\n{tried}"
    )


def _function(tests: type) -> Of:
    bound = inspect.getattr_static(tests, "loss")
    value = getattr(bound, "__func__", bound)
    found: Of = getattr(value, "of", value)
    return found
