"""A pretraining run as it is probed: its study, its hospitals, its encoder and others, and studies of few labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from client.features import encoder_from, records_with
from client.hospital import Hospital, open_hospital, site_names
from common.asking.analysis import Public
from common.asking.levels import CLASS
from common.asking.public import public_of
from common.asking.records import Records
from common.errors import RefusedError, StudyError
from common.files.access import private_folder, read_text
from common.files.tensor_files import write_tensors
from common.learning.client_work import Training
from common.learning.device import chosen, repeatable
from common.learning.parameters import kept, new_network
from common.learning.start import MODEL_FILE, Taken, read_start
from common.study.audit_settings import Audit
from common.study.options import Entry
from common.study.report_settings import Report
from common.study.start import Start
from common.study.study import Baselines, Study, parse
from experiments.engines._pooled import pooled_network
from experiments.places import with_whole_folder

STUDY = "study.toml"
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Studied:
    """folder: of the run. study: its own, on this machine's data."""

    folder: Path
    study: Study

    @classmethod
    def of(cls, folder: Path) -> Studied:
        """Raises StudyError where it is no run whose encoder could be probed here."""
        if not (folder / MODEL_FILE).is_file():
            raise StudyError(f"{folder} is no run folder with a model ({MODEL_FILE}): name one of a pretraining run.")
        study = with_whole_folder(parse(read_text(folder, STUDY)))
        if study.federation.roster:
            raise StudyError(
                "the run's hospitals are real, and their data are not here: probe it with questions that they "
                'approve, [[analyses]] name = "probe_logistic" in a study with [start] (docs/selfsupervision.md).'
            )
        if not isinstance(getattr(study.build_task(), "network", None), Entry):
            raise StudyError(f"task {study.task.name!r} has no network of which an encoder could be taken.")
        return cls(folder, study)

    @cached_property
    def hospitals(self) -> tuple[Hospital, ...]:
        """All of the study, sorted. Raises StudyError where their cases have no classes."""
        found = tuple(open_hospital(self.study.json, index) for index in range(len(site_names(self.study))))
        if found[0].train.unlabelled:
            raise StudyError(
                "the run read images alone (source.unlabelled), and a probe needs some labels: where they are, "
                'ask [[analyses]] name = "probe_logistic" in a study of them with [start] model = this run, or '
                "train on from it (docs/selfsupervision.md)."
            )
        if not found[0].train.classes or found[0].train.columns["targets"].item:
            raise StudyError(
                "the run's cases have no class each, as where they are outlined, and a probe tells classes apart: "
                "train on few labels from the encoder instead ([start] and training.label_share)."
            )
        return found

    @property
    def classes(self) -> tuple[str, ...]:
        """Of the cases."""
        return self.hospitals[0].train.classes

    @cached_property
    def public(self) -> Public:
        """What everybody knows; in simulation the classes as well, also where only the data name them."""
        found = public_of(self.study, [one.site for one in self.hospitals])
        return replace(found, levels={**found.levels, CLASS: self.classes})

    def pretrained(self) -> torch.nn.Module:
        """The run's own encoder."""
        taken = read_start(Start(str(self.folder)))
        return encoder_from(self.study, self._shape, taken)

    def untrained(self, draw: int) -> torch.nn.Module:
        """The same network as a seed draws it; that of draw 0 is the one that the run began with."""
        return encoder_from(self.study, self._shape, None, self.study.seed + draw)

    def pooled(self) -> torch.nn.Module:
        """Pretrained on all hospitals' cases together, as often as the federation was."""
        device = chosen()
        with repeatable(device):
            network = pooled_network(self.study, self.hospitals, device)
        taken: Taken = {name: one.detach().cpu().numpy() for name, one in kept(network)}
        return encoder_from(self.study, self._shape, taken)

    def tables(self, encoder: torch.nn.Module) -> tuple[Records, ...]:
        """Every hospital's cases with their features. Raises StudyError where they do not fit."""
        try:
            return tuple(records_with(hospital, encoder) for hospital in self.hospitals)
        except RefusedError as error:
            raise StudyError(str(error)) from error

    @cached_property
    def own_tables(self) -> tuple[Records, ...]:
        """Of the run's own encoder."""
        return self.tables(self.pretrained())

    def supervised(self, share: float, draw: int, rounds: int, training: Training) -> Study:
        """The study of the run's network on classes, with few labels, from scratch."""
        network: Any = getattr(self.study.build_task(), "network")  # noqa: B009 - no member of the role
        task = Entry("classification", {"network": {"name": network.name, **network.options}})
        return replace(
            self.study,
            task=task,
            rounds=rounds,
            strategy=Entry("fedavg"),
            aggregation=Entry("plain"),
            privacy=None,
            engine="inline",
            server_schedule=None,
            stopping=None,
            fine_tuning=None,
            start=None,
            baselines=Baselines(),
            audit=Audit(),
            report=Report(),
            analyses=(),
            federation=replace(
                self.study.federation,
                evaluate_every=0,
                final_intervals=False,
                record_traffic=False,
                stop_at_score=None,
                stop_on_collapse=False,
            ),
            training=replace(training, label_share=share, label_draw=draw),
        )

    def begun(self, study: Study, coefficients: Values, intercepts: Values, file: Path) -> Study:
        """A study from the run's encoder, behind it the probe as the last layer (Kumar et al. 2022, "LP-FT": a last
        layer that is drawn distorts what was pretrained before it has learned anything).

        coefficients: (K, D), or (1, D) of two classes. Raises StudyError where the network ends otherwise.
        """
        network = new_network(study.build_task(), self._shape, study.seed)
        own = encoder_from(self.study, self._shape, read_start(Start(str(self.folder)))).float().state_dict()
        tensors = {name: own[name].numpy() for name, _ in network.named_parameters() if name in own}
        last = {name: tuple(one.shape) for name, one in network.named_parameters() if name not in own}
        if len(coefficients) == 1:
            coefficients, intercepts = (np.concatenate([-one / 2, one / 2]) for one in (coefficients, intercepts))
        for name, shape in last.items():
            head = coefficients if len(shape) == 2 else intercepts
            if head.shape != shape:
                raise StudyError(f"the network's {name} is of shape {list(shape)}, and no last layer of classes.")
            tensors[name] = head.astype(np.float32)
        private_folder(file.parent)
        write_tensors(file.parent, file.name, tensors)
        return replace(study, start=Start(str(file)))

    @property
    def _shape(self) -> Any:
        return self.hospitals[0].train.shape
