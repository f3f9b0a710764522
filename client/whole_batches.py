"""How a batch passes the network: in pieces of bounded memory, or whole where the loss compares its cases."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from common.data.cases import Cases
from common.errors import HospitalError
from common.learning.abilities import couples
from common.learning.task import Task
from common.study.task_checks import MOST_COUPLED_CASES

MOST_COUPLED_VALUES = 1 << 26
"""Of the inputs of one batch that cannot be cut: 256 MiB of them."""


def pieces(task: Task, cases: Cases, indices: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    """The indices in pieces of at most `size`, or all at once where the task couples them.

    Raises HospitalError, with a batch size that fits, where so many cannot pass the network at once.
    """
    if not couples(task):
        yield from (indices[start : start + size] for start in range(0, len(indices), size))
        return
    most = min(MOST_COUPLED_CASES, max(1, MOST_COUPLED_VALUES // max(1, cases.most_values)))
    if len(indices) > most:
        raise HospitalError(
            f"a step takes {len(indices)} cases, and the task compares them with each other, so that they must pass "
            f"the network at once; at most {most} of this size can. Set training.batch_size = {most} or less."
        )
    yield indices
