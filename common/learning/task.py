"""The role of a task: what is learned, from a network to its score. Entries live in `common/learning/tasks/`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Protocol

from common.sums.mean import Mean

if TYPE_CHECKING:  # a study is read, and a report written, without torch
    import numpy as np
    from torch import Tensor, nn

    from common.data.cases import Batch, Shape


class Network(Protocol):
    """A frozen dataclass of options in `common/learning/networks/` that builds a network for a shape."""

    def build(self, shape: Shape) -> nn.Module:
        """A fresh network. Its random initialisation draws from torch's global generator, which the caller seeds.

        Args:
            shape: of one case's inputs, and how many classes there are.

        Returns:
            A module from (N, *shape.inputs) float32 to what the task makes of it.

        Raises:
            StudyError: the shape does not fit the network.
        """
        ...


class Task(Protocol):
    """A frozen dataclass of options in `common/learning/tasks/`; all methods are pure but for the network's state.

    What a task may have beside these members is in `common/learning/abilities.py`.
    """

    headline: ClassVar[str]
    """The score shown first; higher is better."""

    def build_network(self, shape: Shape) -> nn.Module:
        """A fresh network for cases of a shape.

        Args:
            shape: of one case's inputs, and how many classes there are.

        Returns:
            As `Network.build`.

        Raises:
            StudyError: the shape does not fit the task or its network.
        """
        ...

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """One loss a case, since privacy and the audit need each by itself.

        Args:
            network: as `build_network` made it.
            batch: N cases: inputs (N, ...) float32, targets (N, ...).

        Returns:
            (N,) float32, differentiable by the network's parameters. A case's depends on no other case of the batch
            unless the task `couples`.
        """
        ...

    def score(self, network: nn.Module, batch: Batch) -> Mapping[str, Mean]:
        """Scores that add up over hospitals.

        Args:
            network: in evaluation mode, without gradients.
            batch: cases, all of a patient's in one batch.

        Returns:
            Means by name, `headline` among them.
        """
        ...

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """The batch as it is trained on; the same batch where the task has no augmentation.

        Private training augments every case alone. Where a case's draws come from a generator of its own
        (`common.seeding.case_generators`), a case is shown alone as it is shown among others.

        Args:
            batch: N cases.
            rng: all draws come from it.

        Returns:
            N cases of the same shapes.
        """
        ...

    def predict(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """What the network says of cases.

        Args:
            network: in evaluation mode, without gradients.
            inputs: (N, *shape.inputs) float32.

        Returns:
            (N, ...) class indices, int64; where real numbers are learned those, float32, displacements in voxels.
        """
        ...
