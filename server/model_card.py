"""A model card (Mitchell et al. 2019, Model cards for model reporting), in short: what hospitals get with the model.

It is written from the run's own record, before the report is: names of hospitals stay out of it, and so does whatever
changes when a run is resumed: whoever has this card need not be given it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from common.study.study import Study
from common.wire.handed_model import LARGEST_CARD_CHARACTERS
from server.reporting.markup import in_a_line
from server.reporting.wording import score, score_name

INTENDED = (
    "Research on data like those it was trained on, prepared in the same way; `wardround predict` prepares them so. "
    "It is no medical device, and was examined by no authority: no decision on a patient may rest on it."
)
MARKS = frozenset("\\`<>|[]*&#")
UNPROTECTED = "No noise was added: nothing bounds what the parameters tell about a patient of the training hospitals."


def card_of(
    study: Study, about: Mapping[str, Any], final: Mapping[str, Any], privacy: Mapping[str, Any] | None
) -> str:
    """Markdown. about, final, privacy: as the run's folder has them."""
    return "\n".join(_lines(study, about, final, privacy))[:LARGEST_CARD_CHARACTERS]


def _lines(
    study: Study, about: Mapping[str, Any], final: Mapping[str, Any], privacy: Mapping[str, Any] | None
) -> Iterator[str]:
    yield from (f"# {_plain(study.title) or 'A model'}", "")
    yield from ((_plain(study.description), "") if study.description else ())
    yield f"- task: {_plain(study.task.name)}; data: {_plain(study.source.name)}"
    yield f"- model of round {about['model_of_round']}, after {about['rounds_done']} rounds of {study.rounds}"
    yield f"- SHA-256 of its parameters: {about['model_sha256']}"
    strategy, aggregation = study.strategy.name, study.aggregation.name
    yield f"- strategy: {_plain(strategy)}; aggregation: {_plain(aggregation)}; seed {study.seed}"
    yield f"- made with Wardround {about['versions']['wardround']}"
    yield from ("", "## Intended use", "", INTENDED, "", "## Scores", "", *_scores(final))
    yield from ("", "## Privacy", "", *_privacy(privacy))
    yield from (f"- {_plain(one)}" for one in about["trusts"])
    yield from (f"- {_plain(one)}" for one in about["changes"])
    yield ""


def _scores(final: Mapping[str, Any]) -> Iterator[str]:
    split = next((name for name in ("test", "validation") if final.get(name, {}).get("pooled")), "")
    if not split:
        yield "No score was taken of this model."
        return
    yield f"Patients of the same hospitals that were kept for {split}, all together; nobody of any other hospital."
    yield from ("", "| score | value |", "|---|---|")
    yield from (f"| {_plain(score_name(name))} | {score(value)} |" for name, value in final[split]["pooled"].items())


def _privacy(privacy: Mapping[str, Any] | None) -> Iterator[str]:
    if privacy is None:
        yield UNPROTECTED
        return
    spent = [one.get("epsilon") for one in privacy["sites"].values()]
    most = "without bound" if None in spent or not spent else f"{max(spent):.3g}"
    yield (
        f"Differential privacy of one {privacy['unit']} by {_plain(privacy['mechanism'])}: epsilon {most} at delta "
        f"{privacy['delta']:g}, of the hospital that spent most. {privacy['relation']['words']}. Noise came from: "
        f"{privacy['noise_source']}."
    )


def _plain(text: object) -> str:
    """In one line, without what Markdown would read as a mark."""
    return "".join(f"\\{one}" if one in MARKS else one for one in in_a_line(str(text)))
