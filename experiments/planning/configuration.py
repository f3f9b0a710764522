"""Network "auto": hospitals are asked for a summary, a plan follows from the sums, and a study is written by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from common.asking.question import Question
from common.errors import AnalysisError, StudyError
from common.files.access import private_folder
from common.files.json_files import write_json
from common.learning.networks.auto import Auto
from common.segmentation.self_configuration import Budget, Fingerprint, Plan, Spread, plan_of
from common.study.catalogue import NETWORKS, SOURCES
from common.study.options import Entry, options_of
from common.study.own_weights import network_of
from common.study.study import Baselines, Study
from experiments.asking.asking import ask_study
from server.app import progress

AUTO, TASK, ANALYSIS = "auto", "segmentation", "fingerprint"
PLAN = "plan.json"
NETWORK, PATCH = "network", "patch"
SMALL = {"name": "unet", "channels": 4, "depth": 2}
"""Built where nothing is learned, for patches of SMALL_SIDE."""
SMALL_SIDE = 8
SETTING_OF = {"spacing_mm": "spacing", "size": "patch", "normalisation": "normalisation", "window": "normalisation"}
"""Under which word of `network.keep` an option of a source stays."""
VOLUMES: Mapping[str, Any] = {"size": 0, "spacing_mm": (), "normalisation": "none", "window": (), "dimensions": 3}
FILES: Mapping[str, Any] = {"size": 0}
"""What sources of volumes, and of image files, are asked for where their cases are measured: as they are."""


@dataclass(frozen=True)
class Configured:
    """A study written out by a plan, and all that the plan came from."""

    study: Study
    plan: Plan
    fingerprint: Fingerprint

    def json(self) -> dict[str, Any]:
        """Of plan.json."""
        return {"plan": asdict(self.plan), "fingerprint": asdict(self.fingerprint)}


def configures_itself(study: Study) -> bool:
    """Whether its network is "auto"."""
    network = network_of(study.task)
    return network is not None and network.name == AUTO


def question_study(study: Study) -> Study:
    """The study that hospitals are asked under: their cases as they are, and nothing trained.

    Its question is listed, so that hospitals that approve it answer. Raises StudyError where no plan could follow.
    """
    if study.task.name != TASK:
        raise StudyError(f"network 'auto' configures task {TASK!r}; the study's is {study.task.name!r}.")
    if study.privacy is not None:
        raise StudyError(
            "network 'auto' asks hospitals for exact histograms, which no noise covers, and the study promises "
            "privacy: name its network, task.patch and training.batch_size, as `wardround plan` of like public data "
            "would."
        )
    source = Entry(study.source.name, {**study.source.options, **_as_they_are(study)})
    axes = 3 if _is_of_volumes(study) or study.source.options.get("dimensions") == 3 else 2
    return replace(
        study,
        title=f"{study.title}: what its images are like",
        source=source,
        task=Entry(TASK, {NETWORK: SMALL, PATCH: (SMALL_SIDE,) * axes}),
        start=None,
        fine_tuning=None,
        stopping=None,
        baselines=Baselines(),
        analyses=(Entry(ANALYSIS, {"axes": axes}),),
    )


def as_asked(study: Study) -> Study:
    """The study under which its cases can be looked at before there is a plan. StudyError as of `question_study`."""
    return question_study(study) if configures_itself(study) else study


def configured(study: Study, name: str, folder: Path) -> Configured:
    """Ask the study's hospitals on its engine, in `folder`, and plan. Raises AnalysisError where sums have no answer.

    The same sums give the same study, on every engine and whatever the aggregation.
    """
    asked = question_study(study)
    answered = ask_study(asked, name, folder, (Question.of(asked.analyses[0]),))
    (entry,) = answered.table["answers"]
    if entry["state"] != "answered":
        raise AnalysisError(" ".join([f"network 'auto': {entry['reason']}", *answered.said_by_hospitals]))
    return by_answer(study, entry["numbers"], len(entry["contributed"]))


def by_answer(study: Study, numbers: Mapping[str, Any], hospitals: int) -> Configured:
    """The study by an answer to its question, as `wardround ask` writes it. Raises StudyError where it is none."""
    whole = fingerprint_of(numbers, hospitals)
    cut = _cut_axis(study)
    found = whole if cut is None else _of_slices(whole, cut, int(study.source.options.get("slices_per_patient", 8)))
    plan = plan_of(found, _budget(study))
    if cut is not None and plan.spacing_mm:
        mm = list(plan.spacing_mm)
        plan = replace(plan, spacing_mm=(*mm[:cut], whole.spacing_mm[cut].median, *mm[cut:]))
    return Configured(written_out(study, plan), plan, found)


def fingerprint_of(numbers: Mapping[str, Any], hospitals: int) -> Fingerprint:
    """Raises StudyError where the numbers are of something else."""
    try:
        spreads = {
            name: tuple(
                Spread(*(float(one[at]) for at in ("low", "median", "high", "most"))) for one in numbers[name]
            )
            for name in ("sides", "spacing_mm", "resampled")
        }
        low_high = numbers["brightness"]
        return Fingerprint(
            int(numbers["cases"]),
            hospitals,
            int(numbers["channels"]),
            **spreads,
            brightness=None if low_high is None else (float(low_high[0]), float(low_high[1])),
            hounsfield=float(numbers["hounsfield"]),
            filled=float(numbers["filled"]),
            outlined=None if numbers["outlined"] is None else float(numbers["outlined"]),
            smallest=None if numbers["smallest"] is None else float(numbers["smallest"]),
        )
    except (LookupError, TypeError, ValueError) as error:
        raise StudyError(f"the answer is none to analysis {ANALYSIS!r}: {error!r}") from error


def written_out(study: Study, plan: Plan) -> Study:
    """The study with the plan's settings in the place of "auto"; what `network.keep` names stays as it was."""
    auto = _auto(study)
    kept, source = frozenset(auto.keep), dict(study.source.options)
    for name, value in _source_settings(study, plan).items():
        if SETTING_OF[name] not in kept:
            source[name] = value
    network = {"name": "unet", "widths": list(plan.widths)}
    task = {**study.task.options, NETWORK: network}
    if "patch" not in kept:
        task[PATCH] = () if plan.whole else plan.patch
    batch = study.training.batch_size if "batch" in kept else plan.batch_size
    return replace(
        study,
        source=Entry(study.source.name, source),
        task=Entry(TASK, task),
        training=replace(study.training, batch_size=batch),
    )


