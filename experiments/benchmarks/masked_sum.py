"""1,000,000 values of 10 hospitals summed under masks, with 0, 1 and 3 dropouts, beside Flower's SecAgg+."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from statistics import fmean
from time import process_time

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from rich.console import Console
from rich.progress import Progress

from common.data.cases import SiteId
from common.sums.aggregations._transcript import order
from common.sums.aggregations.secagg import SecureAggregation
from common.sums.exchange import Payload
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._flower_sums import secagg_plus
from experiments.benchmarks._sums import Outcome, TrainedValues, least, work, worked

HOSPITALS, VALUES, REPEATS = 10, 1_000_000, 4
DROPOUTS = (0, 1, 3)
TIMES_LESS, LARGEST_ERROR = 10.0, 1e-6
RATIOS = {24: 1.05, 20: 0.8, 16: 0.8}
TIMED = (24, 20)
"""Bits of a value in four bytes, and the most that three hold of ten hospitals' sum."""
FLOWERS_DEFAULT, SAME_RANGE = 8.0, 1.0
BLOCK_BYTES = 1 << 18


def measure(console: Console) -> Measured:
    """Both in this process, both with their own functions throughout."""
    values = work(HOSPITALS, VALUES)
    ways: dict[str, Callable[[Sequence[SiteId]], Outcome]] = {
        f"ours, {bits} bits": partial(worked, SecureAggregation(value_bits=bits), values) for bits in RATIOS
    }
    ways["Flower SecAgg+"] = partial(_flowers, values, FLOWERS_DEFAULT)
    ways["Flower SecAgg+, clipping 1"] = partial(_flowers, values, SAME_RANGE)
    found: dict[tuple[str, int], Outcome] = {}
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("rounds", total=REPEATS * len(DROPOUTS))
        for dropouts in DROPOUTS:
            outcomes: dict[str, list[Outcome]] = {name: [] for name in ways}
            for _ in range(REPEATS):
                # In turn, so that what else the machine does falls on all alike.
                for name, way in ways.items():
                    outcomes[name].append(way(values.sites[:dropouts]))
                progress.advance(bar)
            found |= {(name, dropouts): least(several) for name, several in outcomes.items()}
    bound_ms = _bound_ms()
    rows = [_row(name, dropouts, found, bound_ms) for name, dropouts in found]
    return Measured("Sums under masks", rows, _targets(found, bound_ms), (*NOTES, _digest_note()))


NOTES = (
    f"{VALUES:,} float32 of {HOSPITALS} hospitals, full graph, uniform within 0.9, weights of 100 to 999; the least "
    f"of {REPEATS} rounds. Dropped hospitals fall silent when their masked values are due, the dearest moment.",
    "client: CPU of one hospital in all legs, mean over those that stayed, from the trained arrays to the bytes of "
    "its replies and back; ours signs keys and survivors as well. server: CPU of one round.",
    "Flower: SecAggPlusWorkflow's stages, secaggplus_mod and the records of a NumPy client's arrays. Neither side's "
    "messages are packed for the wire in what is counted. clipping 1: our range of values, its default being 8.",
    "bytes ratio: of all replies of a hospital, as serialised, to 4 bytes a value. bound: the keystream of a "
    "hospital's masks alone (AES-128-GCM, within the cache).",
    "error: the largest of the weighted mean's, against float64. Values of 20 bits have steps of 2e-6, of 16 bits of "
    "3e-5; of ten hospitals both travel in three bytes.",
)


def _flowers(values: TrainedValues, clipping_range: float, lost: Sequence[SiteId]) -> Outcome:
    numbers = {site: number for number, site in enumerate(values.sites, start=1)}
    done = secagg_plus(
        {numbers[site]: one for site, one in values.values.items()},
        {numbers[site]: weight for site, weight in values.weights.items()},
        [numbers[site] for site in lost],
        clipping_range,
    )
    stayed = [site for site in values.sites if site not in lost]
    return Outcome(
        {"all": fmean(done.client_s.values())},
        done.server_s,
        fmean(done.sent_bytes.values()),
        values.largest_error(done.mean, stayed),
    )


def _row(name: str, dropouts: int, found: Mapping[tuple[str, int], Outcome], bound_ms: float) -> dict[str, Cell]:
    one, first = found[name, dropouts], found["ours, 24 bits", dropouts]
    return {
        "way": name,
        "dropouts": dropouts,
        "client ms": one.client_ms,
        "ratio": one.client_ms / first.client_ms,
        "bound ms": bound_ms,
        "server ms": one.server_s * 1e3,
        "bytes ratio": one.sent_bytes / (4 * VALUES),
        "error": one.error,
    }


def _bound_ms() -> float:
    encryptor = Cipher(algorithms.AES128(bytes(16)), modes.GCM(bytes(12))).encryptor()
    nothing, place = bytes(BLOCK_BYTES), bytearray(BLOCK_BYTES)
    seconds = []
    for _ in range(REPEATS):
        begin = process_time()
        for _ in range(HOSPITALS * 4 * VALUES // BLOCK_BYTES):
            encryptor.update_into(nothing, place)
        seconds.append(process_time() - begin)
    return 1e3 * min(seconds)


def _digest_note() -> str:
    request = Payload(array=np.zeros(VALUES, np.float32))
    begin = process_time()
    for _ in range(REPEATS):
        order(request)
    spent_ms = 1e3 * (process_time() - begin) / REPEATS
    return (
        f"The orders of both hold no model. With one, a hospital of ours also digests it, {spent_ms:.2g} ms for as "
        "many values, so that hospitals notice where they were sent different ones; Flower's do not."
    )


def _targets(found: Mapping[tuple[str, int], Outcome], bound_ms: float) -> list[Target]:
    targets = []
    for bits, dropouts in product(TIMED, DROPOUTS):
        ours, flowers = found[f"ours, {bits} bits", dropouts], found["Flower SecAgg+", dropouts]
        less = flowers.client_ms / ours.client_ms
        name, words = (
            f"client CPU, times less, {bits} bits, {dropouts} dropouts",
            f"{TIMES_LESS:g} x less than Flower's",
        )
        targets.append(Target(name, less, 1.0, flowers.client_ms / bound_ms, words, less >= TIMES_LESS))
    for bits, most in RATIOS.items():
        ratio = max(found[f"ours, {bits} bits", dropouts].sent_bytes for dropouts in DROPOUTS) / (4 * VALUES)
        peer = found["Flower SecAgg+", 0].sent_bytes / (4 * VALUES)
        targets.append(
            Target(f"bytes ratio, {bits} bits", ratio, peer, bits / 32, f"at most {most:g}", ratio <= most)
        )
    error = max(found["ours, 24 bits", dropouts].error for dropouts in DROPOUTS)
    peer = max(found["Flower SecAgg+", dropouts].error for dropouts in DROPOUTS)
    words = f"at most {LARGEST_ERROR:g}"
    return [*targets, Target("error, 24 bits", error, peer, None, words, error <= LARGEST_ERROR)]


benchmark: Benchmark = measure
