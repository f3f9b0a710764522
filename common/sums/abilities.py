"""What an aggregation has beyond its role: members that are optional and declared. One that is absent is not known.

The program asks for them here, and never for the name or the class of an aggregation. Where hospitals are to rely on
what is not declared, they are told that it is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, cast

from common.errors import StudyError

if TYPE_CHECKING:  # a study is read without NumPy
    from collections.abc import Mapping, Sequence

    import numpy as np

    from common.data.names import SiteId
    from common.sums.aggregation import Local
    from common.sums.aggregations._agreement import Agreement
    from common.sums.aggregations._fixed_point import Totals, Words
    from common.sums.exchange import Exchange, Expected, Payload
    from common.sums.update import Update
    from common.sums.wide import CollectedWide

Keys = Literal["shared", "distributed"]
FEW = 2
"""Hospitals of a round, where it is not known how many there are: with more, some round more coarsely."""
EXACT_FLOAT32 = 1 << 24
"""Whole multiples of a power of two are exact in float32 up to here."""
UNKNOWN_READERS = "The aggregation does not say who can read a single update: count on everybody who takes part."


class Codec(Protocol):
    """How updates become whole numbers that are added up; `common.sums.aggregations._fixed_point` has ours."""

    @property
    def levels(self) -> int:
        """How many steps lie between the smallest and the largest value."""
        ...

    @property
    def largest_value(self) -> float:
        """Of a value u_k n_k / agreement.reach; what is beyond it is cut."""
        ...

    def encode(
        self, update: Update, agreement: Agreement, rng: np.random.Generator, most_clipped: float = 1.0
    ) -> Words:
        """An update's words. Raises WireError where it does not fit the agreement."""
        ...

    def decode(self, totals: Totals, count: int, agreement: Agreement) -> Update:
        """The sum of `count` hospitals' updates from the sums of their words."""
        ...

    def largest_error(self, count: int, agreement: Agreement) -> float:
        """Bound of the sum's error in any coordinate by rounding, where nothing was cut."""
        ...


class AggregationAbilities(Protocol):
    """The optional members. No aggregation needs all of them."""

    readers: ClassVar[str]
    """Who can read a single update, and whom it takes, in sentences for the report."""
    keys: Keys
    """"shared" where every hospital holds one key, which opens whatever it is sent; "distributed" where none does."""
    colluding: int
    """How many hospitals may help a cheating server, and nothing but sums is opened."""

    def codec_in(self, hospitals: int) -> Codec:
        """How it rounds what hospitals send, in a round of so many."""
        ...

    def collect_wide(
        self, exchange: Exchange, requests: Mapping[SiteId, Payload], expected: Expected
    ) -> CollectedWide:
        """As `collect`, of wide whole numbers (`expected.wide`): their exact total, and of a sum nothing else."""
        ...

    def protect_wide(self, numbers: Sequence[int], request: Payload, local: Local) -> Payload:
        """As `protect`, of this hospital's numbers."""
        ...

    def threshold_in(self, hospitals: int) -> int:
        """How many hospitals must agree on whose sum is opened, in a round of so many."""
        ...

    def shares_in(self, hospitals: int) -> int:
        """How many hospitals' secret shares open what one of them sent, where that is not the threshold."""
        ...

    def readers_in(self, hospitals: int) -> str:
        """`readers`, of a round of so many, where that depends on their number."""
        ...

    def precision_in(self, hospitals: int) -> str:
        """In a sentence: how many bytes a value takes in a round of so many, and how finely it is told."""
        ...

    def bytes_beside(self, hospitals: int, whole_groups: bool) -> tuple[int, int] | None:
        """To a hospital and from it, of keys, shares and signatures; None where all hospitals share with all.

        whole_groups: whether a sum is of whole groups of hospitals alone.
        """
        ...

    def bytes_a_value(self, hospitals: int) -> int:
        """Of a hospital's answer, in a round of so many: for the bytes of a study that has not run yet."""
        ...

    def largest_error(self, hospitals: int, expected: Expected) -> float:
        """Bound of the error of a sum of so many updates in any coordinate, where no value is beyond the range.

        Without it a sum is taken to be exact but for float32, in which updates come. The audit judges openings by it,
        noise of the server pays for it, and the inherited test holds the aggregation to it. expected: as `collect`
        is given it; `expected.reach` is how large the values of one update may be.
        """
        ...


NAMES = tuple(name for name in (*AggregationAbilities.__annotations__, *vars(AggregationAbilities)) if name[0] != "_")


def can(aggregation: object, member: str) -> bool:
    """Whether an aggregation has an optional member."""
    assert member in NAMES, member
    return getattr(aggregation, member, None) is not None


def abilities(aggregation: object) -> AggregationAbilities:
    """The aggregation, whose optional members are asked for only after `can`."""
    return cast(AggregationAbilities, aggregation)


def stated_error(aggregation: object, hospitals: int, expected: Expected) -> float:
    """What the aggregation declares, and 0 where it declares no error. float32's own comes on top."""
    if not can(aggregation, "largest_error"):
        return 0.0
    return float(abilities(aggregation).largest_error(hospitals, expected))


def codec_of(aggregation: object, hospitals: int = FEW) -> Codec | None:
    """How it rounds; None where it rounds nothing, or does not say. hospitals: of a round, where that may matter."""
    return abilities(aggregation).codec_in(hospitals) if can(aggregation, "codec_in") else None


def needed_codec(aggregation: object, hospitals: int = FEW) -> Codec:
    """How it rounds. Raises StudyError where it does not say."""
    found = codec_of(aggregation, hospitals)
    if found is None:
        raise StudyError("how this aggregation rounds what hospitals send is not known: it declares no `codec_in`.")
    return found


def readers_of(aggregation: object, hospitals: int | None = None) -> str:
    """Its sentences, or where only sums are told and it has none, that there are none; else "".

    hospitals: of a round, where that is known.
    """
    if hospitals is not None and can(aggregation, "readers_in"):
        return str(abilities(aggregation).readers_in(hospitals))
    if can(aggregation, "readers"):
        return str(abilities(aggregation).readers)
    return UNKNOWN_READERS if _reveals_sums(aggregation) else ""


def keys_of(aggregation: object) -> Keys | None:
    """Who holds what opens a single update; None where it does not say."""
    return abilities(aggregation).keys if can(aggregation, "keys") else None


def colluding_of(aggregation: object) -> int:
    """How many hospitals may help a cheating server; 0 where it does not say."""
    return int(abilities(aggregation).colluding) if can(aggregation, "colluding") else 0


def room_for_whole_steps(aggregation: object, name: str, hospitals: int) -> int:
    """The most whole numbers that a value given in whole steps may have: what the aggregation's words hold, and what
    float32, in which an update comes to it, holds exactly. Beyond it a value is cut, or rounded.

    hospitals: of a study; the more, the less room a round may have. Raises StudyError where only sums are told and it
    is not known how they are made.
    """
    codec = codec_of(aggregation, hospitals)
    if codec is not None:
        return min(codec.levels // 2, EXACT_FLOAT32)
    if _reveals_sums(aggregation):
        raise StudyError(
            f"aggregation {name!r} does not say how it rounds (`codec_in`), so that shares of noise have no room "
            "that can be worked out: choose another aggregation, or privacy 'dpsgd'."
        )
    return EXACT_FLOAT32 // 2


def _reveals_sums(aggregation: object) -> bool:
    return getattr(aggregation, "reveals", None) == "sum"
