"""What tasks without labels share: an encoder with what lies behind it while it learns, and their scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from common.learning.device import exact_copy, home
from common.selfsupervision.health import feature_sums, presented_health
from common.sums.mean import Mean


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


def pretraining_scores(
    losses: Tensor, trivial: float | Tensor, features: Tensor, **beside: Tensor
) -> dict[str, Mean]:
    """Scores of cases. losses: (N,) float64. trivial: the loss where nothing was learned, of all or of each. beside:
    (N, F) what else is answered and must differ from case to case: a task that hands on `projection` is `watched` by
    `projection_spread`.
    """
    explained = (1 - losses / trivial).float()
    sums = feature_sums(features, **beside)
    return {"explained": Mean.of(explained.tolist()), "loss": Mean.of(losses.float().tolist()), **sums}


def exactly(network: nn.Module, inputs: Tensor) -> tuple[nn.Module, Tensor]:
    """The network and inputs in float64, as in classification, for the same reason."""
    exact = exact_copy(network)
    with torch.no_grad():
        return exact, inputs.to(home(exact)).double()
