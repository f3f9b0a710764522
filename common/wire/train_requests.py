"""What the server asks of a hospital in one message, and its form on the wire."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np

from common.errors import WireError
from common.learning.client_work import Sends, Work
from common.study.fine_tuning import FINE_TUNED
from common.sums.exchange import Number, Payload
from common.sums.update import Vector

LEGS = {
    "hello": "query.hello",
    "members": "query.members",
    "start": "query.start",
    "round": "train.round",
    "evaluate": "evaluate.model",
    "local": "train.local",
    "keep": "query.keep",
    "question": "query.question",
}
"""A leg's name and the type of Flower message that carries it."""

PROTOCOL_LEG = "query.protocol"
"""The type of message that carries any other leg: those of an aggregation, which names them itself."""

RUN = "run"
"""The word of a request that names its run: nothing signed in one is worth anything in another."""
_RUN = re.compile(r"([0-9a-f]{32})?")
REPEATED = "repeated"
"""The number, 1, of a reply whose update is the very one that was sent for the same order before, at no cost."""

REFERENCE = "reference"
"""The number, 1, of an order that holds the model of the round before as well."""
TAKEN_BACK = "taken_back"
"""The numbers of rounds that count for nothing: what a hospital kept of them is left aside."""
STEP = "compression/step"
"""The number of an order of whose whole multiples all values are, where the study compresses those of its sums."""
NORMALISED, FAIRNESS, NOT_FAIR = "normalised", "fairness", -1.0
"""Of an order, see Work; fairness is NOT_FAIR where none is asked for."""

SPLITS = ("train", "validation", "test")

TOKEN = "data"
"""Of a hospital's description: 64 digits that change when its data do, and tell nothing else."""
WITHDRAWN = "withdrawn"
"""Of an answer in a study that promises no privacy: how many persons withdrew since the run began."""
COLUMNS = "columns"
"""Of a hospital's description: a digest of the names of its inputs' columns, "" where its source knows none."""
HAS_MODEL = "start_model"
"""Of a hospital's description: the digest of the model that the study begins from, where it was given it."""
MEMBERS, MEMBERS_SIGNATURE = "members", "members_signature"
"""Of an enrolled hospital's description: the digest of its member list, and its signature over it, "" without one."""
MEMBERS_KEY, MEMBERS_PROOF = "members_key", "members_proof"
"""Of its description too: its public identity key, and a proof that this very node of this run is that hospital's."""
NAMES, SIGNATURES = "names", "signatures"
"""Of the leg `members`: whose signatures these are, and the signatures, in hexadecimal."""
PROGRAM, PROGRAM_VERSIONS = "program", "program_versions"
"""Of a hospital's description: the digest of what it runs, as it says itself, and versions, for people."""
ACCEPTS_CHANGED_DATA = "accepts_changed_data"
"""Of a request for one, 1: the run goes on with data that changed."""


@dataclass(frozen=True)
class Order:
    """One request. work: None where the hospital only evaluates. control: the server's control variate.

    clip_norm: the most the update's L2 norm may be, where the server steers it; 0: it does not. reference: the model
    of the round before, to be compared with, where hospitals vote. taken_back: rounds that count for nothing.
    step: in units of n_k u_k, see STEP; 0: none.
    """

    study_json: str
    round: int
    parameters: Vector
    work: Work | None
    control: Vector | None = None
    evaluate: tuple[str, ...] = ()
    clip_norm: float = 0.0
    reference: Vector | None = None
    taken_back: tuple[int, ...] = ()
    step: float = 0.0


def to_payload(order: Order, run: str = "") -> Payload:
    """The message of an order, in a run of the study."""
    vectors = [one for one in (order.parameters, order.control, order.reference) if one is not None]
    work = order.work
    beside: dict[str, Number] = {} if order.reference is None else {REFERENCE: 1}
    if order.step:
        beside[STEP] = order.step
    return Payload(
        array=np.concatenate(vectors),
        numbers={
            "round": order.round,
            "proximal_mu": work.proximal_mu if work else 0.0,
            "vectors": len(vectors),
            "clip_norm": order.clip_norm,
            NORMALISED: int(work is not None and work.normalised),
            FAIRNESS: NOT_FAIR if work is None or work.fairness is None else work.fairness,
            **beside,
            **numbers_of(order.taken_back),
        },
        words={
            "study": order.study_json,
            RUN: run,
            "sends": work.sends if work else "",
            "evaluate": list(order.evaluate),
        },
    )


