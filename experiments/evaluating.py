"""What `wardround evaluate` makes of a study and a model: settings in the place of those for training."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client.hospital import site_names
from common.errors import SourceError, StudyError
from common.files.access import is_there, read_text
from common.files.json_files import read_table
from common.study.catalogue import NETWORKS
from common.study.study import Study, keys_of, parse
from experiments.places import with_whole_folder

FOREIGN = {".onnx": "onnx", ".pt": "torchscript", ".pth": "torchscript", ".ts": "torchscript"}
SCORES: Mapping[str, Sequence[str]] = {
    "classification": (
        *("accuracy", "recall", "precision", "specificity", "f1"),
        *("brier", "calibration", "decision", "confusion"),
    ),
    "regression": ("mae", "rmse", "r2", "calibration"),
    "survival": ("brier", "auc", "c_index"),
}
"""What is scored of a task whose study does not say; of others what they score by themselves."""
ALONE = (
    "rounds=0",
    "baselines.local=false",
    "baselines.pooled=false",
    "audit.after_run=false",
    "federation.final_intervals=true",
    "privacy=none",
    "training.freeze=[]",
)
MOST_NAMED = 4


@dataclass(frozen=True)
class Evaluation:
    """overrides: of the study, as for --set. remarks: what was decided, in sentences."""

    overrides: tuple[str, ...]
    remarks: tuple[str, ...]


def evaluation_of(model: Path, text: str, given: Sequence[str], file: Path | None) -> Evaluation:
    """text: of the study, and the file it is from, if any. given: overrides of its user, which stand.

    Raises StudyError for what is no model.
    """
    beside = None if file is None else file.parent
    own = [*ALONE, *_model(model)]
    said = keys_of(text, given)
    run = _run_table(model)
    first = parse(text, [*own, *given], beside)
    if run is not None and "network" not in first.task.options:
        own += _network(run, first)
    if "scores" not in first.task.options and first.task.name in SCORES:
        own.append(f"task.scores={json.dumps(list(SCORES[first.task.name]))}")
    if "split" in said:
        return Evaluation((*own, *given), ())
    whole = with_whole_folder(parse(text, [*own, *given], beside), file)
    split, remarks = _split(run, model, whole, "seed" in said)
    return Evaluation((*own, *split, *given), tuple(remarks))


def _model(model: Path) -> Iterator[str]:
    path = str(model.expanduser().absolute())
    if model.is_dir() or model.suffix == ".safetensors":
        yield f"start={{ model = {json.dumps(path)} }}"  # nothing of the model that the study begins from
        return
    if model.suffix.lower() not in FOREIGN:
        raise StudyError(
            f"{model} is no model: name a run folder, or a file that ends in .safetensors, .onnx (ONNX) or .pt "
            "(TorchScript)."
        )
    if not model.exists():
        raise StudyError(f"there is no file {model}.")
    yield f'task.network={{ name = "{FOREIGN[model.suffix.lower()]}", file = {json.dumps(path)} }}'


def _run_table(model: Path) -> dict[str, Any] | None:
    """The study of a run folder of ours; None where there is none."""
    if not model.is_dir() or not is_there(model, "study.toml"):
        return None
    try:
        return tomllib.loads(read_text(model, "study.toml"))
    except (ValueError, RecursionError) as error:
        raise StudyError(f"{model / 'study.toml'} is not valid TOML: {str(error)[:200]}") from error


def _network(run: Mapping[str, Any], study: Study) -> Iterator[str]:
    """The network that the model was trained with, where it is one of ours: a folder's own code is not run."""
    task = run.get("task")
    network = task.get("network") if isinstance(task, Mapping) and task.get("name") == study.task.name else None
    name = network.get("name") if isinstance(network, Mapping) else network
    if name in NETWORKS.names():
        yield f"task.network={_inline(network)}"


def _split(run: Mapping[str, Any] | None, model: Path, study: Study, has_seed: bool) -> tuple[list[str], list[str]]:
    """Everybody is scored, but at hospitals that trained the model, where those are whom it never learned from."""
    try:
        sites = study.federation.names or site_names(study)
    except SourceError:
        sites = ()
    there = set(_sites_of(model)) & set(sites)
    if run is None or not there:
        return ["split.validation=0.0", "split.test=1.0"], []
    named = ", ".join(sorted(there)[:MOST_NAMED]) + ", ..." * (len(there) > MOST_NAMED)
    kept = run.get("split")
    own = [f"split.{key}={json.dumps(value)}" for key, value in kept.items()] if isinstance(kept, Mapping) else []
    own += [] if has_seed else [f"seed={int(run.get('seed', 0))}"]
    remark = (
        f"This model was trained at hospitals of the names {named}: everywhere only the patients are scored that its "
        "run kept for validation and test. Where these are others, score all with --set split.validation=0.0 --set "
        "split.test=1.0."
    )
    return own, [remark]


def _sites_of(model: Path) -> Iterable[str]:
    if not model.is_dir():
        return ()
    listed = read_table(model, "roster.json").get("sites")
    return [str(one.get("site")) for one in listed if isinstance(one, dict)] if isinstance(listed, list) else ()


def _inline(value: Any) -> str:
    """As TOML, in one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(str(key))} = {_inline(held)}" for key, held in value.items()) + " }"
    return json.dumps(value)
