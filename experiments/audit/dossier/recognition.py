"""Beside what attacks reached: what none can exceed (`common.privacy.reconstruction_bound`), hospital by hospital."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from common.errors import FileError, StudyError
from common.files.json_files import read_table
from common.privacy.reconstruction_bound import success_bounds
from common.privacy.release import Release
from experiments.audit.dossier.sheet import Recognition
from experiments.audit.records import Claim, Trial
from server.privacy_recount import counted
from server.privacy_spent import releases_of

AMONG = (2, 10, 100)
UNITS = {"patient": "patient", "sample": "single case", "hospital": "hospital"}


def recognitions(folder: Path, claim: Claim, trials: Sequence[Trial]) -> tuple[Recognition, ...]:
    """Of everything that each hospital was charged for; () where no epsilon was promised.

    Among 2, 10 and 100 units, and among as many as the attacks compared with.
    """
    if not claim.epsilon:
        return ()
    sites = counted(read_table(folder, "privacy.json"), folder).get("sites", {})
    try:
        spent = {site: _all_of(sites[site]) for site in sorted(sites)}
    except (AttributeError, LookupError, TypeError, ValueError, StudyError) as error:
        raise FileError(folder / "privacy.json", "does not say what every hospital let out") from error
    among = sorted({*AMONG, *_compared(claim, trials)})
    known = {releases: success_bounds(releases, [1 / many for many in among]) for releases in set(spent.values())}
    return tuple(
        Recognition(site, UNITS[claim.unit], many, bound if bound < 1 else None)
        for site, releases in spent.items()
        for many, bound in zip(among, known[releases], strict=True)
    )


def _all_of(spent: Mapping[str, Any]) -> tuple[Release, ...]:
    """Of all rounds that a hospital was charged for."""
    rounds = int(spent["rounds"])
    return tuple(replace(one, steps=one.steps * rounds) for one in releases_of(spent)) if rounds else ()


def _compared(claim: Claim, trials: Sequence[Trial]) -> set[int]:
    """How many patients what came back was compared with; hospitals and cases are not what those count."""
    if claim.unit != "patient":
        return set()
    return {one.among for trial in trials for one in trial.rebuilt if one.among > 1}


def in_words(found: Sequence[Recognition], claim: Claim) -> str:
    """The weakest hospital's bound at the largest crowd, in a sentence for people."""
    if not found:
        return "Nothing bounds what a better attack could do: no epsilon was promised."
    most = max(one.among for one in found)
    worst = max((one for one in found if one.among == most), key=lambda one: 1.0 if one.bound is None else one.bound)
    if worst.bound is None:
        return f"The noise bounds nothing here: no chance below 1 can be said to recognise a {worst.unit}."
    return (
        f"No attack, however clever, that knows everything but one {worst.unit} picks the right one out of {most:,} "
        f"with a chance above {_chance(worst.bound)}, where guessing has {_chance(1 / most)}{_towards(claim)}."
    )


def _towards(claim: Claim) -> str:
    said = "" if claim.binds_coordinator else "; the coordinator, which adds the noise itself, is not bound by it"
    if claim.unit == "sample":
        return f"{said}; a patient with several cases is hidden less, and how much less is not said here"
    if claim.unit == "hospital":
        return f"{said}; of single patients within a hospital nothing more is promised"
    return said


def _chance(value: float) -> str:
    """Two digits that count, as chances are compared by their ratio."""
    return f"{100 * value:.2g} %" if value < 0.995 else "99 %"
