"""A benchmark of your own: one table, against a peer or a bound that was measured in the same run."""

from functools import reduce
from time import process_time

import numpy as np
from rich.console import Console

from common.sums import Update
from experiments.benchmark import Benchmark, Cell, Measured, Target


def mine(console: Console) -> Measured:
    """CPU seconds to average 10 updates of 100,000 parameters, beside one copy of their memory."""
    updates = [Update((np.ones(100_000, np.float32),), 1.0) for _ in range(10)]
    begin = process_time()
    reduce(Update.__add__, updates).mean()
    averaged = process_time()
    for update in updates:
        update.vectors[0].astype(np.float64)
    copied = process_time()
    ours, bound = averaged - begin, copied - averaged
    rows: list[dict[str, Cell]] = [{"step": "average", "CPU s": ours}, {"step": "copy", "CPU s": bound}]
    return Measured("Averaging", rows, [Target("average", ours, None, bound, "under 100 copies", ours < 100 * bound)])


benchmark: Benchmark = mine
