"""What `wardround evaluate` makes of a study and a model: settings in the place of those for training."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client.hospital import site_names
from common.errors import SourceError, StudyError
from common.files.access import is_there, read_text
from common.files.json_files import read_table
from common.learning.start import MODEL_FILE
from common.study.catalogue import NETWORKS
from common.study.options import Entry
from common.study.own_weights import networks_of
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
UNKNOWN = (
    "Nothing here says whom this model learned from: scores of patients who were among them are better than on new "
    "ones."
)


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
    trained = _trained_in(model)
    run = _run_table(trained)
    first = parse(text, [*own, *given], beside)
    if run is not None and "network" not in first.task.options:
        own += _network(run, first)
    if "scores" not in first.task.options and first.task.name in SCORES:
        own.append(f"task.scores={json.dumps(list(SCORES[first.task.name]))}")
    whole = with_whole_folder(parse(text, [*own, *given], beside), file)
    split, remarks = _split(run, trained, whole, said)
    own += [f"description={json.dumps(' '.join([whole.description, *remarks]).strip())}"] if remarks else []
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


def _trained_in(model: Path) -> Path:
    """The run folder that the model lies in, which may be named by its model's file; else the model."""
    return model.parent if model.name == MODEL_FILE and is_there(model.parent, "study.toml") else model


def _run_table(model: Path) -> dict[str, Any] | None:
    """The study of a run folder of ours; None where there is none."""
    if not model.is_dir() or not is_there(model, "study.toml"):
        return None
    try:
        return tomllib.loads(read_text(model, "study.toml"))
    except (ValueError, RecursionError) as error:
        raise StudyError(f"{model / 'study.toml'} is not valid TOML: {str(error)[:200]}") from error


def _network(run: Mapping[str, Any], study: Study) -> Iterator[str]:
    """The network that the model was trained with, where it is one of ours.

    A folder's own code is not run, nor is a file opened that it names: TorchScript is a program.
    """
    task = run.get("task")
    network = task.get("network") if isinstance(task, Mapping) and task.get("name") == study.task.name else None
    name = network.get("name") if isinstance(network, Mapping) else network
    if isinstance(name, str) and all(map(_is_ours, networks_of(Entry("", {"network": network})))):
        yield f"task.network={_inline(network)}"


def _is_ours(network: Entry) -> bool:
    return network.name in NETWORKS.names() and not getattr(NETWORKS.load(network.name), "has_weights", False)


def _split(
    run: Mapping[str, Any] | None, model: Path, study: Study, said: Collection[str]
) -> tuple[list[str], list[str]]:
    """Everybody is scored, but at hospitals that trained the model, where those are whom it never learned from.

    said: what the study, or whoever evaluates, decided. Where somebody may be scored who was trained on, or nobody
    can know, a remark says so.
    """
    own = [] if "split" in said else ["split.validation=0.0", "split.test=1.0"]
    if run is None:
        return own, [UNKNOWN]
    try:
        sites = study.federation.names or site_names(study)
    except SourceError:
        sites = ()
    there = set(_sites_of(model)) & set(sites)
    if not there:
        return own, []
    named = ", ".join(sorted(there)[:MOST_NAMED]) + ", ..." * (len(there) > MOST_NAMED)
    begin = f"This model was trained at hospitals of the names {named}"
    kept = run.get("split")
    if "split" not in said:
        own = [f"split.{key}={json.dumps(value)}" for key, value in kept.items()] if isinstance(kept, Mapping) else []
    seed = run.get("seed", 0)
    if type(seed) is not int or seed < 0:
        raise StudyError(f"{model / 'study.toml'} is not the study of a run: its seed is no whole number.")
    own += [] if "seed" in said else [f"seed={seed}"]
    if unlike := _placed_otherwise(run, study, said):
        return own, [
            f"{begin}, and {unlike}: patients whom it learned from are among those scored, and scores are "
            "better than on new ones."
        ]
    remark = (
        f"{begin}: everywhere only the patients are scored that its run kept for validation and test. Where these "
        "are others, score all with --set split.validation=0.0 --set split.test=1.0."
    )
    return own, [remark]


def _placed_otherwise(run: Mapping[str, Any], study: Study, said: Collection[str]) -> str:
    """What places patients otherwise than the run did; "" where nothing does."""
    now = json.loads(study.json)
    placing = [key for key in ("split", "seed") if key in said] + ["source", "partition"]
    unlike = [key for key in placing if _without_folder(now.get(key)) != _without_folder(run.get(key))]
    verb = "is" if len(unlike) == 1 else "are"
    return f"{' and '.join(unlike)} {verb} not what its run had" if unlike else ""


def _without_folder(value: Any) -> Any:
    return {key: held for key, held in value.items() if key != "folder"} if isinstance(value, Mapping) else value


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
