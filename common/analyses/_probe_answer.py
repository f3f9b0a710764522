"""What a probe answers: how well classes are told apart by features, of how many labels, and of which encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.analyses._probe import Probe, Setting, Values, with_labels_words
from common.analyses._probe_scores import ALL, Scored, score_table
from common.asking.answer import Answer, Table

ENCODERS = {"start": "the study's encoder", "random": "an encoder that was never trained"}


def probe_answer(
    title: str,
    probe: Probe,
    found: Setting,
    scored: Mapping[str, Scored],
    own: Mapping[str, Any],
    fit: tuple[Values, Values] | None = None,
) -> Answer:
    """own: the probe's own options and figures. fit: (D, K) coefficients and (K,) intercepts, where it has any."""
    numbers: dict[str, Any] = {
        "encoder": probe.encoder,
        "features": found.width,
        "share": probe.share,
        "draw": probe.draw,
        "labels": dict(zip(found.classes, found.cases, strict=True)),
        "left_out": found.left_out,
        "unanswered": scored[ALL].unanswered,
        **own,
        **scored[ALL].numbers(),
    }
    if probe.by_hospital:
        numbers["hospitals"] = {site: one.numbers() for site, one in scored.items() if site != ALL}
    if fit is not None:
        numbers |= {"coefficients": fit[0].T.tolist(), "intercepts": fit[1].tolist()}
    labels = Table("Labels used", ("class", "labels"), tuple(zip(found.classes, found.cases, strict=True)))
    tables = (score_table(f"{title} of {probe.outcome}", scored), labels)
    return Answer(numbers, tables, (), (*_words(probe, found, numbers), *with_labels_words(found)))


def _words(probe: Probe, found: Setting, numbers: Mapping[str, Any]) -> tuple[str, ...]:
    area = numbers["auc"]
    how = (
        f"an area under the curve of {area:.3f}" if area is not None else f"an accuracy of {numbers['accuracy']:.3f}"
    )
    said = [
        f"From {found.width} features of {ENCODERS[probe.encoder]} and {sum(found.cases)} labels, "
        f"{numbers['n']} {probe.evaluated} cases are told apart with {how}."
    ]
    if probe.encoder != "random":
        said.append("Beside it stands what the same encoder reaches untrained: encoder = 'random'.")
    return tuple(said)
