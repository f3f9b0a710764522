"""Images of another source as a scanner would measure them: data y = A x + noise, with the image as truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from client.source import Source
from common.data.cases import Cases, SiteId
from common.data.pooled_statistics import Pooled
from common.errors import SourceError, StudyError
from common.reconstruction.imaging_operator import Operator
from common.reconstruction.noise import GaussianNoise, Noise, PhotonNoise
from common.reconstruction.packing import Layout
from common.reconstruction.phase import smooth_phase
from common.seeding import generator
from common.study.catalogue import OPERATORS, SOURCES
from common.study.checks import between, non_negative, positive
from common.study.options import Entry, options_of
from common.study.spelling import unknown


@dataclass(frozen=True)
class Acquired:
    """inputs: (N, P, *S) data and the operator's parameters of each case in planes, see
    `common.reconstruction.packing`; targets: (N, C, *S) the image that was measured.

    images: a source, whose labels are not used. operators: one for each of the hospitals in turn, in the order of
    their names, from the start again; all fill planes alike. noise: of the same hospitals in turn, standard deviation
    of what is added to each number of the data, where images go from 0 to 1. photons: in the place of `noise`, how
    many a detector counts without a body (Poisson), of line integrals. attenuation: of white over one pixel, for
    photons. phase: how far, in radians, the smooth phase of a complex image goes from zero; without it k-space is
    symmetric, and half of it measures all. channel: of the source's images. folder: of the images' source. members:
    names of those of its hospitals that take part; (): all. Each keeps its operator and noise, whoever takes part: a
    hospital that is left out can be measured as it is, and given a model that never saw its operator.

    Every person's images are scaled from their own least value, 0, to their own greatest, 1.
    """

    images: Entry
    operators: tuple[Entry, ...]
    noise: tuple[float, ...] = (0.0,)
    photons: tuple[float, ...] = ()
    attenuation: float = 0.02
    phase: float = 1.5
    channel: int = 0
    folder: str = ""
    members: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for index, deviation in enumerate(self.noise):
            non_negative("source 'acquired'", **{f"noise[{index}]": deviation})
        for index, photons in enumerate(self.photons):
            positive("source 'acquired'", **{f"photons[{index}]": photons})
        positive("source 'acquired'", attenuation=self.attenuation)
        if self.photons and any(self.noise):
            raise StudyError("source 'acquired'.photons and noise are two kinds of noise: give one of them.")
        between("source 'acquired'", 0, 1 << 16, channel=self.channel)
        between("source 'acquired'", 0.0, 100.0, phase=self.phase)
        self._source()
        if self.members and not self.has_sites:
            raise StudyError(
                "source 'acquired'.members names hospitals, and the source of the images does not say which is which."
            )
        for name, given in (("operators", self.operators), ("noise", self.noise)):
            if not given:
                raise StudyError(f"source 'acquired'.{name} must list one or more; it lists none.")
        if len({operator.complex_images for operator in self._operators()}) > 1:
            raise StudyError("source 'acquired'.operators must all measure complex images, or all real ones.")

    @property
    def has_sites(self) -> bool:
        """As the images' source."""
        return self._source().has_sites

    @property
    def pooled_statistics(self) -> tuple[Pooled, ...]:
        """Those of the images' source: what is drawn and scaled here follows from each person alone."""
        return tuple(getattr(self._source(), "pooled_statistics", ()))

    @property
    def persons(self) -> str:
        """As the images' source knows them."""
        return str(getattr(self._source(), "persons", "The source of the images does not say what a person is."))

    def sites(self) -> tuple[SiteId, ...]:
        """Of the images' source, those that take part."""
        known = self._source().sites()
        for name in self.members:
            if name not in known:
                raise unknown("hospital", name, known)
        return tuple(site for site in known if not self.members or site in self.members)

    def cases(self, site: SiteId | None, seed: int) -> Cases:
        """All cases of a hospital. Raises SourceError where the images do not fit the operator."""
        if site is not None and site not in self.sites():
            raise unknown("hospital", str(site), self.sites())
        held = self._source().cases(site, seed)
        at = 0 if site is None else self._source().sites().index(site)
        operators = self._operators()
        scan = _Scanner(operators[at % len(operators)], self._noise(at), self.phase)
        inputs, truth = self._acquired(held, scan, seed)
        kept = {name: column for name, column in held.columns.items() if name in KEPT}
        return replace(held, columns=kept, classes=()).with_columns(inputs=inputs, targets=truth)

    def _acquired(self, held: Cases, scan: _Scanner, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        images = held.inputs
        if images.ndim < 3 or images.shape[1] <= self.channel:
            raise SourceError(f"channel {self.channel} of the images is not there: they are {images.shape[1:]}.")
        self._demand_alike(tuple(images.shape[2:]))
        channel, persons = images[:, self.channel], held.patients
        scaled = _scaled(channel, persons)
        layout = _layout(scan.operator, images.shape[2:])
        cases = [
            scan.measured(layout, image, generator(seed, "acquired", person, nth))
            for image, (person, nth) in zip(scaled, _numbered(persons), strict=True)
        ]
        return np.stack([inputs for inputs, _ in cases]), np.stack([truth for _, truth in cases])

    def _demand_alike(self, sides: tuple[int, ...]) -> None:
        """Raise StudyError where a task that reads one operator's planes would misread another's."""
        layouts = [_layout(one, sides) for one in self._operators()]
        told = [{"data": one.measured_shape, **one.parameters} for one in layouts]
        for entry, other in zip(self.operators, told, strict=True):
            if other != told[0]:
                raise StudyError(
                    "source 'acquired'.operators must fill planes alike, since one task reads those of all "
                    f"hospitals: {self.operators[0].name!r} gives {told[0]} of an image of {sides}, and "
                    f"{entry.name!r} {other}. Give their options that say sizes, such as reach_pixels, one value."
                )

    def _noise(self, at: int) -> Noise:
        if self.photons:
            return PhotonNoise(self.photons[at % len(self.photons)], self.attenuation)
        return GaussianNoise(self.noise[at % len(self.noise)])

    def _source(self) -> Source:
        options = dict(self.images.options)
        if self.folder and "folder" in options_of(SOURCES.load(self.images.name)):
            options["folder"] = self.folder
        return cast(Source, SOURCES.build(Entry(self.images.name, options)))

    def _operators(self) -> list[Operator]:
        return [cast(Operator, OPERATORS.build(one)) for one in self.operators]


KEPT = ("inputs", "targets", "patients", "given_split", "spacing_mm", "affine", "site")
"""Columns of the images' source that a case keeps."""


@dataclass(frozen=True)
class _Scanner:
    """What one hospital measures with."""

    operator: Operator
    noise: Noise
    phase: float

    def measured(
        self, layout: Layout, image: NDArray[np.float32], rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Packed data of one image (*S) of values from 0 to 1, and the image (C, *S)."""
        truth = smooth_phase(image, self.phase, rng) if self.operator.complex_images else image[None]
        drawn = self.operator.draw(rng, truth.shape)
        parameters = {name: torch.from_numpy(np.asarray(values))[None] for name, values in drawn.items()}
        linear = self.operator.map(truth.shape, parameters)
        clean = linear.forward(torch.from_numpy(truth).double()[None])
        packed = layout.pack(self.noise.added(clean, linear, rng).float(), parameters)
        return packed[0].numpy(), truth


def _layout(operator: Operator, sides: tuple[int, ...]) -> Layout:
    """Of one channel of images, which has a phase where the operator measures complex ones."""
    return Layout.of(operator, (2 if operator.complex_images else 1, *sides))


def _numbered(persons: NDArray[np.str_]) -> Iterator[tuple[str, int]]:
    """Each case's person, and which of that person's cases it is."""
    seen: Counter[str] = Counter()
    for person in persons.tolist():
        yield person, seen[person]
        seen[person] += 1


def _scaled(images: NDArray[np.float32], persons: NDArray[np.str_]) -> NDArray[np.float32]:
    """From 0 to 1 over all images of each person."""
    scaled = np.zeros(images.shape, np.float32)
    for person in np.unique(persons):
        own = images[persons == person]
        low, high = float(own.min()), float(own.max())
        scaled[persons == person] = (own - low) / max(high - low, 1e-6)
    return scaled


source: type[Source] = Acquired
