"""1,000,000 values of 10 hospitals summed under encryption, beside TenSEAL's tutorial and NVFlare's settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from time import process_time

import numpy as np
from rich.console import Console
from rich.progress import Progress

from common.sums.aggregation import Aggregation
from common.sums.aggregations._agreement import Agreement
from common.sums.aggregations._distributed_key import new_secret
from common.sums.aggregations._distributed_sum import _Form
from common.sums.aggregations.bfv import Bfv
from common.sums.aggregations.ckks import Ckks
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._sums import TrainedValues, least, work, worked
from experiments.benchmarks._tenseal_sums import NVFLARE, TUTORIAL, Settings, ckks_sum
from experiments.engines._loopback_exchange import expected_of

HOSPITALS, VALUES, WARMING_VALUES, REPEATS = 10, 1_000_000, 20_000, 3
EXPANSION, TIMES_LESS, LARGEST_ERROR = 1.05, 10.0, 1e-6
DISTRIBUTED, TENSEALS = "ours, bfv distributed", "TenSEAL, tutorial"
NOBODY, EACH_OTHER = "nobody", "hospitals, with the server"


@dataclass(frozen=True)
class Way:
    """seconds are CPU; encrypt_s: of one hospital; add_s: for each hospital; client_s: one hospital, all legs."""

    readers: str
    client_s: float
    encrypt_s: float
    add_s: float
    decrypt_s: float
    sent_bytes: float
    error: float


def measure(console: Console) -> Measured:
    """All in this process, with one thread."""
    values = work(HOSPITALS, VALUES)
    ways: dict[str, Callable[[], Way]] = {
        DISTRIBUTED: partial(_distributed, Bfv(), values),
        "ours, bfv shared key": partial(_shared, Bfv(keys="shared"), values),
        "ours, ckks economical": partial(_shared, Ckks(mode="economical"), values),
        "ours, ckks tutorial": partial(_shared, Ckks(), values, 1),
        TENSEALS: partial(_tenseals, TUTORIAL, values),
        "NVFlare's settings": partial(_tenseals, NVFLARE, values),
    }
    found = {}
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("sums", total=len(ways))
        for name, way in ways.items():
            progress.update(bar, description=name)
            found[name] = way()
            progress.advance(bar)
    rows = [_row(name, one, found[DISTRIBUTED]) for name, one in found.items()]
    return Measured("Sums under encryption", rows, _targets(found), NOTES)


NOTES = (
    f"{VALUES:,} float32 of {HOSPITALS} hospitals, uniform within 0.9, weights of 100 to 999. CPU of one thread.",
    "can be read by: whom a hospital must trust with its own update, beside itself.",
    "encrypt: ours, all that a hospital does when its training is over, from float32 to the bytes of "
    "its reply; the others, from float32 to serialised CKKSVectors of 4096 values. ratio: of these.",
    "client: ours, all legs, keys and shares included. add: from one hospital's bytes to the sum. decrypt: the sum; "
    "with distributed keys the server's work, else a hospital's.",
    "expansion: all bytes that a hospital sends to 4 bytes a value. error: the largest of the weighted mean's, "
    "against float64.",
    "TenSEAL, tutorial and NVFlare's settings: TenSEAL used directly with N = 8192, a scale of 2^40 and primes of "
    "[60, 40, 40, 60] and [60, 40, 40] bits; NVFlare itself is not run.",
)


def _distributed(aggregation: Bfv, values: TrainedValues) -> Way:
    worked(aggregation, work(HOSPITALS, WARMING_VALUES))
    done = least([worked(aggregation, values) for _ in range(REPEATS)])
    decrypt_s = _decrypt_s(aggregation, values)
    add_s = (done.server_s - decrypt_s) / HOSPITALS
    return Way(NOBODY, done.client_ms / 1e3, done.client_s["round"], add_s, decrypt_s, done.sent_bytes, done.error)


def _decrypt_s(aggregation: Bfv, values: TrainedValues) -> float:
    """Of a sum of the same size, by itself."""
    expected = expected_of(values.updates)
    form = _Form.of(aggregation._distributed, Agreement.of(frozenset(values.sites), expected))
    seconds = []
    for _ in range(REPEATS):
        total = np.zeros(form.coefficients, np.uint64)
        begin = process_time()
        form.decrypted(total, new_secret(), b"any")
        seconds.append(process_time() - begin)
    return min(seconds)


def _shared(aggregation: Aggregation, values: TrainedValues, repeats: int = REPEATS) -> Way:
    worked(aggregation, work(HOSPITALS, WARMING_VALUES))
    done = least([worked(aggregation, values) for _ in range(repeats)])
    # One hospital makes the key and one decrypts, so that a mean over all is multiplied.
    decrypt_s = done.client_s["decrypt"] * HOSPITALS
    client_s, encrypt_s = done.client_ms / 1e3, done.client_s["round"]
    return Way(EACH_OTHER, client_s, encrypt_s, done.server_s / HOSPITALS, decrypt_s, done.sent_bytes, done.error)


def _tenseals(settings: Settings, values: TrainedValues) -> Way:
    total_weight = sum(values.weights.values())
    scaled = {site: one * np.float32(values.weights[site] / total_weight) for site, one in values.values.items()}
    done = ckks_sum(settings, scaled)
    error = values.largest_error(done.total, values.sites)
    return Way(EACH_OTHER, done.encrypt_s, done.encrypt_s, done.add_s, done.decrypt_s, done.sent_bytes, error)


def _row(name: str, one: Way, first: Way) -> dict[str, Cell]:
    return {
        "way": name,
        "can be read by": one.readers,
        "encrypt ms": one.encrypt_s * 1e3,
        "ratio": one.encrypt_s / first.encrypt_s,
        "client ms": one.client_s * 1e3,
        "add ms": one.add_s * 1e3,
        "decrypt ms": one.decrypt_s * 1e3,
        "expansion": one.sent_bytes / (4 * VALUES),
        "error": one.error,
    }


def _targets(found: Mapping[str, Way]) -> list[Target]:
    ours, tutorial = found[DISTRIBUTED], found[TENSEALS]
    expansion, peer = ours.sent_bytes / (4 * VALUES), tutorial.sent_bytes / (4 * VALUES)
    less = tutorial.encrypt_s / ours.encrypt_s
    floor = (Bfv().value_bits + (HOSPITALS - 1).bit_length()) / 32
    within = ours.error <= LARGEST_ERROR
    return [
        Target("expansion", expansion, peer, floor, f"at most {EXPANSION:g}", expansion <= EXPANSION),
        Target("CPU to encrypt, times less", less, 1.0, None, f"{TIMES_LESS:g} x", less >= TIMES_LESS),
        Target("error of the mean", ours.error, tutorial.error, None, f"at most {LARGEST_ERROR:g}", within),
    ]


benchmark: Benchmark = measure
