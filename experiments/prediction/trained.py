"""A trained network out of a run folder, a bundle, or a hospital's `models/`, that may come from anybody.

Nothing of it is believed: files are read through `common.files`, the study's entries are built with plug-ins refused
unless `common.study.plugins.trusting` says otherwise, and no room is made for a network before its parameters are
found to be those of the file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from client.new_cases import Learned
from client.source import Source
from common.data.cases import Shape
from common.errors import FileError, StudyError, first_line
from common.files import access as files
from common.files.json_files import read_table
from common.files.tensor_files import Tensors, read_tensors
from common.learning.freezing import freeze
from common.learning.parameters import digest, keep_apart, kept, new_network, read
from common.learning.task import Task
from common.study.catalogue import SOURCES, TASKS
from common.study.options import Entry, convert
from common.study.plugins import current_trust, expecting, noted

STUDY, MODEL, ROSTER, ABOUT = "study.toml", "model.safetensors", "roster.json", "about.json"
BUNDLED = "wardround"
"""The folder of a bundle in which the files of its run folder are."""
UNSIGNED = "This model came without a signature that this hospital could check: it has no list of members."
MOST_OF_FILE = 16
"""How many times the file's parameters, beside MOST_NUMBERS, a network may have: frozen ones are not in the file."""
MOST_NUMBERS, LONGEST_AXIS, MOST_CLASSES, LONGEST_NAME = 1 << 28, 1 << 16, 1024, 100


@dataclass(frozen=True, eq=False)
class Trained:
    """folder: where study, model and roster are. entries: the study's `task` and `source` as it names them.

    network: in evaluation mode, on the CPU. model_sha256: of all of it that was exchanged, as in the report.
    table: the study, as TOML has it. remark: what whoever uses it should know first.
    """

    folder: Path
    title: str
    table: Mapping[str, Any]
    entries: Mapping[str, Entry]
    task: Task
    source: Source
    network: nn.Module
    learned: Learned
    model_sha256: str
    remark: str = ""

    @property
    def frozen(self) -> tuple[str, ...]:
        """Patterns of parameters that did not travel."""
        return _frozen(self.table)

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names, in the order of the network's answers; () where numbers are learned."""
        return self.learned.classes


def load_trained(folder: Path) -> Trained:
    """The network of a run folder, or of a bundle that was exported from one.

    Raises StudyError or FileError that says what is missing, or what does not belong together.
    """
    folder = _place(folder)
    table = _study(folder)
    entries = {name: convert(table.get(name), Entry, name) for name in ("task", "source")}
    with noted() as used, expecting(table.get("plugins", {}), "the network was trained with"):
        task, source = cast(Task, TASKS.build(entries["task"])), cast(Source, SOURCES.build(entries["source"]))
        learned = _learned(folder)
        tensors = read_tensors(folder, MODEL).tensors
        if not used:
            _sketch(task, learned.shape, tensors, folder / MODEL)
        network = _network(task, learned.shape, table.get("seed", 0), tensors, folder / MODEL)
    _demand_same_code(table.get("plugins", {}), used)
    _stay(network, table)
    model_sha256 = digest(read(network))
    _demand_own_model(folder, model_sha256)
    title = str(table.get("title", ""))[:LONGEST_NAME]
    remark = _remark(folder)
    return Trained(folder, title, table, entries, task, source, network.eval(), learned, model_sha256, remark)


def _place(folder: Path) -> Path:
    if folder.is_dir() and not files.is_there(folder, STUDY) and files.is_there(folder / BUNDLED, STUDY):
        return folder / BUNDLED
    if folder.suffix.lower() == ".zip":
        raise StudyError(f"{folder} is packed: unpack it, and name the folder.")
    for name, what in ((STUDY, "it is not a run folder, nor a bundle"), (MODEL, "its run has no model yet")):
        if not folder.is_dir() or not files.is_there(folder, name):
            raise StudyError(f"{folder} holds no {name}: {what}.")
    return folder


def _study(folder: Path) -> dict[str, Any]:
    text = files.read_text(folder, STUDY)
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise StudyError(f"{folder / STUDY} is not valid TOML: {str(error)[:200]}") from error
    for name in ("task", "source"):
        if name not in table:
            raise StudyError(f"{folder / STUDY} names no {name}: it is not the study of a run.")
    return table


def _learned(folder: Path) -> Learned:
    """What the hospitals said of their cases when the run began."""
    roster, path = read_table(folder, ROSTER, required=True), folder / ROSTER
    shape, classes, columns = (roster.get(name) for name in ("shape", "classes", "columns"))
    if not isinstance(shape, list) or not _is_shape(shape):
        raise FileError(path, "does not say what shape cases have")
    if not isinstance(classes, list) or len(classes) > MOST_CLASSES or not all(map(_is_name, classes)):
        raise FileError(path, "does not say of which classes cases are")
    return Learned(Shape(tuple(shape), len(classes)), tuple(classes), columns if isinstance(columns, str) else "")


def shape_of(folder: Path) -> Shape:
    """Of the cases of the run in `folder`, as its roster says."""
    return _learned(folder).shape


