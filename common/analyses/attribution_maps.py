"""Where a model looks at each hospital, by sums of maps: a mark that one hospital's images carry is found unseen."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from common.analyses._map_findings import LEVEL, TIMES, Found, Maps, findings, place_words, strongest
from common.analyses._probe import numbers, words
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Integers, Total, counts, exact_sums_by, reals
from common.asking.features import PART
from common.asking.groups import levels_of
from common.asking.levels import CLASS
from common.asking.maps import ANSWERED, LEAST, WITHOUT, MapReading, blocks_of, bounded
from common.asking.records import Records
from common.errors import AnalysisError, StudyError
from common.study.catalogue import ATTRIBUTIONS
from common.study.checks import positive
from common.study.options import Entry

LOOKED, FILLED = "looked", "filled"
MOST_FOUND = 4
NEVER_SEEN = (
    "With so few cases, or so much noise, a mark is not seen however much it draws: that nothing was found says "
    "nothing. Ask of more cases, in fewer blocks (side) or with a larger epsilon."
)


@dataclass(frozen=True)
class AttributionMaps:
    """method: which map of each case is summed, from `common/attribution/methods`. side: blocks along each axis.
    axes: of a case's image, 3 where it is a volume.
    outcome: the column of classes. levels: of it, as `grade=low|high`, where nobody named them. part: of the split
    that is looked at. least: fewest cases of a class at a hospital whose maps are read.

    Of every case the map of its own class's logit is divided by all it holds. A second round asks of the places that
    stand out how many cases are still answered right when each hospital fills them with their surroundings. Real
    hospitals answer with noise alone.
    """

    discloses: ClassVar[str] = (
        "For each hospital and class the mean share of a model's map in each block of a grid, with its spread, "
        "and how many cases it answers right, as they are and with a block filled; no map of a case leaves."
    )
    of_hospitals: ClassVar[bool] = True
    most_rounds: ClassVar[int] = 2
    encoder: ClassVar[str] = "start"

    method: Entry = field(default_factory=lambda: Entry("occlusion"))
    side: int = 7
    axes: int = 2
    outcome: str = CLASS
    levels: tuple[str, ...] = ()
    part: str = "train"
    least: int = LEAST

    def __post_init__(self) -> None:
        positive("attribution_maps", least=self.least)
        _ = self.maps
        ATTRIBUTIONS.build(self.method)

    @property
    def maps(self) -> MapReading:
        """What a hospital makes of its cases."""
        return MapReading(self.method, self.side, self.axes, self.part)

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """A round for the maps, and one for the answers without the places that stand out."""
        classes = levels_of(self.outcome, self.levels, public)
        told = {"sites": public.sites, "classes": classes}
        grid = len(public.sites), len(classes)
        blocks = self.maps.blocks
        parts = {
            "cases": counts(*grid),
            "shares": reals(*grid, blocks, most_by_one=1.0),
            "squares": reals(*grid, blocks, most_by_one=1.0),
        }
        total = yield Query(parts, {**told, "blocks": np.array([float(blocks)])}, LOOKED)
        looked = Maps.of(total, self.least)
        best = strongest(looked)
        if best is None:
            raise AnalysisError(
                f"nothing can be compared: no class has {self.least} cases at three hospitals or more."
            )
        found = findings(looked, MOST_FOUND)
        places = tuple(dict.fromkeys(one.block for one in (*found, best)))
        asked = {"right": counts(*grid), "filled": counts(*grid, len(places), most_by_one=float(len(places)))}
        second = yield Query(asked, {**told, "places": np.array(places, np.float64)}, FILLED)
        return _Told(self, public.sites, classes, looked, places, second).answer(found, best)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Of this hospital's row of every table; the other rows are 0."""
        sites, classes = words(query, "sites"), words(query, "classes")
        kept, labels = self._kept(records, classes)
        cells = sites.index(records.site) * len(classes) + labels if records.site in sites else labels[:0]
        kept = kept if records.site in sites else kept.take(np.zeros(len(kept), bool))
        size, grid = len(sites) * len(classes), (len(sites), len(classes))
        right = kept.numbers(ANSWERED)[:, None] > 0
        if query.step == FILLED:
            places = numbers(query, "places").astype(np.int64)
            still = _chosen(blocks_of(kept, WITHOUT), places) > 0
            return {
                "right": _counted(cells, right, size).reshape(grid),
                "filled": _counted(cells, still, size).reshape(*grid, len(places)),
            }
        shares = bounded(blocks_of(kept))
        if shares.shape[1] != int(numbers(query, "blocks")[0]):
            raise StudyError(f"maps have {shares.shape[1]} blocks, and the question is of {self.maps.blocks}.")
        return {
            "cases": np.bincount(cells, minlength=size).reshape(grid),
            "shares": exact_sums_by(cells, shares, size).reshape(*grid, -1),
            "squares": exact_sums_by(cells, shares**2, size).reshape(*grid, -1),
        }

    def _kept(self, records: Records, classes: tuple[str, ...]) -> tuple[Records, NDArray[np.int64]]:
        """Cases of the part whose class is known."""
        places = {word: place for place, word in enumerate(classes)}
        labels = np.array([places.get(word, -1) for word in records.words(self.outcome).tolist()], np.int64)
        known = (labels >= 0) & (records.words(PART) == self.part)
        return records.take(known), labels[known]


