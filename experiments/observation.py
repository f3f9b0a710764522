"""What an adversary could see of a run, rebuilt from recorded traffic and public settings alone.

Nothing here opens a hospital, its cases or its folder: an attack that works on an Observation works on the wire.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from flwr.app import Message
from numpy.typing import NDArray
from safetensors.numpy import load_file

from common.cases import Shape, SiteId
from common.catalogue import AGGREGATIONS
from common.decoding import update_from_payload
from common.errors import StudyError, WireError
from common.exchange import Expected, Payload
from common.order import Order, from_payload
from common.parameters import Layout, new_network
from common.study import Study, parse
from common.update import Update, Vector
from common.wire import from_records
from common.wire_bytes import from_bytes

Observer = Literal["server", "hospital", "outsider", "network", "colluding", "cheating"]
"""server: reads every message addressed to it, and what an aggregation reveals to it. hospital: reads the models it
is sent. outsider: has the final model. network: reads bytes on the wire, which TLS would encrypt. colluding: the
server, told by some hospitals what they themselves sent; see `without`. cheating: the server, which sends what it
likes; what hospitals would answer is no part of a run, and is played by the audit."""

Own = Mapping[tuple[int, SiteId], Update]
"""What hospitals sent, by round and hospital, as they themselves know it."""

LARGEST = 1 << 31


@dataclass(frozen=True)
class Single:
    """One hospital's update, read in the clear, and the order it answers."""

    round: int
    site: SiteId
    order: Order
    update: Update


@dataclass(frozen=True)
class Summed:
    """The sum of a round over `sites`, and the model it was computed at."""

    round: int
    sites: tuple[SiteId, ...]
    parameters: Vector
    update: Update


@dataclass(frozen=True)
class Opaque:
    """Bytes an adversary holds and cannot read: masked words, ciphertexts, shares."""

    round: int
    site: SiteId
    leg: str
    data: NDArray[np.uint8]


@dataclass(frozen=True)
class Observation:
    """All an attack may use.

    study: every setting of the run, public to all who take part. shape, classes, cases: as hospitals described
    themselves (cases: of training, by hospital). models: by round, the parameters sent out at its start; the final
    model under `rounds + 1`. singles, sums, opaque: what came back, by what the observer could read of it.
    """

    observer: Observer
    study: Study
    shape: Shape
    classes: tuple[str, ...]
    cases: Mapping[SiteId, int]
    models: Mapping[int, Vector]
    singles: tuple[Single, ...] = ()
    sums: tuple[Summed, ...] = ()
    opaque: tuple[Opaque, ...] = ()
    orders: Mapping[int, Order] = field(default_factory=dict)

    @property
    def final_model(self) -> Vector:
        """The last model there is."""
        return self.models[max(self.models)]

    @property
    def sites(self) -> tuple[SiteId, ...]:
        """All hospitals, sorted."""
        return tuple(sorted(self.cases))


def observe(folder: Path, observer: Observer = "server", site: SiteId | None = None) -> Observation:
    """The observation of a finished run. site: which hospital is curious, for observer "hospital".

    Raises StudyError where the run recorded no traffic, and WireError where a message is damaged.
    """
    if observer not in get_args(Observer):
        raise StudyError(f"there is no observer {observer!r}; there are {', '.join(get_args(Observer))}.")
    if observer == "colluding":
        raise StudyError("what colluding hospitals see needs what they sent: take observer 'server' and `without`.")
    if observer == "cheating":
        raise StudyError("what hospitals answer to a server that cheats is in no recorded run; the audit plays it.")
    study = parse((folder / "study.toml").read_text(encoding="utf-8"))
    messages = tuple(_messages(folder / "traffic"))
    return _narrowed(_server(folder, study, messages), observer, site)


def sent_orders(folder: Path) -> dict[tuple[int, SiteId], Payload]:
    """The messages that asked for training, by round and hospital: the last, where one was repeated.

    Raises as `observe`.
    """
    found: dict[tuple[int, SiteId], Payload] = {}
    for message in _messages(folder / "traffic"):
        if message.kind == "train.round" and not message.to_server:
            order = from_payload(message.payload)
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


