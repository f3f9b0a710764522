"""A network of your own, for tables and images."""

from torch import Tensor, nn


class Mine(nn.Module):
    """features: numbers of an input, and classes: what to answer, follow from the cases. width: an option.

    A network for images asks for `channels` in the place of `features`. There is no batch normalisation, whose
    statistics mix patients: nn.GroupNorm does without.
    """

    def __init__(self, features: int, classes: int, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(features, width),
            nn.GroupNorm(1, width),
            nn.ReLU(),
            nn.Linear(width, classes),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, *inputs) float32 -> (N, classes) logits."""
        answer: Tensor = self.layers(inputs)
        return answer


network = Mine