def _chosen(values: NDArray[np.float64], places: NDArray[np.int64]) -> NDArray[np.float64]:
    if len(places) and (places.min() < 0 or places.max() >= values.shape[1]):
        raise StudyError(f"blocks {places.tolist()} are asked for, and there are {values.shape[1]}.")
    return values[:, places]


def _counted(cells: NDArray[np.int64], are: NDArray[np.bool_], size: int) -> NDArray[np.int64]:
    """(size, K) how many rows of each cell are so."""
    found = np.zeros((size, are.shape[1]), np.int64)
    np.add.at(found, cells, are)
    return found


@dataclass(frozen=True)
class _Told:
    analysis: AttributionMaps
    sites: tuple[str, ...]
    classes: tuple[str, ...]
    maps: Maps
    places: tuple[int, ...]
    second: Total

    def answer(self, found: tuple[Found, ...], best: Found) -> Answer:
        """Numbers for the page, a table of the places that stand out, and what could not have been seen."""
        rows = [self._row(one) for one in found or (best,)]
        limits = np.array([self.maps.limit(hospital) for hospital in range(len(self.sites))])
        told: dict[str, Any] = {
            "method": self.analysis.method.name,
            "side": self.analysis.side,
            "hospitals": list(self.sites),
            "classes": list(self.classes),
            "cases": self.maps.cases.tolist(),
            "right": self.second.count("right").tolist(),
            "shares": _listed(self.maps.mean),
            "interval": _listed(self.maps.half),
            "found": [row for row in rows if found],
            "strongest": self._row(best),
            "limits": [[_median(label) for label in one] for one in limits],
        }
        header = ("hospital", "class", "place", "share", "elsewhere", "times", "right", "right when filled")
        shown = tuple(
            (
                row["hospital"],
                row["class"],
                row["place"],
                row["share"],
                row["others"],
                row["excess"],
                row["right"],
                row["right_filled"],
            )
            for row in rows
        )
        title = "Places where one hospital's maps differ" if found else "The place that comes nearest"
        return Answer(told, (Table(title, header, shown, _NOTE),), (), self._words(found, rows))

    def _row(self, one: Found) -> dict[str, Any]:
        cases = int(self.maps.cases[one.hospital, one.label])
        right = int(self.second.count("right")[one.hospital, one.label])
        filled = int(self.second.count("filled")[one.hospital, one.label, self.places.index(one.block)])
        return {
            "hospital": self.sites[one.hospital],
            "class": self.classes[one.label],
            "block": one.block,
            "place": place_words(one.block, self.analysis.side, self.analysis.axes),
            "share": one.share,
            "low": one.low,
            "others": one.others,
            "needed": one.needed,
            "excess": one.excess if isfinite(one.excess) else None,
            "cases": cases,
            "right": right / cases,
            "right_filled": filled / cases,
        }

    def _words(self, found: tuple[Found, ...], rows: list[dict[str, Any]]) -> tuple[str, ...]:
        if not found:
            return (
                "No hospital's maps differ from the others' in any place more than chance and their own differences "
                f"explain, at a level of {100 * (1 - LEVEL):.0f} % over all places, classes and hospitals together.",
                *self._limit_words(),
            )
        return (*map(_sentence, rows), *self._limit_words())

    def _limit_words(self) -> tuple[str, ...]:
        limits = [self.maps.limit(hospital) for hospital in range(len(self.sites))]
        known = np.concatenate([one[np.isfinite(one)] for one in limits])
        if not known.size:
            return ()
        if float(np.median(known)) >= 1:
            return (NEVER_SEEN,)
        return (
            f"A mark that draws less than about {100 * float(np.median(known)):.0f} % of a class's maps in its block "
            "is not seen with so many cases, nor one that most hospitals have, nor a tint that lies everywhere.",
        )


def _sentence(row: Mapping[str, Any]) -> str:
    share, others, right, filled = (100 * row[name] for name in ("share", "others", "right", "right_filled"))
    return (
        f"At {row['hospital']} the model looks at {row['place']} of {row['class']} cases with {share:.0f} % of its "
        f"map, elsewhere with {others:.0f} %. With that place filled it answers {filled:.0f} % of these cases right, "
        f"and {right:.0f} % as they are."
    )


_NOTE = (
    f"A place is told where its share surely lies {TIMES:g} times above the other hospitals', by the median of "
    "these, and farther than hospitals differ anyway. times: its difference from the others, in units of the largest "
    "such difference at any other hospital."
)


def _median(values: NDArray[np.float64]) -> float | None:
    """Of those that are known."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else None


def _listed(values: NDArray[np.float64]) -> Any:
    """NaN as None, for JSON."""
    return [_listed(one) for one in values] if values.ndim else (float(values) if isfinite(values) else None)


analysis: type[Analysis] = AttributionMaps
