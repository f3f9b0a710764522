"""How large the messages of a study with a large model will be, and how they travel: for `wardround check`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np

from common.compression.cost import update_bytes
from common.errors import WardroundError
from common.study.catalogue import AGGREGATIONS, STRATEGIES
from common.study.study import Study
from common.sums.abilities import abilities, can
from common.sums.aggregation import Aggregation
from common.sums.exchange import Payload
from common.wire.long_form import LONG_FROM
from common.wire.pieces import LARGEST_MESSAGE_BYTES, PIECE_BYTES
from experiments.engines._loopback_exchange import InMemoryExchange, collect, random_updates
from server.strategy import Strategy

TRIED, HOSPITALS = 1 << 13, 5
"""Numbers of an update that is tried, and hospitals: what a number takes hardly depends on how many there are."""
MOST_GROWTH = 20
"""How much larger than a plain update an encrypted one is at most."""
MB = 1e6
FLOWERS_PIECE_BYTES = 5 << 20


def message_sizes(study: Study, parameters: int, hospitals: int) -> tuple[str, ...]:
    """Sentences; () where every message is small. parameters: of the model. hospitals: of a round."""
    strategy = cast(Strategy, STRATEGIES.build(study.strategy))
    vectors = strategy.work().vectors
    order = 4 * parameters * (vectors + bool(study.defence.votes))
    if MOST_GROWTH * order < LONG_FROM:
        return ()
    aggregation = cast(Aggregation, AGGREGATIONS.build(study.aggregation))
    answer = vectors * update_bytes(study, parameters, value_bytes(aggregation, hospitals))
    largest = max(order, int(answer))
    if largest < LONG_FROM:
        return ()
    said = f"A model of {parameters:,} parameters: an order takes about {order / MB:,.0f} MB"
    if answer:
        said += f", what a hospital sends back about {answer / MB:,.0f} MB"
    travels = f"{said}. Each travels in pieces that are checked one by one, {_pieces(study, largest)}."
    if largest <= LARGEST_MESSAGE_BYTES:
        return (travels,)
    return (
        travels,
        f"A node lets in {LARGEST_MESSAGE_BYTES:,} bytes unless its node.toml says more (largest_message_bytes), and "
        "so the run would be refused at its start.",
    )


def _pieces(study: Study, largest: int) -> str:
    """What cuts a message, and into how many."""
    if study.engine == "inline":
        return "but on 'inline', where it stays in one process"
    piece = PIECE_BYTES if study.engine == "processes" else FLOWERS_PIECE_BYTES
    return f"{-(-largest // piece):,} of {piece >> 20} MiB"


def value_bytes(aggregation: Aggregation, hospitals: int) -> float:
    """Of each value that it is handed, in a round of so many hospitals: as it declares, else by trying two sizes with
    few of them; 0 where that cannot be tried here."""
    if can(aggregation, "bytes_a_value"):
        return abilities(aggregation).bytes_a_value(hospitals)
    try:
        small, large = (max(_sizes(aggregation, length), default=0) for length in (TRIED, 2 * TRIED))
    except (WardroundError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError, NotImplementedError):
        return 0.0
    return (large - small) / TRIED


def _sizes(aggregation: Aggregation, length: int) -> Iterator[int]:
    updates = random_updates(HOSPITALS, length, np.random.default_rng(0), 0.5)
    exchange = InMemoryExchange(aggregation, updates)
    collect(exchange)
    for crossed in exchange.crossed:
        for payload in (crossed.request, crossed.reply):
            if payload is not None:
                yield _bytes_of(payload)


def _bytes_of(payload: Payload) -> int:
    return sum(0 if one is None else one.nbytes for one in (payload.array, payload.data))
