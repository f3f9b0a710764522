"""What `[federation.compression]` cannot go with, and what would do in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.errors import StudyError
from common.study.catalogue import AGGREGATIONS, MECHANISMS
from common.study.compression import IN_SUMS, Compression
from common.sums.abilities import codec_of

if TYPE_CHECKING:
    from common.learning.client_work import Work
    from common.study.defence_settings import Defence
    from common.study.federation import Federation
    from common.study.options import Entry
    from common.sums.aggregation import Aggregation


def check_compression(
    federation: Federation, work: Work, strategy: Entry, privacy: Entry | None, defence: Defence, sums: Entry
) -> None:
    """Raise StudyError, with what would go, where compression would break a sum, a promise or a bound.

    strategy, privacy, sums: as the study names them.
    """
    compression = federation.compression
    if compression is None:
        return
    if work.controlled:
        raise StudyError(
            f"strategy {strategy.name!r} sends a control variate beside the update, whose mean must stay what "
            "the hospitals keep: choose strategy 'fedavg' or 'fedprox', or remove [federation.compression]."
        )
    if privacy is not None and MECHANISMS.build(privacy).place != "hospital":
        raise StudyError(
            f"federation.compression changes updates after they were clipped, and privacy {privacy.name!r} has "
            "noise for what was clipped alone: choose privacy 'dpsgd', whose noise is in an update before it is "
            "compressed, or remove [federation.compression]."
        )
    if defence.update_norm is not None:
        raise StudyError(
            "defence.update_norm bounds how long an update is, and rounding and error feedback lengthen it: remove "
            "defence.update_norm or [federation.compression]."
        )
    aggregation = AGGREGATIONS.build(sums)
    if aggregation.reveals == "sum":
        _check_sum(compression, sums, aggregation)


def _check_sum(compression: Compression, entry: Entry, aggregation: Aggregation) -> None:
    kind, name = compression.kind, entry.name
    if kind not in IN_SUMS:
        nearest = {
            "bfloat16": "'int8' rounds to whole numbers, which do, or without compression "
            "aggregation.value_bits = 16 takes the place of 24",
            "top_k": "'random_k' draws the same places for all, which do",
        }[kind]
        raise StudyError(
            f"federation.compression.kind {kind!r} does not add up under aggregation {name!r}, which reveals sums "
            f"alone: {nearest}."
        )
    bits = compression.sum_bits
    if bits is None:
        return
    codec = codec_of(aggregation)
    if codec is None or codec.levels.bit_length() != bits:
        raise StudyError(
            f"federation.compression.kind {kind!r} needs sums of {bits} bits a value: set aggregation.value_bits = "
            f"{bits}, in an aggregation that has it, such as 'secagg'."
        )
    if "largest_value" not in entry.options:
        raise StudyError(
            f"with federation.compression.kind {kind!r} all hospitals of a sum share one step, which is "
            f"aggregation.largest_value / {(1 << (bits - 1)) - 1}: set aggregation.largest_value to the most that "
            "one parameter may change in a round, such as 0.01; where more than 2 % of the values are beyond it, "
            "the round is asked for again with four times the range."
        )
    if compression.block is not None:
        raise StudyError(
            f"federation.compression.block is of single updates; in sums of aggregation {name!r} one step is of all "
            "values: remove it."
        )
