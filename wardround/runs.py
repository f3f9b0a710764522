"""Runs: begun from Python, or read from the folder that one left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from rich.console import Console

from common.data.cases import Shape
from common.errors import StudyError
from common.files.access import kept_private, read_text
from common.files.tensor_files import read_tensors
from common.learning.parameters import new_network
from common.study.plugins import ANYTHING, NOTHING, trusting
from common.study.study import Study, parse
from experiments.prediction.trained import demand_room, put
from experiments.running.run import run_study
from server.app import new_default_folder, progress
from server.reporting.folder import read_run
from server.reporting.losses import Losses
from server.reporting.records import Run as Record
from server.reporting.wording import score, score_name
from wardround.studies import chosen

if TYPE_CHECKING:
    from experiments.audit.records import Report

MODEL = "model.safetensors"
CASES_AT_ONCE = 256


def run(
    given: Study | str | Path | None = None,
    /,
    *,
    folder: str | Path | None = None,
    show: bool = True,
    **settings: Any,
) -> Run:
    """Run a study and return what it left.

    Args:
        given: a TOML file, a shipped study's name, or a Study; none where `settings` say all.
        folder: of the run; `runs/<study>/<time>` if not given.
        show: a live table while it runs.
        settings: as in `wardround.study`: run("heart", rounds=5, strategy="fedadam", training={"epochs": 2}).

    Raises:
        WardroundError: the study cannot be run, or the run cannot be completed.
    """
    asked = chosen(given, settings)
    place = new_default_folder(asked.name) if folder is None else Path(folder)
    with kept_private(), trusting(ANYTHING), _shown(show, place, asked.remarks):
        run_study(asked.study, asked.name, place)
    return Run(place, trusted=True)


def load(folder: str | Path, *, trust_code: bool = False) -> Run:
    """The run in a folder.

    Args:
        folder: of a run, or what `wardround.run` was given.
        trust_code: run the plug-ins that its study names, code of whoever made it.

    Raises:
        WardroundError: it is no run folder, or one that somebody changed.
    """
    found = Run(Path(folder), trust_code)
    _ = found.record
    return found


@contextmanager
def _shown(show: bool, folder: Path, remarks: Sequence[str]) -> Iterator[None]:
    if not show:
        yield
        return
    from experiments.running.live_table import LiveTable

    console = Console()
    for remark in remarks:
        console.print(remark, markup=False, highlight=False)
    with LiveTable(console, folder) as table:
        progress.subscribe(table)
        try:
            yield
        finally:
            progress.unsubscribe(table)


@dataclass(frozen=True)
class Run:
    """What a run left in its folder.

    Attributes:
        folder: where it is.
        trusted: whether plug-ins that its study names may be run here.
    """

    folder: Path
    trusted: bool = False

    @cached_property
    def record(self) -> Record:
        """All of the run's files, as the report reads them."""
        return read_run(self.folder)

    @cached_property
    def study(self) -> Study:
        """The study as it was run."""
        with self._trusting():
            return parse(read_text(self.folder, "study.toml"))

    @property
    def state(self) -> str:
        """ "completed", "stopped" or "failed"."""
        return self.record.about.state

    @property
    def problems(self) -> tuple[str, ...]:
        """What was lost on the way, in sentences; () where all went well."""
        return tuple(Losses(self.record).sentences)

    @property
    def scores(self) -> Mapping[str, float]:
        """Of the final model, over the test patients of all hospitals together, the study's headline first."""
        return self._of("test")

    @property
    def scores_by_hospital(self) -> Mapping[str, Mapping[str, float]]:
        """As `scores`, of each hospital whose own are known: none where only sums are revealed."""
        found = self.record.final.get("test")
        return {} if found is None else dict(found.sites)

    @property
    def rounds(self) -> list[dict[str, Any]]:
        """A row a round, for a person or for `pandas.DataFrame(run.rounds)`.

        round, hospitals, train_loss, seconds, bytes_sent, bytes_received; and where the round evaluated, the scores
        of the model it began from, by split: validation_dice, ...
        """
        return [_row(one) for one in self.record.rounds]

    @property
    def report(self) -> Path:
        """The page for people."""
        return self.folder / "report.html"

    def model(self) -> torch.nn.Module:
        """The trained network, in evaluation mode, on the CPU.

        Raises:
            WardroundError: the run left no model, or its study names plug-ins and they are not trusted.
        """
        with self._trusting():
            study, found = self.study, read_tensors(self.folder, MODEL).tensors
            demand_room(study.build_task(), self._shape, found, self.folder / MODEL)
            network = new_network(study.build_task(), self._shape, study.seed, study.training)
        put(network, found, self.folder / MODEL)
        return network.eval()

    def predict(self, inputs: ArrayLike | torch.Tensor) -> NDArray[Any]:
        """What the model says of prepared cases, as the hospitals' sources prepare them.

        For files use `wardround predict`, which prepares them too.

        Args:
            inputs: (N, channels, ...) or (N, features), taken as float32.

        Returns:
            (N, ...) class indices, int64, or real numbers, float32, as the study's task predicts.

        Raises:
            WardroundError: as `model`.
        """
        network = self.model()
        with self._trusting():
            task = self.study.build_task()
        given = torch.as_tensor(np.asarray(inputs), dtype=torch.float32)
        with torch.no_grad():
            parts = [task.predict(network, part).numpy() for part in torch.split(given, CASES_AT_ONCE)]
        return np.concatenate(parts) if parts else np.empty(0)

    def counterfactual(
        self, images: ArrayLike, causes: ArrayLike, **actions: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What images would have been, had causes been set: counterfactual(images, causes, thickness=4).

        Args:
            images: (N, C, H, W), from 0 to 1.
            causes: (N, K), in the order and the units of the study's task.
            actions: what each cause that is named is set to, in its own unit; for all N alike.

        Returns:
            Images (N, C, H, W) from 0 to 1 and causes (N, K), float32, as both would have been.

        Raises:
            WardroundError: a run of another task than `deep_scm`, or an unknown cause.
        """
        from common.causality.deep.model import DeepModel

        network = self.model()
        if not isinstance(network, DeepModel):
            raise StudyError(f"{self.folder} is no run of task 'deep_scm': it knows no causes.")
        given = [torch.as_tensor(np.asarray(one), dtype=torch.float32) for one in (images, causes)]
        with torch.no_grad():
            made, acted = network.counterfactual(given[0], given[1], actions)
        return made.clamp(0, 1).numpy(), acted.numpy()

    def audit(self, seconds: float | None = None, pictures: bool = True) -> Report:
        """Attack what crossed the wire, and write `audit.html` and `audit.json` into the run's folder.

        The run must have recorded its traffic: run(..., federation={"record_traffic": True}).

        Args:
            seconds: of attacks, about; as the study says, where not given.
            pictures: whether the page shows reconstructed images.

        Returns:
            What was found: questions, trials, and the verdict.

        Raises:
            WardroundError: the run recorded no traffic, or cannot be read.
        """
        from experiments.audit.conduct import Effort, audit_run
        from experiments.audit.report.page import write

        with self._trusting(), kept_private():
            found = audit_run(self.folder, Effort(seconds, pictures))
            write(found, self.folder)
        return found

    @property
    def _shape(self) -> Shape:
        roster = self.record.roster
        if not roster.shape:
            raise StudyError(f"{self.folder} does not say what shape its cases have: its run ended before the start.")
        return Shape(tuple(roster.shape), len(roster.classes))

    def _of(self, split: str) -> dict[str, float]:
        found = self.record.final.get(split)
        if found is None:
            return {}
        headline = self.record.about.headline
        return dict(sorted(found.pooled.items(), key=lambda pair: pair[0] != headline))

    @contextmanager
    def _trusting(self) -> Iterator[None]:
        with trusting(ANYTHING if self.trusted else NOTHING):
            yield

    def __repr__(self) -> str:
        about = self.record.about
        shown = ", ".join(f"{name} {score(value)}" for name, value in list(self.scores.items())[:3])
        return f"<Run {about.title!r}: {about.state}, {self.record.rounds_done} rounds; {shown} in {self.folder}>"

    def _repr_html_(self) -> str:
        """In a notebook: the scores as a table, and where the report is."""
        rows = "".join(
            f"<tr><th>{escape(score_name(name))}</th><td>{score(value)}</td></tr>"
            for name, value in self.scores.items()
        )
        title = escape(self.record.about.title)
        return f"<p><b>{title}</b>: {escape(self.state)}</p><table>{rows}</table><p>{escape(str(self.report))}</p>"


def _row(one: Any) -> dict[str, Any]:
    from server.reporting.curves import training_mean

    row = {
        "round": one.number,
        "hospitals": len(one.contributed),
        "train_loss": training_mean(one, "loss"),
        "seconds": one.seconds.get("total", sum(one.seconds.values())),
        "bytes_sent": one.sent,
        "bytes_received": one.received,
    }
    if one.evaluation is not None:
        row |= {f"{one.evaluation.split}_{name}": value for name, value in one.evaluation.pooled.items()}
    return row