@dataclass(frozen=True)
class _Recorded:
    site: SiteId
    to_server: bool
    kind: str
    payload: Payload


def _messages(place: Path) -> Iterator[_Recorded]:
    index = place / "index.jsonl"
    if not index.is_file():
        raise StudyError(
            f"{place.parent.name} recorded no traffic: run the study with --set federation.record_traffic=true."
        )
    for line in index.read_text(encoding="utf-8").splitlines():
        entry: dict[str, Any] = json.loads(line)
        message: Message = from_bytes((place / entry["file"]).read_bytes())
        if message.has_content():
            payload = from_records(message.content, LARGEST, LARGEST)
            yield _Recorded(entry["site"], entry["direction"] == "to server", entry["type"], payload)


def _server(folder: Path, study: Study, messages: tuple[_Recorded, ...]) -> Observation:
    shape, classes, cases = _described(messages)
    length = Layout.of(new_network(study.build_task(), shape, study.seed)).length
    each = AGGREGATIONS.load(study.aggregation.name).reveals == "each"
    models: dict[int, Vector] = {}
    singles: list[Single] = []
    opaque: list[Opaque] = []
    asked: dict[SiteId, Order] = {}
    orders: dict[int, Order] = {}
    for message in messages:
        if message.kind == "train.round" and not message.to_server:
            order = from_payload(message.payload)
            asked[message.site] = order
            models.setdefault(order.round, order.parameters)
            if order.work is not None:
                orders.setdefault(order.round, order)
        elif message.to_server and message.payload.data is not None:
            leg = "round" if message.kind == "train.round" else str(message.payload.words.get("leg", "protocol"))
            number = asked[message.site].round if message.site in asked else 0
            opaque.append(Opaque(number, message.site, leg, message.payload.data))
        elif message.to_server and message.kind == "train.round" and each and message.payload.array is not None:
            single = _single(message, asked[message.site], length, cases)
            singles += [] if single is None else [single]
    models[study.rounds + 1] = _final(folder, study, shape)
    sums = _sums_of_singles(singles, models) if each else tuple(_recorded_sums(folder, models))
    return Observation("server", study, shape, classes, cases, models, tuple(singles), sums, tuple(opaque), orders)


def _described(messages: tuple[_Recorded, ...]) -> tuple[Shape, tuple[str, ...], dict[SiteId, int]]:
    cases: dict[SiteId, int] = {}
    shape = Shape((), 0)
    classes: tuple[str, ...] = ()
    for message in messages:
        if message.kind == "query.hello" and message.to_server and "shape" in message.payload.numbers:
            numbers, words = message.payload.numbers, message.payload.words
            inputs, names = numbers["shape"], words["classes"]
            assert isinstance(inputs, list) and isinstance(names, list)
            classes = tuple(names)
            shape = Shape(tuple(int(side) for side in inputs), len(classes))
            count = numbers["cases/train"]
            assert isinstance(count, int)
            cases[str(words["site"])] = count
    if not cases:
        raise StudyError("no hospital's description is in the recorded traffic.")
    return shape, classes, cases


def _single(message: _Recorded, order: Order, length: int, cases: Mapping[SiteId, int]) -> Single | None:
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


def _recorded_sums(folder: Path, models: Mapping[int, Vector]) -> Iterator[Summed]:
    """The sums that the server made of what it could not read singly; it keeps them beside the traffic."""
    for path in sorted((folder / "traffic" / "sums").glob("*.safetensors")):
        number = int(path.stem)
        tensors = load_file(path)
        record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        vectors = tuple(tensors[name] for name in sorted(tensors))
        yield Summed(number, tuple(record["sites"]), models[number], Update(vectors, float(record["weight"])))


def _final(folder: Path, study: Study, shape: Shape) -> Vector:
    """The published model, in the order of its parameters' names."""
    path = folder / "model.safetensors"
    if not path.is_file():
        raise StudyError(f"{folder.name} has no model.safetensors: it did not complete, and cannot be audited.")
    tensors = load_file(path)
    return np.concatenate([tensors[name].reshape(-1) for name in sorted(tensors)]).astype(np.float32)


def _narrowed(seen: Observation, observer: Observer, site: SiteId | None) -> Observation:
    """What is left for another observer than the server."""
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
