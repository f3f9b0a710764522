"""One study under every protection, each run attacked: what each protection buys, in one figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from client.hospital import site_names
from common.files import access as files
from common.files.json_files import read_table, write_json
from common.study.options import Entry
from common.study.study import Study
from experiments.audit.conduct import Effort, audit_run
from experiments.audit.dossier.risks import light_of
from experiments.audit.records import Report
from experiments.audit.report.matrix_page import Column, matrix_page
from experiments.audit.report.page import write
from experiments.engines._quiet import run_quietly
from experiments.evidence.ground_truth import hospital_of

MOST_ROUNDS = 3
UNPROTECTED = "plain FedAvg, E = 1"
PRICED = {
    "DP-SGD, epsilon 10": UNPROTECTED,
    "DP-SGD, epsilon 1": UNPROTECTED,
    "DP-SGD, epsilon 1, and secagg": UNPROTECTED,
}
"""Of each row with noise, the one that trains alike without: what is lost between them is the price."""
DELTA_SHARE = 0.1
"""Delta of the private rows, over one by the patients of the largest hospital."""


@dataclass(frozen=True)
class Protection:
    """A name, and the study under it."""

    name: str
    study: Study


def protections(study: Study, delta: float) -> tuple[Protection, ...]:
    """From no protection at all to sums under encryption; all else as the study says, at most MOST_ROUNDS rounds."""
    base = replace(
        study,
        engine="inline",
        rounds=min(study.rounds, MOST_ROUNDS),
        aggregation=Entry("plain"),
        privacy=None,
        split=replace(study.split, assignment="independent"),
        strategy=Entry("fedavg"),
        baselines=replace(study.baselines, local=False, pooled=False),
        federation=replace(study.federation, evaluate_every=0, stop_at_score=None),
    )
    gradient = type(study.training)(batch_size=1)
    single = replace(base, strategy=Entry("fedsgd"), training=gradient)
    once = replace(
        base, training=replace(study.training, epochs=1, steps=None, optimiser="sgd", momentum=0.0, warm_up_steps=0)
    )
    private = replace(once, privacy=_private(1.0, delta))
    return (
        Protection("plain FedSGD, batch of 1", single),
        Protection(UNPROTECTED, once),
        Protection("plain FedAvg, E = 5", replace(once, training=replace(once.training, epochs=5))),
        Protection("DP-SGD, epsilon 10", replace(once, privacy=_private(10.0, delta))),
        Protection("DP-SGD, epsilon 1", private),
        Protection("secagg, FedSGD", replace(single, aggregation=Entry("secagg"))),
        Protection("bfv, FedSGD", replace(single, aggregation=Entry("bfv"))),
        Protection("DP-SGD, epsilon 1, and secagg", replace(private, aggregation=Entry("secagg"))),
    )


def _private(epsilon: float, delta: float) -> Entry:
    return Entry("dpsgd", {"epsilon": epsilon, "delta": delta, "unit": "patient"})


def audit_matrix(study: Study, name: str, folder: Path, effort: Effort, advance: Callable[[str], None]) -> Path:
    """Runs and audits in folders of their own under `folder`; `matrix.html` and `matrix.json` in it."""
    columns: list[Column] = []
    for index, protection in enumerate(protections(study, _delta(study))):
        place = folder / f"{index + 1}-{_folder_name(protection.name)}"
        advance(f"running: {protection.name}")
        run_quietly(protection.study, place, name)
        report = audit_run(place, effort, _named(protection.name, advance))
        write(report, place)
        columns.append(Column(protection.name, report, f"{place.name}/audit.html"))
    return _written(study, folder, columns)


def _named(name: str, advance: Callable[[str], None]) -> Callable[[str], None]:
    return lambda words: advance(f"{name}: {words}")


def _delta(study: Study) -> float:
    counts = [len(set(hospital_of(study, site).train.patients.tolist())) for site in site_names(study)]
    return DELTA_SHARE / max(counts)


def _folder_name(name: str) -> str:
    return "-".join("".join(letter if letter.isalnum() else " " for letter in name.lower()).split())


def _written(study: Study, folder: Path, columns: Sequence[Column]) -> Path:
    rows = [
        {
            "protection": column.name,
            **summary(column.report),
            **_scored(folder / Path(column.link).parent, column.name),
        }
        for column in columns
    ]
    write_json(folder, "matrix.json", rows)
    return files.write(folder, "matrix.html", matrix_page(study.title, columns))


def _scored(place: Path, protection: str) -> dict[str, Any]:
    """The model's score, and which row it is to be compared with for what its promise of privacy costs."""
    headline = read_table(place, "summary.json").get("headline")
    told = headline if isinstance(headline, dict) else {}
    return {
        "score": told.get("federated"),
        "score_name": told.get("score"),
        "priced_against": PRICED.get(protection),
    }


def summary(report: Report) -> dict[str, Any]:
    """The figures of one column."""
    shown = [one for trial in report.trials if trial.honest for one in trial.rebuilt]
    best = max(shown, key=lambda one: (one.identifies, one.tells, one.ssim), default=None)
    curves = [t for t in report.trials if t.kind == "membership" and "auc" in t.intervals and t.site == ""]
    told = max(curves, key=lambda t: t.intervals["auc"].low, default=None)
    bounds = [t.figures["epsilon_lower_bound"] for t in report.trials if "epsilon_lower_bound" in t.figures]
    return {
        "similarity": None if best is None else best.ssim,
        "right_patient_rank": None if best is None else best.rank,
        "of_patients": None if best is None else best.among,
        "identified": None if best is None else best.identifies,
        "similarity_of_other_patients": None if best is None else best.decoy,
        "membership_attack": None if told is None else told.attack,
        "membership_area": None if told is None else list(vars(told.intervals["auc"]).values()),
        "promised_epsilon": max(report.claim.epsilon.values(), default=None),
        "measured_epsilon": max(bounds, default=None),
        "verdicts": {verdict.site: verdict.light for verdict in report.verdicts},
        "lights": {name: light_of(report, name) for verdict in report.verdicts for name in verdict.lights},
    }
