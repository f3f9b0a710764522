"""What `wardround reconstruct` was asked, in words of the command line, and as entries with their options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from common.errors import StudyError
from common.study.catalogue import METHODS, OPERATORS, REGULARISERS
from common.study.checks import non_negative, positive
from common.study.options import Entry
from common.study.spelling import unknown
from common.study.study import override

FROM_DATA, DEEP, LEARNED = "from_data", "deep_image_prior", "learned"
PLAYED = ("plug_and_play", "falling_denoiser")
"""Methods whose prior is the denoiser of a run."""
BESIDE = {
    FROM_DATA: "an approximate inverse, the pseudo-inverse or the scaled adjoint: no prior",
    DEEP: "an untrained network, stopped before it fits noise",
    LEARNED: "the model of --run",
}
"""Methods that are no entries of the catalogue."""
QUADRATIC = ("closed_form", "conjugate_gradient")
"""Methods that solve nothing but squares."""
PARTS = ("operator", "method", "prior")


@dataclass(frozen=True)
class Asked:
    """As typed. noise, data_range: in the unit of the file. slices: which axis counts images, if one does."""

    given: Path
    operator: str | None = None
    settings: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    method: str | None = None
    prior: str | None = None
    weight: str = "auto"
    run: Path | None = None
    simulate: bool = False
    noise: float | None = None
    photons: float | None = None
    attenuation: float = 0.02
    phase: float = 1.5
    seed: int = 0
    size: str = ""
    slices: int | None = None
    truth: Path | None = None
    data_range: float | None = None
    dataset: str = ""
    at_least_zero: bool = False

    def __post_init__(self) -> None:
        positive("reconstruct", data_range=self.data_range, photons=self.photons, attenuation=self.attenuation)
        non_negative("reconstruct", noise=self.noise, phase=self.phase, seed=self.seed)
        if self.simulate and self.truth is not None:
            raise StudyError("--truth is of measured data; with --simulate the image that is measured is the truth.")
        if self.photons is not None and (self.noise is not None or not self.simulate):
            raise StudyError("--photons is of simulated data, in the place of --noise; give one of them.")
        if self.at_least_zero and self._measures_complex():
            raise StudyError("--at-least-zero is of real images; those of this operator are complex.")
        if self.operator is None and self.run is None:
            raise StudyError(f"--operator must say what was measured: {', '.join(OPERATORS.names())}.")
        if self.method == LEARNED and self.run is None:
            raise StudyError("method 'learned' needs --run, the folder of a run that learned to reconstruct.")

    @property
    def method_name(self) -> str:
        """What is asked for, or a run's model where there is one, or FISTA."""
        chosen = self.method or (LEARNED if self.run is not None else "fista")
        if chosen not in BESIDE and not METHODS.has(chosen):
            raise unknown("method", chosen, (*METHODS.names(), *BESIDE))
        return chosen

    @property
    def prior_name(self) -> str:
        """What is asked for, or total variation, or squares of differences where a method solves nothing else."""
        return self.prior or ("gradient" if self.method_name in QUADRATIC else "tv")

    def entry(self, part: str, name: str) -> Entry:
        """The operator, method or prior of this name with its options. Raises StudyError for what is set wrongly."""
        return Entry(name, {key: value for key, value in self._table()[part].items() if key != "name"})

    def build(self, part: str, name: str) -> Any:
        """The same, built and checked."""
        catalogue = {"operator": OPERATORS, "method": METHODS, "prior": REGULARISERS}[part]
        return catalogue.build(self.entry(part, name))

    def files(self) -> dict[str, str]:
        """`--parameter` name=FILE, by name."""
        found: dict[str, str] = {}
        for one in self.parameters:
            name, equals, place = one.partition("=")
            if not (equals and name and place):
                raise StudyError(f"--parameter takes name=FILE, such as mask=mask.npy; it was given {one!r}.")
            if name in found:
                raise StudyError(f"--parameter gives {name!r} twice: {found[name]!r} and {place!r}.")
            found[name] = place
        return found

    def sides(self) -> tuple[int, ...] | None:
        """`--size`, such as 128x128; None where it is not given."""
        if not self.size:
            return None
        parts = self.size.lower().replace(",", "x").split("x")
        if not all(part.strip().isdecimal() and 0 < int(part) < 1 << 16 for part in parts) or len(parts) not in (
            2,
            3,
        ):
            raise StudyError(
                f"--size takes the image's two or three sides, such as 128x128; it was given {self.size!r}."
            )
        return tuple(map(int, parts))

    def _measures_complex(self) -> bool:
        return self.operator is not None and bool(OPERATORS.load(self.operator).complex_images)

    def _table(self) -> Mapping[str, dict[str, Any]]:
        """A bare key is an option of the operator: --set acceleration=4, --set method.iterations=200."""
        table: dict[str, Any] = {part: {"name": ""} for part in PARTS}
        for one in self.settings:
            if "=" not in one:
                raise StudyError(f"--set takes key=value, such as acceleration=4; it was given {one!r}.")
            first, dot, _ = one.partition("=")[0].partition(".")
            first = first.strip()
            if dot and first not in PARTS and get_close_matches(first, PARTS, 1):
                raise unknown("part of --set", first, PARTS)
            override(table, one if first in PARTS else f"operator.{one}")
        return table
