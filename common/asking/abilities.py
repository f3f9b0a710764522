"""What an analysis has beyond its role: members that are optional and declared."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from common.asking.maps import MapReading
    from common.learning.label_draw import LabelDraw

FEWEST_HOSPITALS = 1
SITE = "site"
"""Stands for a column that says at which hospital a row is."""


class AnalysisAbilities(Protocol):
    """The optional members. No analysis has all of them."""

    least_hospitals: ClassVar[int]
    """Fewest hospitals that it makes sense, or is safe, to ask together."""

    of_hospitals: bool
    """Whether it tells of single hospitals: which one a row is of then changes the answer, and a sum may be of one
    hospital alone. A property where its options decide."""

    without_noise: str
    """A sentence where noise is refused: why, and which analysis answers with it. One that does not say takes it."""

    most_rounds: int
    """How many queries it takes at most: noise is divided between them. One that does not say takes one."""

    compared: ClassVar[str]
    """The option that `by` fills, of one that shows groups side by side itself but can do without."""

    encoder: str
    """Whose features it reads: "start", of the encoder that the study begins from; "random", of an untrained one; "",
    of none. An option where it can be either."""

    maps: MapReading | None
    """Which maps of cases it reads, of the model that the study begins from; its `encoder` is then "start"."""

    images: ClassVar[bool]
    """Whether it reads measurements of training images, `common.asking.images`."""

    label_draw: LabelDraw | None
    """Which persons' labels it uses, where not all: the sums are of these alone. A property where options decide."""

    whole_hospitals: bool
    """Whether a hospital's part follows from all its rows together, as where each is a stratum of its own: then it
    does not fall apart into its patients' parts, and no noise makes it private. A property where its options decide.
    """


def least_hospitals_of(analysis: Any) -> int:
    """Fewest hospitals that may be asked together; 1 where the analysis does not say."""
    return int(getattr(analysis, "least_hospitals", FEWEST_HOSPITALS))


def of_hospitals(analysis: Any) -> bool:
    """Whether it tells of single hospitals: as it says, or else where one of its options names SITE as a column."""
    said = getattr(analysis, "of_hospitals", None)
    if said is not None:
        return bool(said)
    options = [getattr(analysis, one.name) for one in fields(analysis)] if is_dataclass(analysis) else []
    return any(one == SITE or (isinstance(one, tuple) and SITE in one) for one in options)


def compared_of(analysis: Any) -> str:
    """The option that `by` fills though it may be left out; "" where groups are answered one by one."""
    return str(getattr(analysis, "compared", ""))


def most_rounds_of(analysis: Any) -> int:
    """How many queries it takes at most, as far as noise is concerned; 1 where the analysis does not say."""
    return int(getattr(analysis, "most_rounds", 1))


def whole_hospitals(analysis: Any) -> bool:
    """Whether a hospital's part is no sum over its persons; not, where the analysis does not say."""
    return bool(getattr(analysis, "whole_hospitals", False))


def without_noise_of(analysis: Any) -> str:
    """Why it is never asked with noise; empty where it may be."""
    return str(getattr(analysis, "without_noise", ""))


def encoder_read(analysis: Any) -> str:
    """Whose features it reads; "" for most, which read none."""
    return str(getattr(analysis, "encoder", ""))


def maps_read(analysis: Any) -> MapReading | None:
    """Which maps it reads; None for most."""
    found: MapReading | None = getattr(analysis, "maps", None)
    return found


def reads_images(analysis: Any) -> bool:
    """Whether it reads measurements of images; not, where the analysis does not say."""
    return bool(getattr(analysis, "images", False))


def label_draw_of(analysis: Any) -> LabelDraw | None:
    """Whose labels it uses; None for all."""
    found: LabelDraw | None = getattr(analysis, "label_draw", None)
    return found
