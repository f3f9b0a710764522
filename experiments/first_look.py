"""What `wardround check` looks at beside the study: a case of its hospitals, the network for it, and one loss.

Little is read: of a source that gives its data in parts, the first part of a hospital; nothing is prepared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import cast

import numpy as np
import torch
from torch import nn

from client.hospital import site_names
from client.pool import divided, key_of, numbered_names
from client.source import Source, Streaming
from client.source_abilities import streaming
from client.splitting import split
from common.data.cases import Batch, Cases, Quarantined, SiteId
from common.errors import SourceError, StudyError, WardroundError, first_line
from common.learning.abilities import can, couples, shown_shape
from common.learning.losses import augmented, case_losses, follow, groups_of
from common.learning.parameters import Layout, trainable
from common.learning.start import first_network
from common.learning.task import Task
from common.seeding import generator
from common.study.catalogue import SOURCES, TASKS
from common.study.held_out import WITHOUT_TEST
from common.study.study import Study

WHOLE_VALUES = 1 << 18
"""Numbers in inputs after which no further hospital is read, of a source that can only be read whole."""
PART_VALUES = 1 << 23
MOST_PARTS = 8
"""Parts of one hospital that are tried until one can be used."""
MOST_FILLED = 0.5
"""Share of a patch that may lie outside of a case."""


@dataclass
class Look:
    """What was seen: the first cases of some hospitals, why others have none, and who was not looked at.

    broken: whether there was data that could not be used. parameters: of the network for them, as it is sent.
    """

    cases: dict[SiteId, Cases] = field(default_factory=dict)
    without: dict[SiteId, str] = field(default_factory=dict)
    broken: bool = False
    unseen: list[SiteId] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    parameters: int = 0


def first_look(study: Study) -> tuple[str, ...]:
    """What was looked at, in sentences. Raises StudyError where the data, the task and its network do not fit.

    Data that are absent are said; the rest of a study can be checked without them.
    """
    source = cast(Source, SOURCES.build(study.source))
    if study.partition is None and not source.has_sites:
        return ("Its data are in its hospitals, so that no case was looked at.",)
    try:
        look = _look(study, source)
    except SourceError as error:
        return (f"Its data are not here, so that no case was looked at: {error}",)
    if look.without and not look.cases and not look.broken:
        return (f"Its data are not here, so that no case was looked at: {next(iter(look.without.values()))}",)
    _demand_data(look)
    if not look.cases:
        return tuple(look.remarks)
    remarks = _demand_fit(study, look)
    return (_seen(look), *look.remarks, *remarks, *_scored(study, look), *_sent(study, look.parameters))


def _sent(study: Study, parameters: int) -> tuple[str, ...]:
    """How much will travel, and how what is large does."""
    # Flower, which writes messages, takes seconds to import, and is needed where a network was built alone.
    from common.sums.cohorts import Cohorts
    from experiments.message_sizes import message_sizes
    from experiments.traffic_ahead import traffic_facts

    cohorts = Cohorts.of(study, study.federation.names or site_names(study))
    hospitals = len(cohorts.of_round(1).sites)
    return (*traffic_facts(study, cohorts, parameters), *message_sizes(study, parameters, hospitals))


def _look(study: Study, source: Source) -> Look:
    if study.partition is None:
        return _of_sites(source, site_names(study), study.seed)
    if (parted := streaming(source)) is not None:
        look = Look(remarks=["[partition] was not looked at: it needs all cases."])
        _add_part(look, parted, None, "the pool", study.seed)
        return look
    return _of_pool(study)


def _of_pool(study: Study) -> Look:
    cases, hospital_of_case = divided(key_of(json.loads(study.json)))
    look = Look()
    names = numbered_names(len(site_names(study)))
    counts = np.bincount(hospital_of_case, minlength=len(names))
    for index, name in enumerate(names):
        if not counts[index]:
            look.without[name] = "the partition gives it none of the cases; lower partition.hospitals"
    first = int(counts.argmax())
    look.cases[names[first]] = cases.take(np.flatnonzero(hospital_of_case == first))
    return look


def _of_sites(source: Source, sites: tuple[SiteId, ...], seed: int) -> Look:
    look, values, parted = Look(), 0, streaming(source)
    for site in sites:
        if values >= (WHOLE_VALUES if parted is None else PART_VALUES):
            look.unseen.append(site)
            if parted is not None and not parted.files(site):
                look.without[site] = "it has no file"
        elif parted is not None:
            _add_part(look, parted, site, site, seed)
        else:
            _add_whole(look, source, site, seed)
        if site in look.cases:
            values += look.cases[site].most_values * len(look.cases[site])
    return look


def _add_whole(look: Look, source: Source, site: SiteId, seed: int) -> None:
    try:
        cases = source.cases(site, seed)
    except SourceError as error:
        look.without[site] = str(error)
        return
    if len(cases):
        look.cases[site] = cases
    else:
        look.broken = True
        look.without[site] = "; ".join(f"{one.name}: {one.reason}" for one in cases.quarantined[:3]) or "no case"


def _add_part(look: Look, source: Streaming, site: SiteId | None, name: SiteId, seed: int) -> None:
    reasons = []
    try:
        for number, part in enumerate(source.parts(site, seed)):
            if isinstance(part, Cases) and len(part):
                look.cases[name] = part
                return
            look.broken = True
            left_out = [part] if isinstance(part, Quarantined) else part.quarantined
            reasons += [f"{one.name}: {one.reason}" for one in left_out]
            if number + 1 == MOST_PARTS:
                look.unseen.append(name)
                look.remarks.append(f"None of the first {MOST_PARTS} cases of {name} can be used ({reasons[0]}).")
                return
    except SourceError as error:
        reasons.append(str(error))
    look.without[name] = "; ".join(reasons[:3]) or "it has no case"


def _demand_data(look: Look) -> None:
    if look.without:
        count = len(look.without)
        named = " ".join(f"{site}: {reason.rstrip('.')}." for site, reason in list(look.without.items())[:3])
        more = f" And {count - 3} others." if count > 3 else ""
        said = "1 of the study's hospitals has" if count == 1 else f"{count} of the study's hospitals have"
        raise StudyError(f"{said} no case that can be used. {named}{more}")


def _demand_fit(study: Study, look: Look) -> tuple[str, ...]:
    task = study.build_task()
    forms: dict[SiteId, Mapping[str, tuple[int, ...]]] = {}
    remarks: list[str] = []
    for site, cases in look.cases.items():
        _demand_classes(site, cases)
        remarks += _filled(task, site, cases)
        forms[site], look.parameters = _learns(study, task, site, cases)
    first = next(iter(forms))
    for site, form in forms.items():
        if form != forms[first] or look.cases[site].classes != look.cases[first].classes:
            raise StudyError(
                f"one model cannot fit both hospital {first!r}, of {_in_words(look.cases[first])}, and hospital "
                f"{site!r}, of {_in_words(look.cases[site])}."
            )
    return tuple(dict.fromkeys(remarks))


def _scored(study: Study, look: Look) -> tuple[str, ...]:
    """Where no hospital that was looked at, whole, has a patient to spare for what the study scores."""
    wanted = study.split.test > 0 and study.rounds > 0 and not study.split.is_by_hospital
    if not wanted or streaming(cast(Source, SOURCES.build(study.source))) is not None:
        return ()
    if any(len(split(cases, study.split, study.seed)["test"]) for cases in look.cases.values()):
        return ()
    return (f"No hospital that was looked at has a patient for a test: {WITHOUT_TEST}",)


def _demand_classes(site: SiteId, cases: Cases) -> None:
    if not cases.classes or cases.columns["targets"].dtype.kind not in "iu":
        return
    for piece in cases.pieces("targets"):
        low, high = (int(piece.min()), int(piece.max())) if piece.size else (0, 0)
        if low < 0 or high >= len(cases.classes):
            raise StudyError(
                f"hospital {site!r} has class {low if low < 0 else high}, and the study's classes are 0 to "
                f"{len(cases.classes) - 1} ({', '.join(cases.classes)}): name all of them, or mend the labels."
            )


def _filled(task: Task, site: SiteId, cases: Cases) -> Iterator[str]:
    if not can(task, "network_shape"):
        return
    sides = tuple(cases.batch(slice(0, 1)).each("inputs")[0].shape[1:])
    patch = shown_shape(task, cases.shape).inputs[1:]
    if len(patch) != len(sides) or 0 in patch:
        return
    if all(side <= length for side, length in zip(patch, sides, strict=True)):
        return
    inside = prod(min(side, length) for side, length in zip(patch, sides, strict=True)) / prod(patch)
    said = f"task.patch is {list(patch)}, larger than the first case of hospital {site!r}, {list(sides)}"
    if 1 - inside > MOST_FILLED:
        raise StudyError(f"{said}: {100 * (1 - inside):.0f} % of what the network is shown would be filler.")
    yield f"{said[0].upper()}{said[1:]}: what is missing is filled in."


def _learns(study: Study, task: Task, site: SiteId, cases: Cases) -> tuple[Mapping[str, tuple[int, ...]], int]:
    """Shapes of the parameters of a network for these cases, once it had a loss for the first, and their number."""
    batch = cases.batch(slice(0, 1))
    try:
        network = first_network(study, task, shown_shape(task, cases.shape))
        network.train()
        with torch.no_grad():
            shown = augmented(task, batch, generator(study.seed, "first look"))
            loss = task.loss(network, shown)
            for group in groups_of(task, network):
                case_losses(task, network, shown, group.name)
            follow(task, network)
        _demand_alone(study, task, network, cases)
    except WardroundError as error:
        raise StudyError(f"hospital {site!r} has {_in_words(cases)}. {error}") from error
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError, MemoryError) as error:
        line = first_line(error)
        raise StudyError(
            f"task {study.task.name!r} cannot learn from hospital {site!r}, which has {_in_words(cases)}. "
            f"{type(error).__name__}: {line}"
        ) from error
    _demand_loss(study, site, batch, loss)
    return {name: tuple(parameter.shape) for name, parameter in trainable(network)}, Layout.of(network).length


def _demand_alone(study: Study, task: Task, network: nn.Module, cases: Cases) -> None:
    """Privacy for one person, and the audit, rest on a case's loss being its own: a plug-in is tried on two."""
    if couples(task) or TASKS.digest(study.task.name) is None or len(cases) < 2 or cases.most_values > WHOLE_VALUES:
        return
    network.eval()
    with torch.no_grad():
        two = augmented(task, cases.batch(slice(0, 2)), generator(study.seed, "first look at two"))
        together = task.loss(network, two)
        alone = torch.cat([task.loss(network, two.take([index])) for index in range(2)])
    if together.shape == alone.shape and not torch.allclose(together, alone, rtol=1e-3, atol=1e-5, equal_nan=True):
        raise StudyError(
            f"task {study.task.name!r}: the loss of a case depends on what other cases are in its batch "
            f"({together.tolist()} together, {alone.tolist()} alone). If that is meant, the task must say so, "
            "`couples: ClassVar[bool] = True`."
        )