def from_payload(payload: Payload) -> Order:
    """The order in a message. Raises WireError where it is not one."""
    sends, vectors = str(payload.words.get("sends", "")), payload.numbers.get("vectors")
    mu, number = payload.numbers.get("proximal_mu", 0.0), payload.numbers.get("round")
    evaluate = payload.words.get("evaluate", [])
    compared = payload.numbers.get(REFERENCE, 0)
    if compared not in (0, 1) or vectors not in (1 + int(compared), 2 + int(compared)):
        raise WireError("an order must hold a model, and may hold a control variate and a model to compare it with.")
    if payload.array is None or payload.array.size % int(vectors):
        raise WireError("an order must hold vectors of equal length.")
    if not isinstance(number, int) or not isinstance(mu, float) or mu < 0:
        raise WireError("an order's round or proximal_mu is out of range.")
    clip_norm = payload.numbers.get("clip_norm", 0.0)
    if not isinstance(clip_norm, float) or not 0 <= clip_norm < float("inf"):
        raise WireError("an order's clip_norm must be 0 or more.")
    if not isinstance(evaluate, list) or not set(evaluate) <= {*SPLITS, FINE_TUNED}:
        raise WireError("an order asks to evaluate a split that does not exist.")
    parts = np.split(payload.array, int(vectors))
    reference = parts.pop() if compared else None
    control = parts[1] if len(parts) == 2 else None
    work = Work(_sends(sends), mu, control is not None, *_weighing(payload)) if sends else None
    asked = Order(study_json(payload), number, parts[0], work, control, tuple(evaluate), clip_norm)
    return replace(asked, reference=reference, taken_back=taken_back_of(payload), step=_step(payload))


def protocol_payload(
    payload: Payload, leg: str, study: str, run: str, number: int, taken_back: Sequence[int] = ()
) -> Payload:
    """A message of an aggregation's own leg, with what the hospital needs to know whose it is."""
    words = {**payload.words, "study": study, RUN: run, "leg": leg}
    return replace(payload, words=words, numbers={**payload.numbers, "round": number, **numbers_of(taken_back)})


def numbers_of(taken_back: Sequence[int]) -> dict[str, Number]:
    """Rounds that count for nothing, as every request of theirs says it; nothing where there are none."""
    return {TAKEN_BACK: list(taken_back)} if taken_back else {}


def taken_back_of(payload: Payload) -> tuple[int, ...]:
    """The same as it came."""
    rounds = payload.numbers.get(TAKEN_BACK, [])
    if not isinstance(rounds, list) or not all(type(one) is int for one in rounds):
        raise WireError("rounds that were taken back must be whole numbers.")
    return tuple(int(one) for one in rounds)


def study_json(payload: Payload) -> str:
    """The study that every request carries."""
    text = payload.words.get("study")
    if not isinstance(text, str):
        raise WireError("a request must carry its study.")
    return text


def run_of(payload: Payload) -> str:
    """Which run of the study a request belongs to, 32 hexadecimal digits; "" where it does not say."""
    run = payload.words.get(RUN, "")
    if not isinstance(run, str) or not _RUN.fullmatch(run):
        raise WireError("a request's run must be 32 hexadecimal digits.")
    return run


def _weighing(payload: Payload) -> tuple[bool, float | None]:
    """What FedNova and q-FedAvg ask for."""
    normalised, fairness = payload.numbers.get(NORMALISED, 0), payload.numbers.get(FAIRNESS, NOT_FAIR)
    if normalised not in (0, 1) or not isinstance(fairness, float) or not (fairness == NOT_FAIR or fairness >= 0):
        raise WireError("an order's normalised must be 0 or 1, and its fairness 0 or more.")
    return normalised == 1, None if fairness == NOT_FAIR else fairness


def _step(payload: Payload) -> float:
    step = payload.numbers.get(STEP, 0.0)
    if not isinstance(step, float) or not 0 <= step < float("inf"):
        raise WireError("the step of an order must be 0 or more.")
    return step


def _sends(word: str) -> Sends:
    for choice in get_args(Sends):
        if word == choice:
            return choice  # type: ignore[no-any-return]
    raise WireError("an order must ask for a gradient or a delta.")
