"""McMahan's CNN: two 5x5 convolutions and a hidden layer of 512 units, 1,663,370 parameters on MNIST."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from common.cases import Shape
from common.networks._shapes import channels_of_image
from common.task import Network


@dataclass(frozen=True)
class McMahanCNN:
    """The convolutional network of McMahan et al. 2017, Communication-Efficient Learning, section 3. No options.

    5x5 convolutions of 32 and 64 channels, zero-padded to keep the size, each with ReLU and 2x2 max pooling;
    a hidden layer of 512 ReLU units; one output a class.
    """

    def build(self, shape: Shape) -> nn.Module:
        """(N, channels, H, W) float32 -> (N, classes) logits. Raises StudyError unless 4 divides H and W."""
        channels = channels_of_image("mcmahan_cnn", shape, divisor=4)
        height, width = shape.inputs[1:]
        return nn.Sequential(
            nn.Conv2d(channels, 32, 5, padding="same"),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 5, padding="same"),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(64 * (height // 4) * (width // 4), 512),
            nn.ReLU(),
            nn.Linear(512, shape.classes),
        )


network: type[Network] = McMahanCNN
