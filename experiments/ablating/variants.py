"""What of a study can be left out, one at a time, and the study without it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Literal, cast, get_args

import tomli_w

from client.hospital import open_hospital, site_names
from client.source import Source
from client.source_abilities import input_names
from common.errors import StudyError
from common.study.audit_settings import Audit
from common.study.catalogue import SOURCES
from common.study.checks import one_of
from common.study.spelling import unknown
from common.study.study import Baselines, Study, parse

SOURCE = "experiments.ablating.reduced"
Part = Literal["hospitals", "features", "regions"]
PARTS = get_args(Part)
FEWEST_LEFT = 2
"""Hospitals without which there is no federation."""


@dataclass(frozen=True)
class Variant:
    """part: of what kind it is. name: of what is left out, for a reader. options: of the source without it."""

    part: Part
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """parts: which kinds are left out, one after the other. groups: columns by the name of their group, which are
    left out together beside every column alone. grid: into how many blocks along each axis images are cut.
    """

    parts: tuple[Part, ...]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    grid: int = 3

    def __post_init__(self) -> None:
        for part in self.parts:
            one_of("leave out", PARTS, part=part)
        if not self.parts:
            raise StudyError(f"say what is left out: {', '.join(PARTS)}.")
        if self.groups and "features" not in self.parts:
            raise StudyError("groups are of a table's columns: leave out features.")
        if not 1 < self.grid <= 16:
            raise StudyError(f"a grid has 2 to 16 blocks along each axis; it is {self.grid}.")


def variants_of(study: Study, wanted: Wanted) -> tuple[Variant, ...]:
    """In the order of `wanted`. Raises StudyError where the study has nothing of the kind to leave out."""
    found: list[Variant] = []
    for part in wanted.parts:
        found += {"hospitals": _hospitals, "features": _features, "regions": _regions}[part](study, wanted)
    return tuple(found)


def without(study: Study, variant: Variant) -> Study:
    """The study with its cases reduced. Raises StudyError where it cannot be run so."""
    table = tomllib.loads(study.text)
    of, made = table.pop("source"), table.pop("partition", None)
    partition = {} if made is None else {"partition": made}
    table["source"] = {"name": SOURCE, "of": of, **partition, **variant.options}
    table.pop("plugins", None)
    return parse(tomli_w.dumps(table))


def seeded(study: Study, seed: int) -> Study:
    """The study of that seed, with nothing that an ablation does not look at."""
    plain = replace(study, seed=seed, baselines=Baselines(), fine_tuning=None)
    return replace(plain, audit=replace(study.audit, after_run=Audit().after_run))


def refuse_unfit(study: Study) -> None:
    """Raise StudyError where runs without something cannot be compared, or each would be paid for in privacy."""
    if study.privacy is not None:
        raise StudyError(
            f"every run would spend the epsilon of privacy {study.privacy.name!r} once more, and the promise would "
            "be of all together: ablate without [privacy], on public data or where the hospitals agree to that."
        )
    if not study.rounds:
        raise StudyError("rounds = 0 trains nothing: there is nothing to train again.")
    if study.engine in ("deployment", "nodes") or study.federation.roster:
        raise StudyError("each run is a study that every hospital approves: ablate in simulation.")
    if study.federation.withhold_test:
        raise StudyError("the study withholds its test cases (federation.withhold_test), on which losses are told.")
    if study.training.personal:
        raise StudyError(
            "each hospital has parts of the model to itself (training.personal): no one model is scored."
        )


def _hospitals(study: Study, wanted: Wanted) -> Iterator[Variant]:
    names = site_names(study)
    if len(names) <= FEWEST_LEFT:
        raise StudyError(f"of {len(names)} hospitals none can be left out: {FEWEST_LEFT} must be left.")
    yield from (Variant("hospitals", name, {"hospitals": [name]}) for name in names)


def _features(study: Study, wanted: Wanted) -> Iterator[Variant]:
    shape = _shape(study)
    if len(shape) != 1:
        raise StudyError(f"features are columns of a table, and cases are of {shape}: leave out regions.")
    names = input_names(cast(Source, SOURCES.build(study.source))) or ()
    names = names if len(names) == shape[0] else tuple(f"column {place}" for place in range(1, shape[0] + 1))
    yield from (Variant("features", name, {"columns": [place]}) for place, name in enumerate(names))
    for group, members in wanted.groups.items():
        for name in members:
            if name not in names:
                raise unknown("column", name, names)
        yield Variant("features", group, {"columns": sorted({names.index(name) for name in members})})


def _regions(study: Study, wanted: Wanted) -> Iterator[Variant]:
    sides = _shape(study)[1:]
    if len(sides) < 2 or min(sides) < wanted.grid:
        raise StudyError(
            f"regions are of images of {wanted.grid} or more places a side, and cases are of {_shape(study)}: for "
            "tables leave out features."
        )
    cuts = [[round(side * part / wanted.grid) for part in range(wanted.grid + 1)] for side in sides]
    for block in product(range(wanted.grid), repeat=len(sides)):
        ends = [end for axis, at in zip(cuts, block, strict=True) for end in (axis[at], axis[at + 1])]
        yield Variant("regions", place_words(block, wanted.grid), {"region": ends})


def place_words(block: Sequence[int], grid: int) -> str:
    """ "top left", or, of finer grids and volumes, "block 1, 2, 3"."""
    if grid == 3 and len(block) == 2:
        down, along = (("top", "middle", "bottom")[block[0]], ("left", "centre", "right")[block[1]])
        return f"{down} {along}"
    return f"block {', '.join(str(at + 1) for at in block)}"


def _shape(study: Study) -> tuple[int, ...]:
    return tuple(open_hospital(study.json, 0).train.shape.inputs)
