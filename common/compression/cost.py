"""How many bytes an update takes, and what is lost for it, before a study runs: numbers, and sentences for people."""

from __future__ import annotations

from collections.abc import Sequence

from common.compression.form import form_of
from common.compression.largest_values import count_of
from common.compression.rotation import turned_length
from common.compression.whole_steps import largest_of
from common.study.catalogue import AGGREGATIONS
from common.study.compression import Compression
from common.study.study import Study

FULL_BYTES = 4
"""Of a value of an update that is read singly and not compressed."""
MANY = 1_000_000
"""Values, of which an average is told."""


def update_bytes(study: Study, parameters: int, value_bytes: float = FULL_BYTES) -> float:
    """Bytes of one update's values. value_bytes: what the aggregation takes for each that it is handed."""
    compression = study.federation.compression
    if compression is None:
        return value_bytes * parameters
    if AGGREGATIONS.load(study.aggregation.name).reveals == "each":
        return form_of(compression, study.seed, 1).size(parameters)
    return value_bytes * handed_values(compression, parameters)


def handed_values(compression: Compression, parameters: int) -> int:
    """How many values an aggregation that reveals sums alone is handed of an update of so many."""
    if compression.sum_bits is None:
        return count_of(compression.kept_share, parameters)
    return turned_length(parameters)


def compression_words(study: Study) -> Sequence[str]:
    """What leaves a hospital in the place of its update, for whoever approves the study."""
    compression = study.federation.compression
    if compression is None:
        return ()
    in_sums = AGGREGATIONS.load(study.aggregation.name).reveals == "sum"
    what = _in_sums(compression) if in_sums else _singly(compression, update_bytes(study, MANY) / MANY)
    feedback = (
        "What that takes from an update stays in the hospital and is added to its next one, so that a part of what a "
        "round computed may leave in later rounds."
        if compression.error_feedback
        else _lost(compression)
    )
    return (f"{what} {feedback} The model that hospitals are sent travels in full.",)


def _singly(compression: Compression, value_bytes: float) -> str:
    bytes_ = f"{value_bytes:.3g} bytes a value of the model in the place of {FULL_BYTES} (federation.compression)"
    kind, share = compression.kind, f"{100 * compression.kept_share:.3g} %"
    if kind == "bfloat16":
        return f"Updates leave rounded to bfloat16, {bytes_}: each value by at most 0.4 % of it."
    if kind == "top_k":
        return (
            f"Of each update the {share} of its values that are largest leave, {bytes_}. Which those are depends on "
            "the hospital's patients, and is told with them."
        )
    if kind == "random_k":
        return f"Of each update {share} of its values leave, {bytes_}: at places drawn anew in every round for all."
    return (
        f"Updates leave as whole numbers of {compression.sum_bits} bits, with a scale for every "
        f"{compression.scaled_block} values, {bytes_}: rounded up or down at random, without bias."
    )


def _in_sums(compression: Compression) -> str:
    if compression.sum_bits is None:
        return (
            f"Of each update {100 * compression.kept_share:.3g} % of its values go into the sum "
            "(federation.compression): at places drawn anew in every round, the same for all hospitals."
        )
    return (
        f"Updates go into the sum turned at random, the same for all hospitals, as whole numbers of "
        f"{compression.sum_bits} bits (federation.compression), in one step for all, aggregation.largest_value / "
        f"{largest_of(compression.sum_bits)}: rounded up or down at random, without bias."
    )


def _lost(compression: Compression) -> str:
    if compression.kind == "random_k":
        return "The values that leave are scaled up, so that their mean over all draws is the update."
    if compression.kind == "top_k":
        return "The other values are lost (error_feedback = false)."
    return "What rounding takes is lost (error_feedback = false)."
