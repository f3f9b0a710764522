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

        Raises StudyError where the shape does not fit the network.
        """
        ...


class Task(Protocol):
    """A frozen dataclass of options in `common/learning/tasks/`; all methods are pure but for the network's state.

    What a task may have beside these members is in `common/learning/abilities.py`.
    """

    headline: ClassVar[str]
    """The score shown first; higher is better."""

    def build_network(self, shape: Shape) -> nn.Module:
        """A fresh network for cases of `shape`; see Network.build."""
        ...

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """(N,) float32: one loss a case, which depends on no other case of the batch unless the task `couples`."""
        ...

    def score(self, network: nn.Module, batch: Batch) -> Mapping[str, Mean]:
        """Mergeable scores, `headline` among them. All cases of a patient come in one batch."""
        ...

    def augment(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """The batch as it is trained on; the same batch where the task has no augmentation.

        Private training augments every case alone. Where a case's draws come from a generator of its own
        (`common.seeding.case_generators`), a case is shown alone as it is shown among others.
        """
        ...

    def predict(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """Class indices (N, ...) or displacement in voxels, int64; float32 where real numbers are learned."""
        ...