def _demand_loss(study: Study, site: SiteId, batch: Batch, loss: torch.Tensor) -> None:
    if tuple(loss.shape) != (1,):
        raise StudyError(
            f"task {study.task.name!r} must answer one loss a case; for one case of hospital {site!r} its losses "
            f"have shape {tuple(loss.shape)}."
        )
    if not all(bool(one.isfinite().all()) for one in batch.each("inputs")):
        raise StudyError(f"the first case of hospital {site!r} holds a number that is not finite (NaN or infinite).")
    if not bool(loss.isfinite().all()):
        raise StudyError(f"the loss of the first case of hospital {site!r} is {loss.item()}: nothing can be learned.")


def _in_words(cases: Cases) -> str:
    inputs, targets = cases.columns["inputs"], cases.columns["targets"]
    channels, *sides = inputs.item
    shown = f"inputs of {channels} features"
    if sides:
        shown = f"inputs of shape {channels} x {_times(sides)}"
    if cases.unlabelled:
        return f"{shown} without labels"
    if len(targets.item) == 1 and targets.dtype.kind not in "iu":
        return f"{shown} with {targets.item[0]} real numbers a case"
    if targets.item:
        kind = "masks" if targets.dtype.kind in "iu" else "images"
        return f"{shown} with {kind} of {_times(targets.item)} as targets"
    if cases.classes:
        return f"{shown} with one of {len(cases.classes)} classes a case ({', '.join(cases.classes[:8])})"
    return f"{shown} with a real number a case"


def _times(sides: Sequence[int]) -> str:
    return " x ".join(str(side) if side else "any" for side in sides)


def _seen(look: Look) -> str:
    first = next(iter(look.cases.values()))
    said = f"Looked at cases of {_listed(list(look.cases))}: {_in_words(first)}. The network fits, and has a loss."
    return said + (f" Not looked at: {_listed(look.unseen)}." if look.unseen else "")


def _listed(names: list[SiteId]) -> str:
    return ", ".join(names) if len(names) <= 8 else f"{', '.join(names[:6])} and {len(names) - 6} others"
