"""The scanners of the phantom hospitals: five that exist by default, and more drawn from the seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from common.errors import StudyError


@dataclass(frozen=True)
class Scanner:
    """One machine and its protocol.

    inversion_time_ms: None without an inversion pulse. pixel_mm, slice_mm: acquired resolution. noise: standard
    deviation of each of the two receiver channels as a share of white matter's signal. bias: standard deviation of
    the logarithm of the coil's sensitivity over the head. motion_mm: how far the patient moves during the scan.
    """

    name: str
    field_t: float
    repetition_time_ms: float
    echo_time_ms: float
    inversion_time_ms: float | None
    pixel_mm: float
    slice_mm: float
    noise: float
    bias: float
    motion_mm: float = 0.0


SCANNERS: dict[str, Scanner] = {
    "ashford-general": Scanner("1.5 T T1 spin echo", 1.5, 500, 14, None, 1.7, 5.0, noise=0.05, bias=0.10),
    "brackwater-university": Scanner("3 T MPRAGE", 3.0, 2300, 3, 1100, 1.15, 1.2, noise=0.08, bias=0.20),
    "coldharbour-infirmary": Scanner("1.5 T thick T2", 1.5, 4500, 100, None, 2.3, 8.0, noise=0.10, bias=0.10),
    "dunmere-district": Scanner("0.5 T old noisy PD", 0.5, 2200, 25, None, 4.4, 6.0, noise=0.10, bias=0.06),
    "elmstow-clinic": Scanner("3 T FLAIR with motion", 3.0, 9000, 140, 2500, 2.3, 4.0, 0.08, 0.20, motion_mm=4.0),
}
"""Hospital to scanner; the hospitals are invented."""

T1_SCANNERS: dict[str, Scanner] = {
    "ashford-general": Scanner("1.5 T T1 spin echo", 1.5, 500, 14, None, 1.7, 5.0, noise=0.05, bias=0.10),
    "brackwater-university": Scanner("3 T MPRAGE", 3.0, 2300, 3, 1100, 1.15, 1.2, noise=0.08, bias=0.20),
    "coldharbour-infirmary": Scanner("1.5 T thick T1", 1.5, 650, 20, None, 2.3, 8.0, noise=0.08, bias=0.10),
    "dunmere-district": Scanner("0.5 T old noisy T1", 0.5, 400, 20, None, 3.2, 6.0, noise=0.10, bias=0.06),
    "elmstow-clinic": Scanner("3 T fast T1 with motion", 3.0, 1700, 4, 850, 1.9, 4.0, 0.10, 0.20, motion_mm=3.0),
}
"""The same hospitals where they all agreed on T1 weighting, each on its own machine and with its own times."""

PATIENTS = (40, 24, 32, 12, 20)
"""Of hospitals whose study does not say."""
PROTOCOLS = {"mixed": SCANNERS, "t1": T1_SCANNERS}


def site_names(count: int) -> tuple[str, ...]:
    """Names of `count` hospitals, sorted: those of the table, then numbered ones."""
    known = tuple(SCANNERS)[:count]
    width = len(str(count))
    return known + tuple(f"hospital-{number:0{width}d}" for number in range(len(known) + 1, count + 1))


def check_patients(patients: Sequence[int], hospitals: int) -> None:
    """Raise StudyError unless numbers of patients are above zero, and at most as many as there are hospitals."""
    if not patients or min(patients) < 1:
        raise StudyError(f"source.patients must list numbers above zero; it is {list(patients)}.")
    if len(patients) > hospitals and patients != PATIENTS:
        raise StudyError(
            f"source.patients lists {len(patients)} hospitals' numbers of patients; source.hospitals is {hospitals}."
        )


def scanner_of(site: str, rng: np.random.Generator, protocol: str = "mixed") -> Scanner:
    """The scanner of a hospital in the protocol's table, or one drawn from `rng` where the table has none."""
    table = PROTOCOLS[protocol]
    return table[site] if site in table else drawn(rng, protocol)


def drawn(rng: np.random.Generator, protocol: str = "mixed") -> Scanner:
    """One of the table's scanners made anew: times, resolution, noise and coil vary by a fifth."""
    table = PROTOCOLS[protocol]
    base = list(table.values())[int(rng.integers(len(table)))]
    repetition, echo, pixel, thickness, noise, bias = np.exp(0.2 * rng.uniform(-1, 1, 6)).tolist()
    return replace(
        base,
        name=f"drawn from {base.name}",
        repetition_time_ms=base.repetition_time_ms * repetition,
        echo_time_ms=base.echo_time_ms * echo,
        pixel_mm=base.pixel_mm * pixel,
        slice_mm=base.slice_mm * thickness,
        noise=base.noise * noise,
        bias=base.bias * bias,
    )
