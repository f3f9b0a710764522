"""Observations of a finished run: what each adversary could see, from recorded traffic and public settings alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np

from common.compression.form import form_of
from common.data.cases import Shape, SiteId
from common.errors import FileError, StudyError, WireError
from common.files.access import is_there, read_text
from common.files.json_files import read_table
from common.files.tensor_files import read_tensors
from common.learning.parameters import Layout, new_network
from common.learning.start import Taken, checked, shapes_taken
from common.study.catalogue import AGGREGATIONS
from common.study.study import Study, parse
from common.sums.exchange import Expected, Payload
from common.sums.update import Update, Vector
from common.wire.boundary import guarded
from common.wire.decoding import update_from_payload
from common.wire.train_requests import LEGS, Order, from_payload
from experiments.evidence import recorded
from experiments.evidence.recorded import Recorded, check_is_same, reject, sums
from experiments.observation import Observation, Observer, Opaque, Single, Summed
from server.compressed_rounds import in_full
from server.initial_model import FILE as START
from server.members import Member, disagreeing, member

HELLO = "query.hello"

Own = Mapping[tuple[int, SiteId], Update]
"""What hospitals sent, by round and hospital, as they themselves know it."""


def observe(folder: Path, observer: Observer = "server", site: SiteId | None = None) -> Observation:
    """The observation of a finished run. site: which hospital is curious, for observer "hospital".

    Raises StudyError where the run recorded no traffic, and FileError where a file of it is damaged.
    """
    if observer not in get_args(Observer):
        raise StudyError(f"there is no observer {observer!r}; there are {', '.join(get_args(Observer))}.")
    if observer == "colluding":
        raise StudyError("what colluding hospitals see needs what they sent: take observer 'server' and `without`.")
    if observer == "cheating":
        raise StudyError("what hospitals answer to a server that cheats is in no recorded run; the audit plays it.")
    study = parse(read_text(folder, "study.toml"))
    if study.training.personal:
        raise StudyError(
            "there is no audit of parts that hospitals keep to themselves (training.personal): our attacks need all "
            "parameters that a gradient went through, and would seem to fail for want of them."
        )
    messages = tuple(recorded.messages(folder))
    return narrowed(_server(folder, study, messages), observer, site)


def sent_orders(folder: Path) -> dict[tuple[int, SiteId], Payload]:
    """The messages that asked for training, by round and hospital: the last, where one was repeated.

    Raises as `observe`.
    """
    found: dict[tuple[int, SiteId], Payload] = {}
    for message in recorded.messages(folder):
        if message.kind == "train.round" and not message.to_server:
            try:
                order = from_payload(message.payload)
            except WireError as error:
                raise reject(message, error) from error
            if order.work is not None:
                found[order.round, message.site] = message.payload
    return found


def without(seen: Observation, own: Own) -> Observation:
    """What the coordinator reads once hospitals tell it what they sent: every sum without that.

    seen: of observer "server". A round is left out where a colluder in its sum does not tell, or nobody else is in
    it. A sum of one hospital that is left is that hospital's single update.
    """
    colluders = {site for _, site in own}
    left = [less for one in seen.sums if (less := _less(one, own, colluders)) is not None]
    singles = [one for one in seen.singles if one.site not in colluders]
    read = {(one.round, one.site) for one in singles}
    opened = [
        Single(one.round, one.sites[0], seen.orders[one.round], one.update)
        for one in left
        if len(one.sites) == 1 and (one.round, one.sites[0]) not in read
    ]
    sums = tuple(one for one in left if len(one.sites) > 1)
    return replace(seen, observer="colluding", singles=(*singles, *opened), sums=sums)


def _less(one: Summed, own: Own, colluders: set[SiteId]) -> Summed | None:
    """The sum of the others, in float64; None where there is none or it cannot be made."""
    mine = [(one.round, site) for site in one.sites if site in colluders]
    others = tuple(site for site in one.sites if site not in colluders)
    if not others or not all(key in own for key in mine):
        return None
    vectors = [vector.astype(np.float64) for vector in one.update.vectors]
    for key in mine:
        vectors = [a - b.astype(np.float64) for a, b in zip(vectors, own[key].vectors, strict=True)]
    weight = one.update.weight - sum(own[key].weight for key in mine)
    return Summed(one.round, others, one.parameters, Update(tuple(vectors), weight))


def _server(folder: Path, study: Study, messages: tuple[Recorded, ...]) -> Observation:
    shape, classes, cases = _described(folder, messages)
    layout = Layout.of(new_network(study.build_task(), shape, study.seed, study.training))
    each = AGGREGATIONS.load(study.aggregation.name).reveals == "each"
    models: dict[int, Vector] = {}
    singles: list[Single] = []
    opaque: list[Opaque] = []
    asked: dict[SiteId, Order] = {}
    orders: dict[int, Order] = {}
    for message in (_in_full(one, study, asked, layout.length) if each else one for one in messages):
        if message.kind in (HELLO, LEGS["members"], LEGS["start"], LEGS["keep"]):
            continue
        if message.site not in cases:
            raise FileError(message.path, "is a message of a hospital that took no part")
        if message.kind == "train.round" and not message.to_server:
            order = _order(message, study, layout.length)
            asked[message.site] = order
            models.setdefault(order.round, order.parameters)
            if order.work is not None:
                orders.setdefault(order.round, order)
        elif message.to_server and message.payload.data is not None:
            leg = "round" if message.kind == "train.round" else str(message.payload.words.get("leg", "protocol"))
            number = asked[message.site].round if message.site in asked else 0
            opaque.append(Opaque(number, message.site, leg, message.payload.data))
        elif message.to_server and message.kind == "train.round" and each and message.payload.array is not None:
            single = _single(message, _answered(message, asked), layout.length, cases)
            singles += [] if single is None else [single]
    models[study.rounds + 1] = recorded.final_model(folder, layout)
    added = _sums_of_singles(singles, models) if each else tuple(_recorded_sums(folder, models, cases))
    return Observation(
        "server",
        study,
        shape,
        classes,
        cases,
        models,
        tuple(singles),
        added,
        tuple(opaque),
        orders,
        _begun(folder, study, shape),
    )


def _in_full(message: Recorded, study: Study, asked: Mapping[SiteId, Order], length: int) -> Recorded:
    """With the update as its reader has it, where the study compresses those that are read singly."""
    compression, payload = study.federation.compression, message.payload
    ours = message.to_server and message.kind == "train.round" and payload.data is not None
    if compression is None or not ours or message.site not in asked:
        return message
    form = form_of(compression, study.seed, asked[message.site].round)
    try:
        return replace(message, payload=guarded(partial(in_full, payload, form, length)))
    except WireError:
        return message


def _begun(folder: Path, study: Study, shape: Shape) -> Taken | None:
    """The model that the study begins from, where the run's folder holds it."""
    if study.start is None or not is_there(folder, START):
        return None
    tensors = read_tensors(folder, START).tensors
    network = new_network(study.build_task(), shape, study.seed, study.training)
    if {name: one.shape for name, one in tensors.items()} != shapes_taken(network, study.start):
        raise FileError(folder / START, "is not of the network that the run's study names")
    return checked(study.start, tensors, tensors)


