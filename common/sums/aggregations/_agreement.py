"""What all hospitals of a round agree on, so that their numbers add up: it travels with the round's request."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from math import isfinite

from common.data.cases import SiteId
from common.errors import WireError
from common.sums.exchange import Expected, Number, Payload, Word
from common.sums.wide import WideForm

MOST_HOSPITALS = 1 << 16
DIGESTS_KEPT = 4
RANGE_FACTORS = (1, 4, 16, 64, 256, 1024)
"""By how much the range of what is added up may be wider than the study's largest_value; powers of two, so that whole
numbers of one range are whole numbers, or halves of them, of the next."""


@dataclass(frozen=True)
class Agreement:
    """sites: sorted names of those asked. length, vectors: of an update. names: of its statistics, sorted.

    scale: the largest weight of any hospital; n_k u_k / scale is what is added up, so that no value of it is larger
    than u_k, and nobody's weight shows. step: where values are whole multiples of it, and are to stay so.
    range_factor: times the scale; more than 1 where too many values were clipped with less. wide: of what form the
    numbers are where no update is added up.
    """

    sites: tuple[SiteId, ...]
    length: int
    vectors: int
    names: tuple[str, ...]
    scale: float
    step: float | None = None
    range_factor: int = 1
    wide: WideForm | None = None

    @classmethod
    def of(cls, sites: Iterable[SiteId], expected: Expected) -> Agreement:
        """The server's side. sites: the round's, those included that did not come and whose weight is not known."""
        known = (expected.largest_weight[site] for site in sites if site in expected.largest_weight)
        sums = (expected.length, expected.vectors, expected.statistics)
        ranged = (max(known, default=1.0), expected.step, expected.range_factor)
        return cls(tuple(sorted(sites)), *sums, *ranged, expected.wide)

    @property
    def expected(self) -> Expected:
        """What such an agreement was made from, as far as it is known of it."""
        largest = dict.fromkeys(self.sites or ("unnamed",), self.scale)
        return Expected(
            self.length, self.vectors, largest, self.names, step=self.step, range_factor=self.range_factor
        )

    @property
    def values(self) -> int:
        """How many values of the model are in the sum."""
        return self.length * self.vectors

    @property
    def reach(self) -> float:
        """What a largest_value of 1 allows a value n_k u_k to be."""
        return self.scale * self.range_factor


def with_agreement(request: Payload, agreement: Agreement, names: bool = True) -> Payload:
    """The request with the agreement beside what it holds.

    names: of its hospitals; else how many they are and a digest, where each hospital knows them from the study.
    """
    numbers: dict[str, Number] = {
        "sum/length": agreement.length,
        "sum/vectors": agreement.vectors,
        "sum/scale": agreement.scale,
        "sum/range": agreement.range_factor,
    }
    if agreement.step is not None:
        numbers["sum/step"] = agreement.step
    if agreement.wide is not None:
        numbers |= {"sum/counts": agreement.wide.counts, "sum/reals": agreement.wide.reals}
    words: dict[str, Word] = {"sum/names": list(agreement.names)}
    if names:
        words["sum/sites"] = list(agreement.sites)
    else:
        numbers["sum/hospitals"], words["sum/digest"] = len(agreement.sites), digest_of(agreement.sites)
    return replace(request, numbers={**request.numbers, **numbers}, words={**request.words, **words})


def read_agreement(request: Payload, known: Sequence[SiteId] = ()) -> Agreement:
    """The hospital's side. Raises WireError where it is missing or impossible.

    known: the round's hospitals, as the study draws them. Of a request that names none the agreement has these, where
    it tells their digest; without them it has none.
    """
    length, vectors = _whole(request.numbers, "sum/length"), _whole(request.numbers, "sum/vectors")
    scale = request.numbers.get("sum/scale")
    if not isinstance(scale, float) or not isfinite(scale) or scale <= 0:
        raise WireError("the scale of a sum must be above 0.")
    names, count = _names(request, "sum/names"), hospitals_of(request)
    is_named = "sum/digest" not in request.words
    sites = _names(request, "sum/sites") if is_named else tuple(known)
    if not is_named and sites and (count, request.words["sum/digest"]) != (len(sites), digest_of(sites)):
        raise WireError(f"this round is of {len(sites)} hospitals that the study draws; others were named.")
    ranged = (scale, _step(request.numbers), _range_factor(request.numbers))
    return Agreement(sites, length, vectors, names, *ranged, _wide(request.numbers))


def hospitals_of(request: Payload) -> int:
    """How many hospitals agreed. Raises WireError where there are none, or too many."""
    if "sum/digest" in request.words:
        count = _whole(request.numbers, "sum/hospitals")
    else:
        count = len(_names(request, "sum/sites"))
    if not 1 <= count <= MOST_HOSPITALS:
        raise WireError("a sum needs between 1 and 65,536 hospitals.")
    return count


@lru_cache(maxsize=DIGESTS_KEPT)
def digest_of(sites: tuple[SiteId, ...]) -> str:
    """Of names, in hexadecimal. Kept: every leg signs and compares the same thousands of names."""
    return sha256(json.dumps(list(sites)).encode()).hexdigest()


def _range_factor(numbers: Mapping[str, Number]) -> int:
    factor = numbers.get("sum/range")
    if type(factor) is not int or factor not in RANGE_FACTORS:
        raise WireError(f"the range factor of a sum must be one of {', '.join(map(str, RANGE_FACTORS))}.")
    return factor


def _step(numbers: Mapping[str, Number]) -> float | None:
    step = numbers.get("sum/step")
    if step is None:
        return None
    if not isinstance(step, float) or not isfinite(step) or step <= 0:
        raise WireError("the step of a sum must be above 0.")
    return step


def _wide(numbers: Mapping[str, Number]) -> WideForm | None:
    if "sum/counts" not in numbers:
        return None
    return WideForm(_whole(numbers, "sum/counts"), _whole(numbers, "sum/reals"))


def _whole(numbers: Mapping[str, Number], name: str) -> int:
    value = numbers.get(name)
    if type(value) is not int or value < 0:
        raise WireError(f"{name} must be a whole number.")
    return value


def _names(request: Payload, name: str) -> tuple[str, ...]:
    value = request.words.get(name)
    if not isinstance(value, list) or sorted(set(value)) != value:
        raise WireError(f"{name} must be names, sorted and each but once.")
    return tuple(value)
