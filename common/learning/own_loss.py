"""A loss that was not written by us: a function of a network's answers and the targets, in place of a task's own.

    def focal(logits, targets, gamma=2.0):
        right = logits.log_softmax(1).gather(1, targets[:, None])[:, 0]
        return -((1 - right.exp()) ** gamma) * right

What follows the first two parameters is an option: `loss = { name = "own.py:focal", gamma = 3 }`. The class of an
nn.Module is a loss too, with the options of its `__init__`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from types import FunctionType
from typing import Any, ClassVar, Protocol, cast

import torch
from torch import Tensor, nn

from common.errors import StudyError, first_line
from common.learning.plain_options import called, entry_class, parameters_of
from common.study.catalogue import LOSSES
from common.study.options import Entry

TOLERANCE = 1e-4
EXAMPLE = "{name} = 0.5, an option of the loss"


class Loss(Protocol):
    """A frozen dataclass of options."""

    def of(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """(N,): one loss a case, of what the network answered and of the targets, each as the task shows them."""
        ...


class LossAbilities(Protocol):
    """What a loss of images may have beside `of`: parts of the model that learn or know something of their own.

    shape: (C, *S) of an image as parts are shown it, which of a complex one is its magnitude. `of_parts` is asked in
    the place of `of`.
    """

    opposed: ClassVar[str]
    """The part that learns by a loss of its own, in turn with what makes images; all others are not trained."""

    def parts(self, shape: tuple[int, ...]) -> Mapping[str, nn.Module]:
        """By the name that each has in the model. Raises StudyError where there are none for the shape."""
        ...

    def of_parts(self, made: Tensor, truth: Tensor, shown: tuple[Tensor, Tensor], parts: nn.Module) -> Tensor:
        """(N,) of who makes images. shown: made and truth as parts are shown them. parts: what holds them."""
        ...

    def of_opposed(self, shown: tuple[Tensor, Tensor], parts: nn.Module) -> Tensor:
        """(N,) of the opposed part."""
        ...


TOGETHER = (
    ("parts", "of_parts"),
    ("of_parts", "parts"),
    ("opposed", "of_opposed"),
    ("of_opposed", "opposed"),
    ("opposed", "parts"),
)
"""The first is of no use without the second."""


@cache
def plain_loss(made: Any, name: str) -> type[Any] | None:
    """The entry's class of a function, or of an nn.Module's class; None where it is neither."""
    what, again = f"loss {name!r}", partial(plain_loss, made, name)
    if isinstance(made, type) and issubclass(made, nn.Module):
        parameters = parameters_of(made, what)

        def of_module(self: Any, outputs: Tensor, targets: Tensor) -> Tensor:
            """Of a module that is built of the options."""
            module = called(made, parameters, {one.name: getattr(self, one.name) for one in parameters})
            return cast(Tensor, module(outputs, targets))

        return entry_class(made, parameters, (), {"of": of_module}, EXAMPLE, again)
    if not isinstance(made, FunctionType):
        return None
    parameters = parameters_of(made, what)
    if len(parameters) < 2:
        raise StudyError(
            f"{what} must take the network's answers and the targets: def {made.__name__}(logits, targets)."
        )
    options = parameters[2:]

    def of_function(self: Any, outputs: Tensor, targets: Tensor) -> Tensor:
        """The function's, with the options."""
        values = {one.name: getattr(self, one.name) for one in options}
        return cast(Tensor, made(outputs, targets, **values))

    return entry_class(made, options, (), {"of": of_function}, EXAMPLE, again)


class OwnLoss:
    """A study's own loss, found once, and held to one value a case whenever it is asked."""

    def __init__(self, entry: Entry, task: str) -> None:
        self._what = f"loss {entry.name!r} of task {task!r}"
        self._loss = cast(Loss, LOSSES.build(entry))

    def of(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """(N,) float32. Raises StudyError where another shape came."""
        losses = self._loss.of(outputs.float(), targets)
        if not isinstance(losses, Tensor):
            raise StudyError(f"{self._what} must give a tensor of one loss a case; it gave {type(losses).__name__}.")
        if losses.shape != outputs.shape[:1]:
            raise StudyError(f"{self._what} must give one loss a case, shape (N,): {self._remedy(losses, outputs)}")
        return losses.float()

    @torch.enable_grad()
    def demand_usable(self, outputs: tuple[int, ...], targets: Tensor) -> None:
        """Try it on two random answers of this shape, which says nothing of anybody's data. Raises StudyError where
        it fails, cannot be learned from, or where a case's loss depends on the other case."""
        drawn = torch.randn(2, *outputs, generator=torch.Generator().manual_seed(0)).requires_grad_()
        if drawn.is_meta:
            return  # a network is only sketched, and there are no numbers to try the loss on
        try:
            together = self.of(drawn, targets)
            apart = torch.cat([self.of(drawn[i : i + 1], targets[i : i + 1]) for i in range(2)])
        except StudyError:
            raise
        except Exception as error:
            line = first_line(error)
            raise StudyError(
                f"{self._what} fails on answers of shape {tuple(drawn.shape)} and targets of shape "
                f"{tuple(targets.shape)}, {targets.dtype}: {type(error).__name__}: {line}"
            ) from error
        if not together.requires_grad:
            raise StudyError(f"{self._what} cannot be learned from: it has no gradient for the network's answers.")
        if not torch.allclose(together, apart, rtol=TOLERANCE, atol=TOLERANCE):
            raise StudyError(
                f"{self._what} makes a case's loss depend on the other cases of its batch, {together.tolist()} "
                f"together and {apart.tolist()} alone: privacy, weights and the audit count cases one by one."
            )

    def _remedy(self, losses: Tensor, outputs: Tensor) -> str:
        cases, shape = len(outputs), tuple(losses.shape)
        if not shape:
            return 'it gave one number for all cases; torch\'s own losses give one each with reduction = "none".'
        if shape[0] == cases:
            return f"it gave {shape} for {cases} cases; the mean of each is losses.flatten(1).mean(1)."
        return f"it gave {shape} for {cases} cases."
