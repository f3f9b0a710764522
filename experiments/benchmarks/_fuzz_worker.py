"""One reader in a process of its own, so that an abort is counted, and the next input is tried in a new process."""

from __future__ import annotations

import logging
import multiprocessing
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random
from time import monotonic, process_time_ns
from typing import Any
from zlib import crc32

from common.errors import WireError
from experiments.benchmarks._fuzz_decoders import Case, decoder
from experiments.benchmarks._fuzz_inputs import Input, changed

LONGEST_S, POLL_S = 60.0, 0.2
"""Of one input; between looks at the process."""
_NEXT, _TAKEN, _WRONG, _BASE, _PEAK, _CPU_NS, _COUNTERS = range(7)


@dataclass(frozen=True)
class Outcome:
    """What came of a reader's inputs. cpu_s: of them alone. fault: the first wrong exception, or where it ended."""

    name: str
    inputs: int
    taken: int
    wrong: int
    aborted: int
    hung: int
    grown_bytes: int
    cpu_s: float
    fault: str

    @property
    def refused(self) -> int:
        """With a reason."""
        return self.inputs - self.taken - self.wrong - self.aborted - self.hung


def fuzzed(name: str, seed: int, inputs: int, advance: Callable[[int], None] = lambda _: None) -> Outcome:
    """All inputs of one reader, in as many processes as it ends."""
    context = _context()
    counters, fault = context.Array("q", _COUNTERS, lock=False), context.Array("c", 200, lock=False)
    aborted = hung = 0
    while counters[_NEXT] < inputs:
        process = context.Process(target=_work, args=(name, seed, inputs, counters, fault), daemon=True)
        process.start()
        if not _watched(process, counters, advance):
            hung += 1
        elif process.exitcode:
            aborted += 1
        else:
            break
        fault.value = fault.value or f"input {counters[_NEXT]}: exit status {process.exitcode}".encode()
        counters[_NEXT] += 1
    grown = max(0, counters[_PEAK] - counters[_BASE])
    found = (counters[_TAKEN], counters[_WRONG], aborted, hung, grown)
    return Outcome(name, inputs, *found, counters[_CPU_NS] / 1e9, fault.value.decode())


def _context() -> Any:
    """A fork server that imported everything once, where there is one."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def input_of(cases: Sequence[Case], name: str, seed: int, number: int) -> tuple[Case, Input]:
    """The reader and the input of a number."""
    rng = Random(f"{seed}/{crc32(name.encode())}/{number}")
    case = rng.choice(cases)
    return case, changed(rng.choice(case.samples), rng.choice(case.samples), rng)


def _watched(process: BaseProcess, counters: Any, advance: Callable[[int], None]) -> bool:
    """Wait for it; False where one input took too long and it was ended."""
    at, since = counters[_NEXT], monotonic()
    while process.is_alive():
        process.join(POLL_S)
        if counters[_NEXT] > at:
            advance(counters[_NEXT] - at)
            at, since = counters[_NEXT], monotonic()
        elif monotonic() - since > LONGEST_S:
            process.kill()
            process.join()
            return False
    advance(counters[_NEXT] - at)
    return True


def _work(name: str, seed: int, inputs: int, counters: Any, fault: Any) -> None:
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    cases = decoder(name).cases()
    for case in cases:
        for sample in case.samples:
            _read(case, sample)
    if not counters[_BASE]:
        counters[_BASE] = _peak_bytes()
    begin, before = process_time_ns(), counters[_CPU_NS]
    while counters[_NEXT] < inputs:
        taken, wrong = _read(*input_of(cases, name, seed, counters[_NEXT]))
        counters[_TAKEN] += taken
        counters[_WRONG] += bool(wrong)
        if wrong and not fault.value:
            fault.value = f"input {counters[_NEXT]}: {wrong}"[:190].encode()
        counters[_NEXT] += 1
        counters[_CPU_NS] = before + process_time_ns() - begin
    counters[_PEAK] = max(counters[_PEAK], _peak_bytes())


def _read(case: Case, given: Input) -> tuple[bool, str]:
    """Whether it was taken, and the kind of exception where it was a wrong one."""
    try:
        return case.read(given), ""
    except WireError:
        return False, ""
    except Exception as error:  # noqa: BLE001 - any other kind is what is looked for
        return False, type(error).__name__


def _peak_bytes() -> int:
    """Of this process since it began, as Linux says; 0 elsewhere."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.exists() else []
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:")), 0)
