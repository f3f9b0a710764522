"""A federation of deployed hospitals in this process, each behind its whole app, and a server that plays rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
from flwr.app import Context, Message, RecordDict

from client import charge_once as charged_orders
from client.app import app
from client.approved_studies import list_study
from client.hospital import close_all, open_hospital
from client.protocol_context import REHEARSAL
from common.data.cases import SiteId
from common.learning.client_work import Work
from common.learning.parameters import new_network, read
from common.privacy.study_facts import mechanism_of
from common.study.catalogue import AGGREGATIONS
from common.study.study import Study, parse
from common.sums import identity
from common.sums.cohort import Cohort
from common.sums.exchange import Collected, Expected, Payload
from common.sums.update import Vector
from common.wire.message_bytes import identify
from common.wire.records import from_records, to_records
from common.wire.train_requests import LEGS, PROTOCOL_LEG, RUN, Order, protocol_payload, to_payload

TEXT = """
title = "Tiny"
rounds = 4
seed = 11
engine = "inline"
source = { name = "medmnist", classes = ["class 0", "class 1"] }
partition = { name = "iid", hospitals = 3 }
task = { name = "classification", network = { name = "mlp", hidden = [4] } }
strategy = "scaffold"
aggregation = "plain"
training = { batch_size = 8, steps = 2, learning_rate = 0.1 }
split = { validation = 0.1, test = 0.1 }
federation = { evaluate_every = 0, least_in_sum = 3 }
"""
SITES = tuple(f"hospital-{number}" for number in range(3))
VICTIM = SITES[0]
SECAGG = "{name='secagg', threshold=3}"
SCAFFOLD, FEDAVG = Work("delta", 0.0, True), Work("delta")
STATISTICS = ("seconds/evaluation", "seconds/training", "training/loss")
LIMIT = 1 << 26


def images(folder: Path) -> Path:
    """A data set of noise, small enough for a round in milliseconds."""
    rng = np.random.default_rng(0)
    parts = {"train": 60, "val": 10, "test": 10}
    arrays = {f"{part}_images": rng.integers(0, 255, (n, 4, 4), dtype=np.uint8) for part, n in parts.items()}
    arrays |= {f"{part}_labels": rng.integers(0, 2, (n, 1), dtype=np.uint8) for part, n in parts.items()}
    np.savez(folder / "tiny.npz", **arrays)
    return folder


def study_of(data: Path, own: Path, *more: str) -> Study:
    """own: the folder of the hospitals' folders, whose keys the study's roster names."""
    keys = {site: identity.create(own / site) for site in SITES}
    for site in SITES:
        identity.introduce(own / site, keys)
    roster = ", ".join(f'{{name="{site}", key="{sha256(key).hexdigest()}"}}' for site, key in keys.items())
    study = parse(TEXT, [f'source.folder="{data}"', f"federation.roster=[{roster}]", *more])
    for site in SITES:
        list_study(study, own / site)
    return study


_beginnings: dict[str, tuple[Vector, dict[SiteId, float]]] = {}


def beginning(study: Study) -> tuple[Vector, dict[SiteId, float]]:
    """The first model, and how many training cases each hospital has: looked up once a study."""
    if study.json not in _beginnings:
        opened = [open_hospital(study.json, index) for index in range(len(SITES))]
        network = new_network(opened[0].task, opened[0].train.shape, study.seed, study.training)
        sizes = {site: float(len(one.train)) for site, one in zip(SITES, opened, strict=True)}
        _beginnings[study.json] = read(network), sizes
    return _beginnings[study.json]


@dataclass
class Federation:
    """One run of one study. between: what happens before a leg is asked; lost: who does not answer a leg."""

    study: Study
    own: Path
    run: str = "a" * 32
    work: Work = SCAFFOLD
    number: int = 0
    number_done: int = 0
    between: dict[str, Callable[[], object]] = field(default_factory=dict)
    lost: Mapping[str, Iterable[SiteId]] = field(default_factory=dict)
    contexts: dict[SiteId, Context] = field(default_factory=dict)
    replies: list[tuple[SiteId, str, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        model, self.sizes = beginning(self.study)
        self.state: tuple[Vector, Vector | None] = (model, np.zeros_like(model) if self.work == SCAFFOLD else None)

    def context(self, site: SiteId) -> Context:
        if site not in self.contexts:
            config = {"site-index": SITES.index(site), "folder": str(self.own / site), REHEARSAL: True}
            self.contexts[site] = Context(1, 1 + SITES.index(site), config, RecordDict(), {})
        return self.contexts[site]

    def restart(self, site: SiteId) -> None:
        """Its process is gone: what it had in memory is lost, and the next reads its folder anew."""
        self.contexts.pop(site, None)
        close_all()
        charged_orders.let_go()

    def ask(self, leg: str, requests: Mapping[SiteId, Payload]) -> dict[SiteId, Payload]:
        if leg in self.between:
            self.between.pop(leg)()
        answers = {}
        for site, request in sorted(requests.items()):
            reply = self.answer(leg, site, request)
            if site not in self.lost.get(leg, ()) and not {"incident", "refused"} & reply.words.keys():
                answers[site] = reply
        return answers

    def answer(self, leg: str, site: SiteId, request: Payload) -> Payload:
        if leg not in LEGS:
            request = protocol_payload(request, leg, self.study.json, self.run, self.number)
        identify(1, 1)
        message = Message(to_records(request), 1, LEGS.get(leg, PROTOCOL_LEG))
        reply = from_records(app(message, self.context(site)).content, LIMIT, LIMIT)
        self.replies.append((site, leg, b"" if reply.array is None else reply.array.tobytes()))
        return reply

    def drop(self, site: SiteId, leg: str, reason: str) -> None:
        pass

    def hello(self) -> dict[SiteId, Payload]:
        return self.ask("hello", {site: Payload(words={"study": self.study.json, RUN: self.run}) for site in SITES})

    def play(self, number: int, parameters: Vector, control: Vector | None) -> Collected:
        self.number = number
        order = Order(self.study.json, number, parameters, self.work, control)
        vectors = 1 if control is None else 2
        step = getattr(mechanism_of(self.study), "grid", None)
        statistics = STATISTICS if self.study.privacy is None else ("seconds/evaluation",)
        expected = Expected(parameters.size, vectors, self.sizes, statistics, Cohort(SITES, 3), step)
        aggregation = AGGREGATIONS.build(self.study.aggregation)
        request = dict.fromkeys(SITES, to_payload(order, self.run))
        collected: Collected = aggregation.collect(self, request, frozenset(SITES), expected)
        return collected

    def rounds(self, last: int = 2, before: Callable[[int], object] = lambda number: None) -> Vector:
        """The model after so many rounds of a plain server. before: called with the number of each round to come."""
        while self.number_done < last:
            before(self.number_done + 1)
            self.advance()
        return self.state[0]

    def advance(self) -> None:
        """One more round."""
        model, control = self.state
        collected = self.play(self.number_done + 1, model, control)
        assert collected.total is not None, self.said()
        change, *controls = (vector / collected.total.weight for vector in collected.total.vectors)
        control = None if control is None else (control + controls[0] / len(SITES)).astype(np.float32)
        self.state, self.number_done = ((model + change).astype(np.float32), control), self.number_done + 1

    def said(self) -> str:
        logs = [self.own / site / "incidents.log" for site in SITES]
        return "\n".join(log.read_text()[-2000:] for log in logs if log.exists())
