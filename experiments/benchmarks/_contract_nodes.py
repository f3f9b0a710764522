"""Real hospitals of a small study, asked by a coordinator that writes its own messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from flwr.app import Context, Message

import client.app
import client.handlers
import client.protocol_context
from client.handlers import RequestContext, update_of
from client.hospital import Hospital, site_names
from client.node import Config, Node, load_app
from common.data.cases import SiteId
from common.seeding import generator
from common.study.study import Study, parse
from common.sums.aggregations import _secagg_client as _masked_sum
from common.sums.aggregations import _shared_sum, additive
from common.sums.cohort import Cohort
from common.sums.exchange import Payload
from common.sums.update import Update
from common.wire.message_bytes import from_bytes, identify, name_message, to_bytes
from common.wire.records import from_records, to_records
from common.wire.train_requests import LEGS, PROTOCOL_LEG, Order, protocol_payload
from experiments.evidence.ground_truth import hospital_of

RUN_ID, LARGEST = 1, 1 << 26
PLACE, IMAGES, SIDE, CLASSES = "images.npz", 160, 6, 4
TEXT = """
title = "Contract"
rounds = 100
engine = "inline"
source = { name = "medmnist" }
task = { name = "classification", network = { name = "mlp", hidden = [8] } }
training = { batch_size = 16, learning_rate = 1e-3 }
split = { validation = 0.0, test = 0.0 }
federation = { evaluate_every = 0 }
"""
RULES = ("groups", "cohort", "once", "forward", "least")
"""Of the contract: sums of whole groups; the cohort computed again; one set a model; rounds forward; least_in_sum."""
Patch = tuple[Any, str, Any]


def write_images(folder: Path) -> None:
    """Noise with a bright quarter for each class, in the MedMNIST layout."""
    rng, half = generator(1, "contract images"), SIDE // 2
    labels = rng.integers(0, CLASSES, (IMAGES + 2, 1), dtype=np.uint8)
    images = rng.integers(0, 120, (IMAGES + 2, SIDE, SIDE), dtype=np.uint8)
    for image, (label,) in zip(images, labels, strict=True):
        image[half * (label // 2) :, half * (label % 2) :][:half, :half] += 100
    parts = {"train": slice(0, IMAGES), "val": slice(IMAGES, IMAGES + 1), "test": slice(IMAGES + 1, IMAGES + 2)}
    arrays = {f"{name}_images": images[part] for name, part in parts.items()}
    arrays |= {f"{name}_labels": labels[part] for name, part in parts.items()}
    np.savez(folder / PLACE, allow_pickle=False, **arrays)


def study_of(place: Path, seed: int, hospitals: int, *settings: str) -> Study:
    """With small skews of label and size, so that hospitals are neither alike nor strangers."""
    partition = f'partition={{name="dirichlet",hospitals={hospitals},alpha=20.0}}'
    return parse(TEXT, [f'source.folder="{place}"', partition, f"seed={seed}", *settings])


def without(study: Study, off: Iterable[str]) -> Study:
    """The study where groups are switched off, if they are."""
    if "groups" not in off:
        return study
    return parse(study.text, ['federation.groups="off"'])


@dataclass
class Hospitals:
    """Nodes with the program that hospitals run. off: rules that theirs lack; colluders lack all.

    sent: what each trained last, before anything hid it: the truth, and what a colluder tells.
    """

    study: Study
    folder: Path
    off: frozenset[str] = frozenset()
    colluders: tuple[SiteId, ...] = ()
    nodes: dict[SiteId, Node] = field(default_factory=dict)
    sent: dict[SiteId, Update] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.study = without(self.study, self.off)
        app, sites = load_app("client.app:app"), site_names(self.study)
        for index, site in enumerate(sites):
            config: Config = {"site-index": index, "simulated": True, "folder": str(self.folder / site)}
            self.nodes[site] = Node(app, index + 1, RUN_ID, config)

    @property
    def sites(self) -> tuple[SiteId, ...]:
        """Sorted."""
        return tuple(self.nodes)

    def answer(self, site: SiteId, leg: str, request: Payload) -> Payload | None:
        """What one hospital says; None where it refuses, whatever its reason."""
        identify(RUN_ID, 0)
        message = Message(to_records(request), self.nodes[site].node_id, LEGS.get(leg, PROTOCOL_LEG))
        name_message(message, RUN_ID, "asked")
        off = RULES if site in self.colluders else self.off
        with _lacking(off, site in self.colluders), patch.object(client.handlers, "update_of", self._noted):
            reply = from_bytes(self.nodes[site].answer(to_bytes(message)))
        if reply.has_error():
            return None
        payload = from_records(reply.content, LARGEST, LARGEST)
        return None if {"incident", "refused"} & set(payload.words) else payload

    def _noted(self, hospital: Hospital, order: Order, kept: RequestContext) -> Update:
        self.sent[hospital.site] = update = update_of(hospital, order, kept)
        return update


@dataclass
class Coordinator:
    """An `Exchange` over hospitals, in one run and round. lost: whom it calls lost, or who is, from a leg on."""

    hospitals: Hospitals
    study: Study
    run: str
    round: int
    lost: Mapping[str, Sequence[SiteId]] = field(default_factory=dict)
    gone: set[SiteId] = field(default_factory=set)

    def ask(self, leg: str, requests: Mapping[SiteId, Payload]) -> dict[SiteId, Payload]:
        """One leg."""
        self.gone |= set(self.lost.get(leg, ()))
        replies = {}
        for site, request in sorted(requests.items()):
            if site in self.gone:
                continue
            own = protocol_payload(request, leg, self.study.json, self.run, self.round)
            reply = self.hospitals.answer(site, leg, request if leg in LEGS else own)
            if reply is not None:
                replies[site] = reply
        return replies

    def drop(self, site: SiteId, leg: str, reason: str) -> None:
        """Nothing: whoever is dropped is missing from what is opened."""


@contextmanager
def without_own_limits() -> Iterator[None]:
    """A coordinator that cheats runs a program of its own, which asks for the decryption of one ciphertext too."""
    with patch.object(_shared_sum, "FEWEST_ADDED", 1):
        yield


@contextmanager
def _lacking(off: Iterable[str], colludes: bool) -> Iterator[None]:
    with ExitStack() as stack:
        for target, name, replacement in _patches(frozenset(off), colludes):
            stack.enter_context(patch.object(target, name, replacement))
        yield


def _patches(off: frozenset[str], colludes: bool) -> Iterator[Patch]:
    """A hospital's program with some of its checks taken out."""
    if "cohort" in off:
        yield Cohort, "refuse_another", _accept
    if colludes:
        yield Cohort, "refuse_opening", _accept
    if "once" in off:
        yield from ((module, "open_once", _accept) for module in (_masked_sum, additive))
    if "forward" in off:
        yield client.app, "go_forward", _accept
    if {"cohort", "least"} & off:
        yield client.protocol_context, "cohort_of", partial(_taken_on_trust, off, client.protocol_context.cohort_of)


def _accept(*_: object, **__: object) -> None:
    """In the place of a check."""


def _taken_on_trust(off: frozenset[str], honest: Any, hospital: Hospital, context: Context, number: int) -> Cohort:
    """Whoever takes the coordinator's word for who is in a round knows no groups of it either."""
    cohort: Cohort = honest(hospital, context, number)
    cohort = replace(cohort, groups=()) if "cohort" in off else cohort
    return replace(cohort, least=1) if "least" in off else cohort


def cases_of(study: Study, sites: Iterable[SiteId]) -> dict[SiteId, float]:
    """How many each trains on, as they tell the coordinator when it asks what they hold."""
    return {site: float(len(hospital_of(study, site).train)) for site in sites}
