"""What charges of every unit cost a patient, and which patients have spent alike.

Limits are per patient, so every release is turned into one about patients that is at least as costly:

*patient*: as it is.

*sample*, of a patient with k cases. None of them is in a step's sum with chance (1 - q)^k, and then the sum does not
know the patient; else it is moved by at most k sensitivities. So its output is (1 - p) P + p Q against P, with
p = 1 - (1 - q)^k and P, Q mixtures, over the same samples of all others, of Gaussians at most k sensitivities apart.
Hockey-stick divergences of (1 - p) P + p Q from P and back are those of Q from P at another level (Balle, Barthe,
Gaboardi 2018, "Privacy amplification by subsampling", theorem 2), which by joint convexity are at most those of two
Gaussians k sensitivities apart. That is a release of noise_multiplier / k and sampling_rate p.

*hospital*. Taking a patient away changes the hospital's update into another, and both are clipped: the sum moves by
at most two sensitivities, as by the exchange of one hospital for another. That is a release of noise_multiplier / 2
without sampling. It counts what readers of the models learn: the noise is the coordinator's, and towards the
coordinator itself there is none to count.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from client._ledger_entry import LedgerEntry
from common.privacy.release import Release, Unit

PatientSet = Mapping[str, int]
"""Number of cases by what stands for the patient."""

History = tuple[Release, ...]
"""All that was released of a patient; equal releases are one with more steps; sorted, so that like is equal."""

HOSPITALS_EXCHANGED = 2


def for_patient(release: Release, unit: Unit, cases: int) -> Release:
    """`release` about units, as one about a patient with so many of the hospital's training cases."""
    if unit == "hospital":
        return replace(release, noise_multiplier=release.noise_multiplier / HOSPITALS_EXCHANGED, sampling_rate=1.0)
    if unit == "patient" or cases == 1:
        return release
    rate = max(release.sampling_rate, 1 - (1 - release.sampling_rate) ** cases)
    return replace(release, noise_multiplier=release.noise_multiplier / cases, sampling_rate=rate)


def histories(
    entries: Iterable[LedgerEntry], sets: Mapping[str, PatientSet], among: Iterable[str] | None = None
) -> dict[History, int]:
    """How many patients share each history. among: count these patients only, also where nothing was spent yet."""
    by_set: dict[str, list[LedgerEntry]] = defaultdict(list)
    for entry in entries:
        if entry.kind == "charge":
            by_set[entry.patients].append(entry)
    memberships: dict[str, list[tuple[str, int]]] = {patient: [] for patient in among or ()}
    for name in sorted(by_set):
        for patient, cases in sets[name].items():
            if among is None:
                memberships.setdefault(patient, [])
            if patient in memberships:
                memberships[patient].append((name, cases))
    counted: Counter[History] = Counter()
    for alike, patients in Counter(map(tuple, memberships.values())).items():
        counted[_history((entry, cases) for name, cases in alike for entry in by_set[name])] += patients
    return dict(counted)


def _history(charges: Iterable[tuple[LedgerEntry, int]]) -> History:
    steps: Counter[Release] = Counter()
    for entry, cases in charges:
        for release in entry.releases:
            one = for_patient(release, entry.unit, cases)
            steps[replace(one, steps=1)] += one.steps
    merged = [replace(one, steps=count) for one, count in steps.items()]
    return tuple(sorted(merged, key=lambda one: (one.noise, one.noise_multiplier, one.sampling_rate)))
