"""What tasks without labels share: an encoder with what lies behind it while it learns, and their scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from common.data.cases import Batch
from common.learning.device import exact_copy, home
from common.learning.judging import numbers_of
from common.selfsupervision.health import presented_health, sketched
from common.sums.mean import Mean, means_of

ANSWERED = ("losses", "trivial", "features")


class Pretraining(nn.Module):
    """(N, ...) inputs -> (N, F) features of the encoder. Further parts are a task's own, and set by name."""

    def __init__(self, encoder: nn.Module, **parts: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, inputs: Tensor) -> Tensor:
        """Features."""
        features: Tensor = self.encoder(inputs)
        return features


class Unlabelled:
    """Members that every task without labels has.

    Scores: explained, 1 - loss / what the loss is where nothing was learned (`trivial`), means over cases; loss;
    effective_rank and spread of features, see `common.selfsupervision.health`.
    """

    headline: ClassVar[str] = "explained"
    unlabelled: ClassVar[bool] = True
    watched: ClassVar[tuple[str, ...]] = ("spread",)

    def presented(self, scores: Mapping[str, float | None]) -> Mapping[str, float | None]:
        """Rank and spread in the place of sums of features."""
        return presented_health(scores)

    def predict(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """(N, F) float32: the encoder's features."""
        features: Tensor = network(inputs).float()
        return features

    def label_space(self, shape: object) -> tuple[int, ...]:
        """None."""
        return (0,)

    def target_form(self, shape: object) -> tuple[int, ...]:
        """Targets are not looked at."""
        return ()

    def meaning(self, value: str) -> str:
        """Of the network's answer."""
        return "features of the image, as the encoder learned them without labels; they have no unit"


class CaseByCase(Unlabelled):
    """And of those whose scores are means of a number a case: a task says how it answers, `answered`."""

    def answered(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """As `answer` makes it, of views, masks or crops that follow from each case alone."""
        raise NotImplementedError

    def judged_each(self, answered: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Each case's part in the scores."""
        losses, explained = answered["losses"], 1 - answered["losses"] / answered["trivial"]
        beside = {name: values for name, values in answered.items() if name not in ANSWERED}
        return {
            "explained": explained.float(),
            "loss": losses.float(),
            **sketched(answered["features"], **beside),
        }

    def score(self, network: nn.Module, batch: Batch) -> Mapping[str, Mean]:
        """Means over cases."""
        return means_of(numbers_of(self.judged_each(self.answered(network, batch))))


def answer(losses: Tensor, trivial: float | Tensor, features: Tensor, **beside: Tensor) -> dict[str, Tensor]:
    """What scores are made of. losses: (N,) float64. trivial: what they are where nothing was learned. beside:
    (N, F) what else is answered and must differ from case to case: a task that hands on `projection` is `watched` by
    `projection_spread`.
    """
    known = trivial if isinstance(trivial, Tensor) else torch.full_like(losses, trivial)
    return {"losses": losses, "trivial": known, "features": features, **beside}


def one_by_one(module: nn.Module, images: Tensor, views: int) -> Tensor:
    """What a module answers to so many views, one below the other, each asked about by itself.

    Measured on one CPU thread with 128 images of 28 x 28: a tenth sooner than all at once, for less falls out of the
    cache.
    """
    return torch.cat([module(part) for part in images.chunk(views)])


def exactly(network: nn.Module, inputs: Tensor) -> tuple[nn.Module, Tensor]:
    """The network and inputs in float64, as in classification, for the same reason."""
    exact = exact_copy(network)
    with torch.no_grad():
        return exact, inputs.to(home(exact)).double()
