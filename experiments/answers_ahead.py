"""How many bytes a hospital's answer takes beside the values of its update, before a study runs."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np

from client.even_lengths import LEAST_BYTES
from common.learning.score_names import final_names
from common.study.catalogue import AGGREGATIONS, STRATEGIES
from common.study.schedule import evaluated_splits, final_round, votes_in
from common.study.study import Study
from common.sums.abilities import codec_of
from common.sums.ballots import NAMES, VOTES
from common.sums.cohorts import reveals
from common.sums.exchange import Number, Payload
from common.sums.mean import Mean
from common.wire.message_bytes import content_to_bytes
from common.wire.records import to_records
from experiments.message_sizes import value_bytes

UNNAMED_BYTES, UNNAMED_SUMMED_BYTES = 700, 400
"""Of an answer to a study whose scores' names are not known; and as words of a sum."""
ENVELOPE_BYTES = 80
"""Of a message's own names and times, around its content."""
WORD_BITS = 64
OWN_MODEL = 0
"""In the place of a round's number: of a model that a hospital trained alone, its scores on test cases."""
BALLOT = [f"{VOTES}/{name}" for name in NAMES]
SECONDS, TYPICAL = 0.7, Mean.of([0.7] * 5)


def answer_bytes(study: Study, names: Sequence[str], number: int, hospitals: int, trains: bool) -> float:
    """Of an answer by the number of round `number`, one beyond the last being the last evaluation.

    names: of the task's statistics; () where they are not known. hospitals: that are in its sum, where only sums are
    read; 0 of an answer that is in none.
    """
    if study.split.is_by_hospital and reveals(study) == "each":
        return LEAST_BYTES + ENVELOPE_BYTES
    if not names:
        return UNNAMED_SUMMED_BYTES if hospitals else UNNAMED_BYTES
    means, seconds = _told(study, names, number, trains)
    if hospitals:
        words = _in_words(study, len(means) + len(seconds), trains, hospitals)
        return message_bytes(Payload(data=np.zeros(words, np.uint8)))
    numbers: dict[str, Number] = {name: [TYPICAL.total_units, TYPICAL.weight_units] for name in means}
    numbers |= dict.fromkeys([*seconds, *(["weight"] if trains else [])], SECONDS)
    return message_bytes(Payload(np.zeros(1, np.float32) if trains else None, numbers))


def _told(study: Study, names: Sequence[str], number: int, trains: bool) -> tuple[list[str], list[str]]:
    """Names of means and of seconds in an answer."""
    if number == OWN_MODEL:
        return [f"test/{name}" for name in names], []
    scored = final_names(study, names) if number == final_round(study) else names
    means = [f"{split}/{name}" for split in evaluated_splits(study, number) for name in scored]
    if votes_in(study, number):
        means += BALLOT if reveals(study) == "sum" else BALLOT[:1]
    if trains:
        means += ["training/loss", *(f"training/{name}" for name in STRATEGIES.build(study.strategy).work().beside)]
    return means, ["seconds/evaluation", *(["seconds/training"] if trains and study.privacy is None else [])]


def _in_words(study: Study, means: int, trains: bool, hospitals: int) -> int:
    """Bytes of what is added up beside values: a total and a weight of every mean, of cases, and of what was cut."""
    aggregation = AGGREGATIONS.build(study.aggregation)
    codec = codec_of(aggregation, hospitals)
    if codec is None:
        return 0
    words = 2 * (means + 1 + trains) * ceil(WORD_BITS / codec.levels.bit_length())
    return round(words * value_bytes(aggregation, hospitals))


def message_bytes(payload: Payload) -> int:
    """Of a message with this content."""
    return ENVELOPE_BYTES + len(content_to_bytes(to_records(payload)))
