"""Every reader of what the other side sends, given a million inputs that no honest peer sends.

WARDROUND_FUZZ_INPUTS: how many inputs in all, 1,000,000 where it is not set; WARDROUND_FUZZ_SEED: 0. An input is made
of the seed, the reader's name and its own number alone, so that whatever is found can be made again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from rich.console import Console
from rich.progress import Progress

from common.wire._outline import LARGEST_OUTLINE
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._fuzz_decoders import DECODERS, LARGEST_ARRAY, LARGEST_DATA, PLANTED
from experiments.benchmarks._fuzz_worker import Outcome, fuzzed
from experiments.engine import usable_cores

INPUTS, LEAST_INPUTS, PLANTED_INPUTS = 1_000_000, 50, 12
LIMIT_BYTES = 4 * LARGEST_ARRAY + LARGEST_DATA + LARGEST_OUTLINE
"""The most that a message may hold in these trials."""
TIMES_THE_LIMIT = 4.0


def measure(console: Console) -> Measured:
    """As many readers at once as there are cores."""
    inputs = int(os.environ.get("WARDROUND_FUZZ_INPUTS", INPUTS))
    seed = int(os.environ.get("WARDROUND_FUZZ_SEED", "0"))
    counts = shares(inputs)
    with Progress(console=console, transient=True) as progress, ThreadPoolExecutor(usable_cores()) as pool:
        bar = progress.add_task("inputs", total=sum(counts.values()))
        step = partial(progress.advance, bar)
        found = list(pool.map(lambda name: fuzzed(name, seed, counts[name], step), counts))
    planted = fuzzed(PLANTED.name, seed, PLANTED_INPUTS)
    targets = [*_targets(found), _noticed(planted)]
    return Measured("Hostile messages", [_row(one) for one in found], targets, NOTES)


def shares(inputs: int) -> Mapping[str, int]:
    """How many inputs each reader gets, the slowest first, so that all cores end together."""
    whole = sum(one.share for one in DECODERS.values())
    names = sorted(DECODERS, key=lambda name: DECODERS[name].share)
    return {name: max(LEAST_INPUTS, round(inputs * DECODERS[name].share / whole)) for name in names}


NOTES = (
    "reader: of one side's messages by the other. A protocol's replies go through the coordinator's whole round, "
    "one of them changed; its requests through the hospital's own half.",
    "taken: still a valid message, or one that only makes a sum of other numbers. refused: with a reason in our own "
    "words, or its sender dropped by name.",
    "wrong: any other exception. aborted: the process ended. hung: more than a minute for one input.",
    f"memory: by how much the process' peak grew, in MiB; a message may hold {LIMIT_BYTES >> 20} MiB here.",
    "Inputs: random bytes; bits, lengths and fields of valid messages changed; parts of two messages; other types, "
    "huge counts and numbers that are not finite; messages made to become as many objects as they can.",
)


def _row(one: Outcome) -> dict[str, Cell]:
    return {
        "reader": one.name,
        "in": DECODERS[one.name].side,
        "inputs": one.inputs,
        "taken": one.taken,
        "refused": one.refused,
        "wrong": one.wrong,
        "aborted": one.aborted,
        "hung": one.hung,
        "memory": round(one.grown_bytes / (1 << 20), 1),
        "CPU ms an input": round(1e3 * one.cpu_s / one.inputs, 3),
        "first fault": one.fault or None,
    }


def _noticed(planted: Outcome) -> Target:
    seen = planted.wrong > 0 and planted.aborted > 0
    return Target("planted faults noticed", planted.wrong + planted.aborted, None, None, "of either kind", seen)


def _targets(found: Sequence[Outcome]) -> list[Target]:
    inputs = sum(one.inputs for one in found)
    ended = sum(one.aborted + one.hung for one in found)
    wrong = sum(one.wrong for one in found)
    memory = max(one.grown_bytes for one in found) / LIMIT_BYTES
    enough = inputs >= INPUTS
    return [
        Target("inputs", inputs, None, None, f"at least {INPUTS:,}", enough),
        Target("processes ended", ended, None, None, "0", ended == 0),
        Target("wrong exceptions", wrong, None, None, "0", wrong == 0),
        Target("memory, times the limit", memory, None, None, "at most 4", memory <= TIMES_THE_LIMIT),
    ]


benchmark: Benchmark = measure