def _is_shape(value: list[Any]) -> bool:
    if not value or not all(type(side) is int for side in value):
        return False
    return all(0 < side <= MOST_NUMBERS for side in value) and prod(value) <= MOST_NUMBERS


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_NAME and value.isprintable()


def _network(task: Task, shape: Shape, seed: Any, tensors: Tensors, path: Path) -> nn.Module:
    network = new_network(task, shape, seed if type(seed) is int and seed >= 0 else 0)
    _demand_fit(network, tensors, path)
    put(network, tensors, path)
    return network


def put(network: nn.Module, tensors: Tensors, path: Path) -> None:
    """Give a network the parameters of the file at `path`. Raises FileError where they are of another network."""
    held = {name: torch.from_numpy(tensor.copy()) for name, tensor in tensors.items()}
    try:
        network.load_state_dict(held, strict=False)
    except RuntimeError as error:
        raise FileError(path, "is not of the network that the run's study names") from error


def demand_room(task: Task, shape: Shape, tensors: Tensors, path: Path) -> None:
    """Raise FileError where the study of somebody's run would build far more than the model at `path` holds."""
    if not current_trust().files:
        _sketch(task, shape, tensors, path)


def _sketch(task: Task, shape: Shape, tensors: Tensors, path: Path) -> None:
    """Build the network without room for its parameters: a study may ask for more than any memory holds, or without
    end. Code of others, which somebody trusted, need not run without tensors, and is not tried so.
    """
    held = sum(tensor.size for tensor in tensors.values())
    with torch.device("meta"), _at_most(MOST_OF_FILE * held + MOST_NUMBERS, MOST_OF_FILE * len(tensors) + 1000, path):
        try:
            task.build_network(shape)
        except (RuntimeError, ValueError, OverflowError, MemoryError, RecursionError) as error:
            line = first_line(error)
            raise StudyError(f"the study's network cannot be built: {type(error).__name__}: {line}") from error


@contextmanager
def _at_most(numbers: int, parameters: int, path: Path) -> Iterator[None]:
    """Stop the building of a network that has far more of them, frozen ones too, than its file could say."""
    found = [0, 0]

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if parameter is not None:
            found[0] += parameter.numel()
            found[1] += 1
        if found[0] > numbers or found[1] > parameters:
            raise FileError(
                path, "holds parameters of other shapes than the study's network: model and study are not of one run"
            )

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


def _frozen(table: Mapping[str, Any]) -> tuple[str, ...]:
    """Patterns of parameters that did not travel, and so are not in the digest of the run's model."""
    training = table.get("training", {})
    patterns = training.get("freeze", ()) if isinstance(training, Mapping) else ()
    return convert(patterns, tuple[str, ...], "training.freeze")  # type: ignore[no-any-return]


def _stay(network: nn.Module, table: Mapping[str, Any]) -> None:
    """Set apart what did not travel: a run's digest is of what did."""
    freeze(network, _frozen(table))
    training = table.get("training", {})
    own = training.get("personal", ()) if isinstance(training, Mapping) else ()
    keep_apart(network, convert(own, tuple[str, ...], "training.personal"))


def _demand_fit(network: nn.Module, tensors: Tensors, path: Path) -> None:
    """Raise FileError unless the file holds every parameter of the network, and nothing else."""
    shapes = {name: tuple(one.shape) for name, one in kept(network)}
    lacking = [name for name in shapes if name not in tensors]
    strange = [name for name in tensors if name not in shapes]
    other = [name for name, shape in shapes.items() if name in tensors and tensors[name].shape != shape]
    for names, words in (
        (lacking, "lacks parameters of the study's network"),
        (strange, "holds parameters that the study's network has not"),
        (other, "holds parameters of other shapes than the study's network"),
    ):
        if names:
            shown = ", ".join(names[:3]) + ", ..." * (len(names) > 3)
            raise FileError(path, f"{words} ({shown}): model and study are not of one run")
    if any(tensor.dtype != "float32" for tensor in tensors.values()):
        raise FileError(path, "holds numbers that are not float32")


def _demand_own_model(folder: Path, model_sha256: str) -> None:
    """Raise FileError where a finished run says that its model is another one."""
    about = read_table(folder, ABOUT)
    said = about.get("model_sha256")
    if about.get("state") == "completed" and isinstance(said, str) and said and said != model_sha256:
        raise FileError(
            folder / MODEL,
            f"is not the model that the run ended with: its SHA-256 is {model_sha256[:12]}..., and {ABOUT} says "
            f"{said[:12]}...",
        )


def _remark(folder: Path) -> str:
    """Of a model that a hospital was handed, which says whose signature it came with."""
    about = read_table(folder, ABOUT)
    return UNSIGNED if "signed_by" in about and not about["signed_by"] else ""


def _demand_same_code(known: Any, used: Mapping[str, str]) -> None:
    for place, found in used.items():
        if not isinstance(known, Mapping) or known.get(place) != found:
            raise StudyError(
                f"plug-in {place} is not the one that the network was trained with: its file has changed, or another "
                "version is installed here. Put that back."
            )