def planned(study: Study, name: str, folder: Path) -> Study:
    """The study to run: as it is, or written out, with the plan in the run's folder before anything else is there."""
    if not configures_itself(study):
        return study
    with TemporaryDirectory(prefix="wardround-plan-") as place, progress.unheard():
        found = configured(study, name, Path(place))
    write_json(private_folder(folder), PLAN, found.json())
    return found.study


def _source_settings(study: Study, plan: Plan) -> dict[str, Any]:
    """Of the source's options those that it has."""
    if _is_of_volumes(study):
        sides = list(plan.patch) if plan.whole else 0
        return {
            "size": sides,
            "spacing_mm": list(plan.spacing_mm),
            "normalisation": plan.normalisation,
            "window": plan.window,
        }
    if "aspect" in options_of(SOURCES.load(study.source.name)):
        return {"size": list(plan.patch) if plan.whole else 0}
    return {}


def _cut_axis(study: Study) -> int | None:
    """Across which volumes are shown in slices; None where cases are shown as they are measured."""
    options = study.source.options
    if not _is_of_volumes(study) or options.get("dimensions", 2) == 3:
        return None
    return int(options.get("axis", 2))


def _of_slices(found: Fingerprint, cut: int, slices: int) -> Fingerprint:
    """The two axes that a slice has, and as many cases as slices; 0: all that volumes have."""

    def kept(spreads: tuple[Spread, ...]) -> tuple[Spread, ...]:
        return tuple(one for axis, one in enumerate(spreads) if axis != cut)

    return replace(
        found,
        cases=found.cases * (slices or max(1, round(found.sides[cut].median))),
        sides=kept(found.sides),
        spacing_mm=kept(found.spacing_mm),
        resampled=kept(found.resampled),
    )


def _as_they_are(study: Study) -> Mapping[str, Any]:
    if _is_of_volumes(study):
        return VOLUMES
    return FILES if "aspect" in options_of(SOURCES.load(study.source.name)) else {}


def _is_of_volumes(study: Study) -> bool:
    return {"spacing_mm", "dimensions", "normalisation"} <= options_of(SOURCES.load(study.source.name)).keys()


def _budget(study: Study) -> Budget:
    """What the plan may use and change. Raises StudyError where the study keeps a patch that it does not have."""
    auto, volumes = _auto(study), _is_of_volumes(study)
    patch = tuple(study.task.options.get(PATCH, ())) if "patch" in auto.keep else ()
    if "patch" in auto.keep and not patch:
        raise StudyError("network 'auto'.keep names 'patch', and the study has none: set task.patch.")
    resamples, normalises = (volumes and name not in auto.keep for name in ("spacing", "normalisation"))
    return Budget(auto.channels, auto.memory_mb, resamples, normalises, patch)


def _auto(study: Study) -> Auto:
    return cast(Auto, NETWORKS.build(network_of(study.task) or Entry(AUTO)))
