"""The signal of a tissue in a scanner, by the spin-echo and inversion-recovery equations.

T1 at 1.5 T and its growth to 3 T: Wright et al. 2008 (MAGMA 21:121), white matter 646 and 838 ms, cortex 1197 and
1607, putamen 1084 and 1332. Fluid keeps its T1 of about 4.3 s (Rooney et al. 2007, MRM 57:308). T2: Stanisz et al.
2005 (MRM 54:507). Proton densities: BrainWeb (Collins et al. 1998, IEEE TMI 17:463). Bone, scalp and lesions are
round numbers in the range of the literature.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REFERENCE_FIELD_T = 1.5


@dataclass(frozen=True)
class Tissue:
    """proton_density: 1 is water. t1_ms: at 1.5 T. t1_growth: T1 goes as (field / 1.5 T) to this power."""

    proton_density: float
    t1_ms: float
    t1_growth: float
    t2_ms: float

    def t1_at(self, field_t: float) -> float:
        """T1 in ms at a field strength (a power law: Bottomley et al. 1984)."""
        return self.t1_ms * math.pow(field_t / REFERENCE_FIELD_T, self.t1_growth)


TISSUES = (
    Tissue(proton_density=0.0, t1_ms=1.0, t1_growth=0.0, t2_ms=1.0),
    Tissue(proton_density=1.0, t1_ms=4300.0, t1_growth=0.0, t2_ms=2000.0),
    Tissue(proton_density=0.86, t1_ms=1197.0, t1_growth=0.425, t2_ms=95.0),
    Tissue(proton_density=0.77, t1_ms=646.0, t1_growth=0.375, t2_ms=72.0),
    Tissue(proton_density=0.82, t1_ms=1084.0, t1_growth=0.297, t2_ms=82.0),
    Tissue(proton_density=0.08, t1_ms=500.0, t1_growth=0.1, t2_ms=30.0),
    Tissue(proton_density=0.4, t1_ms=350.0, t1_growth=0.2, t2_ms=60.0),
    Tissue(proton_density=0.92, t1_ms=1400.0, t1_growth=0.4, t2_ms=180.0),
)
"""In the order of the atlas' labels: air, CSF, grey, white, deep grey, bone, scalp, lesion."""


def spin_echo(
    proton_density: float, t1_ms: float, t2_ms: float, repetition_time_ms: float, echo_time_ms: float
) -> float:
    """S = PD (1 - exp(-TR / T1)) exp(-TE / T2), for TE much shorter than TR."""
    recovered = 1 - np.exp(-repetition_time_ms / t1_ms)
    return float(proton_density * recovered * np.exp(-echo_time_ms / t2_ms))


def inversion_recovery(
    proton_density: float,
    t1_ms: float,
    t2_ms: float,
    repetition_time_ms: float,
    echo_time_ms: float,
    inversion_time_ms: float,
) -> float:
    """S = PD |1 - 2 exp(-TI / T1) + exp(-TR / T1)| exp(-TE / T2): the magnitude, as scanners show it.

    Also stands for MPRAGE, whose read-out train this leaves out.
    """
    recovered = 1 - 2 * np.exp(-inversion_time_ms / t1_ms) + np.exp(-repetition_time_ms / t1_ms)
    return float(proton_density * abs(recovered) * np.exp(-echo_time_ms / t2_ms))


def varied(rng: np.random.Generator, spread: float) -> tuple[Tissue, ...]:
    """One patient's tissues: every PD, T1 and T2 times exp(N(0, spread^2))."""
    factors = np.exp(spread * rng.standard_normal((len(TISSUES), 3)))
    return tuple(
        Tissue(tissue.proton_density * pd, tissue.t1_ms * t1, tissue.t1_growth, tissue.t2_ms * t2)
        for tissue, (pd, t1, t2) in zip(TISSUES, factors.tolist(), strict=True)
    )


def signals(
    tissues: tuple[Tissue, ...],
    field_t: float,
    repetition_time_ms: float,
    echo_time_ms: float,
    inversion_time_ms: float | None,
) -> NDArray[np.float32]:
    """(tissues,) float32: what each tissue gives in one sequence; no inversion where its time is None."""
    times = (repetition_time_ms, echo_time_ms)
    values = []
    for tissue in tissues:
        own = (tissue.proton_density, tissue.t1_at(field_t), tissue.t2_ms)
        if inversion_time_ms is None:
            values.append(spin_echo(*own, *times))
        else:
            values.append(inversion_recovery(*own, *times, inversion_time_ms))
    return np.array(values, np.float32)