def _roster(folder: Path) -> set[str]:
    """Hospitals that the server let take part, by its own record; empty where there is none."""
    sites = read_table(folder, "roster.json").get("sites")
    found = sites if isinstance(sites, list) else []
    return {str(one.get("site")) for one in found if isinstance(one, dict)}


def _described(folder: Path, messages: tuple[Recorded, ...]) -> tuple[Shape, tuple[str, ...], dict[SiteId, int]]:
    members: dict[SiteId, Member] = {}
    for message in messages:
        if message.kind == HELLO and message.to_server and "shape" in message.payload.numbers:
            try:
                found = member(message.payload)
            except WireError as error:
                raise reject(message, error) from error
            members[found.site] = found
    if not members:
        raise StudyError("no hospital's description is in the recorded traffic.")
    took_part = _roster(folder)
    members = {site: found for site, found in members.items() if site in took_part} if took_part else members
    for site in disagreeing(members):
        del members[site]
    first = next(iter(members.values()))
    return first.shape, first.classes, {site: one.cases["train"] for site, one in members.items()}


def _order(message: Recorded, study: Study, length: int) -> Order:
    """The order in a message, for a model that is the study's."""
    try:
        order = from_payload(message.payload)
    except WireError as error:
        raise reject(message, error) from error
    check_is_same(study, order.study_json, message.path)
    fits = order.parameters.size == length and np.isfinite(order.parameters).all()
    if not fits or not 1 <= order.round <= study.rounds + (order.work is None):
        raise FileError(message.path, "is an order for another model or round than the study's")
    return order


def _answered(message: Recorded, asked: Mapping[SiteId, Order]) -> Order:
    if message.site not in asked:
        raise FileError(message.path, "answers an order that is not in the recorded traffic")
    return asked[message.site]


def _single(message: Recorded, order: Order, length: int, cases: Mapping[SiteId, int]) -> Single | None:
    """The update in a reply; None where it would have been refused."""
    if order.work is None:
        return None
    expected = Expected(length, order.work.vectors, {site: float(count) for site, count in cases.items()})
    try:
        update = update_from_payload(message.payload, message.site, expected)
    except WireError:
        return None
    return Single(order.round, message.site, order, update)


def _sums_of_singles(singles: list[Single], models: Mapping[int, Vector]) -> tuple[Summed, ...]:
    by_round: dict[int, list[Single]] = {}
    for single in singles:
        by_round.setdefault(single.round, []).append(single)
    return tuple(_summed(number, found, models) for number, found in sorted(by_round.items()))


def _summed(number: int, found: list[Single], models: Mapping[int, Vector]) -> Summed:
    total = found[0].update
    for single in found[1:]:
        total += single.update
    return Summed(number, tuple(sorted(single.site for single in found)), models[number], total)


def _recorded_sums(folder: Path, models: Mapping[int, Vector], cases: Mapping[SiteId, int]) -> Iterator[Summed]:
    """The sums that the server made of what it could not read singly; it keeps them beside the traffic."""
    for one in sums(folder):
        model = models.get(one.round)
        if model is None or not set(one.sites) <= cases.keys() or any(v.shape != model.shape for v in one.vectors):
            raise FileError(
                one.path, "is of a round, of hospitals or of a model that are not in the recorded traffic"
            )
        yield Summed(one.round, one.sites, model, Update(one.vectors, one.weight))


def narrowed(seen: Observation, observer: Observer, site: SiteId | None = None) -> Observation:
    """What is left for another observer than the server. Raises as `observe`."""
    if observer == "server":
        return seen
    if observer == "hospital":
        if site not in seen.cases:
            raise StudyError(f"observer 'hospital' needs the name of a hospital; there are {', '.join(seen.sites)}.")
        return replace(seen, observer=observer, singles=(), sums=(), opaque=())
    if observer == "network":
        return replace(seen, observer=observer)
    return replace(
        seen, observer=observer, models={max(seen.models): seen.final_model}, singles=(), sums=(), opaque=()
    )
