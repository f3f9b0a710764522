"""A model card (Mitchell et al. 2019, Model cards for model reporting) in the sections that model hubs use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from server.model_card import INTENDED
from server.reporting.markup import in_a_line, visible
from server.reporting.wording import score, score_name

UNKNOWN = "not known"
MARKS = frozenset("\\`<>|[]*&")
"""The backslash above all: before one of ours it would take its meaning away."""
OUT_OF_SCOPE = (
    "Other scanners, protocols, populations, contrasts, species or questions than those of the training hospitals; "
    "any use without a person who checks the answers."
)


def card_of(facts: Mapping[str, Any]) -> str:
    """Markdown. Whatever a study's author wrote stands in one line, its marks made harmless."""
    return "\n".join(_lines(facts)) + "\n"


def _lines(facts: Mapping[str, Any]) -> Iterator[str]:
    task = _plain(facts["task"]["name"])
    yield from ("---", "library_name: wardround", "tags:", "- medical", "- federated-learning", "---", "")
    yield from (f"# {_plain(facts['title']) or 'A model'}", "", _plain(facts["description"]) or f"Task: {task}.", "")
    yield from ("## Model details", "")
    yield from _details(facts)
    yield from ("", "## Intended use", "", INTENDED, "", f"Out of scope: {OUT_OF_SCOPE}", "")
    yield from ("## Factors", "", *_factors(facts), "")
    yield from ("## Training data", "", *_training(facts), "")
    yield from ("## Evaluation data and metrics", "", *_scores(facts), "")
    yield from ("## Privacy and ethical considerations", "", *_privacy(facts), "")
    yield from ("## Caveats and recommendations", "", *_caveats(), "")
    yield from ("## How to use", "", *_use(facts))


def _details(facts: Mapping[str, Any]) -> Iterator[str]:
    network = facts["network"]
    yield f"- task: {_options(facts['task'])}"
    if facts["classes"]:
        yield f"- classes, in the order of the answers: {', '.join(map(_plain, facts['classes']))}"
    yield f"- parameters: {network['parameters']:,}, SHA-256 {network['sha256']}"
    yield f"- input: {network['input']['name']}, float32, {' x '.join(map(str, network['input']['shape']))}"
    yield f"- output: {network['output']['name']}, float32: {_plain(network['output']['meaning'])}"
    yield f"- preprocessing: {_options(facts['preprocessing'])}"
    yield f"- made with: Wardround {facts['wardround']}"


def _factors(facts: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "Scores are of all hospitals' patients together. How they differ by hospital, scanner, age or sex is in the "
        "run's own report, as far as the study measured it; what it did not measure is not known."
    )


def _training(facts: Mapping[str, Any]) -> Iterator[str]:
    training = facts["training"]
    yield f"- hospitals: {training['hospitals'] or UNKNOWN}, which kept their data; names stay with the run"
    for what in ("patients", "cases"):
        counts = training[what]
        told = UNKNOWN if counts is None else ", ".join(f"{count} {name}" for name, count in counts.items())
        yield f"- {what}: {told}"
    state = _plain(training["state"]) or UNKNOWN
    yield f"- rounds: {training['rounds']} ({state}), seed {_options(training['seed'])}"
    yield f"- strategy: {_options(training['strategy'])}; aggregation: {_options(training['aggregation'])}"
    yield f"- settings: {_options(training['settings'])}"
    yield f"- engine: {_plain(training['engine']) or UNKNOWN}, begun {_plain(training['started']) or UNKNOWN}"


def _scores(facts: Mapping[str, Any]) -> Iterator[str]:
    found = facts["scores"]
    if not found["split"]:
        yield "No score was taken of this model."
        return
    yield (
        f"Patients of the same hospitals that were kept for {_plain(found['split'])}, by person; no patient of any "
        "other hospital."
    )
    yield from ("", "| score | value |", "|---|---|")
    for name, value in found["values"].items():
        yield f"| {_plain(score_name(name))} (`{_code(name)}`) | {score(value)} |"


def _privacy(facts: Mapping[str, Any]) -> Iterator[str]:
    privacy = facts["privacy"]
    if privacy is None:
        yield "No noise was added: nothing bounds what the parameters tell about a patient of the training hospitals."
    else:
        epsilon = "without bound" if privacy["epsilon"] is None else f"{privacy['epsilon']:.3g}"
        yield (
            f"Differential privacy of one {_plain(privacy['unit'])} by {_plain(privacy['mechanism'])}: epsilon "
            f"{epsilon} at delta {_options(privacy['delta'])}, of the hospital that spent most. "
            f"{_plain(privacy['relation'])} Noise came from: {_plain(privacy['noise_source'])}."
        )
        yield from (f"- not covered: {_plain(one['what'])}: {_plain(one['why'])}" for one in privacy["not_covered"])
    yield from (f"- {_plain(one)}" for one in facts["trusts"])


def _caveats() -> Iterator[str]:
    yield (
        "A score at the hospitals that trained says little about others: measure it on your own patients first, with "
        "`wardround metrics`. Answers are as sure as the network is, not as sure as they are right: probabilities "
        "are not calibrated unless the report says so."
    )


def _use(facts: Mapping[str, Any]) -> Iterator[str]:
    yield from ("```", "wardround predict THIS_FOLDER NEW_FILES --out ANSWERS", "```", "")
    yield (
        "Other programs: `models/model.onnx` and `models/model.ts`, as far as they are here, take inputs that were "
        f"prepared as above; {_plain(facts['network']['output']['meaning'])}."
    )


def _options(value: Any) -> str:
    """The name, and options that say something."""
    if isinstance(value, Mapping):
        name = _plain(str(value.get("name", "")))
        told = {key: one for key, one in value.items() if key != "name" and one not in ("", [], {})}
        options = ", ".join(f"{_plain(key)} = {_options(one)}" for key, one in told.items())
        return f"{name} ({options})" if name and options else name or options
    if isinstance(value, list):
        return ", ".join(map(_options, value))
    return UNKNOWN if value is None else _plain(str(value))


def _code(text: str) -> str:
    """Between two marks of code, where a backslash is one and only another such mark, or a cell's, ends it."""
    return "".join("_" if one in "`|" else one for one in visible(in_a_line(text)))


def _plain(text: str) -> str:
    """In one line, without what Markdown would read as a mark of its own."""
    line = visible(in_a_line(str(text)))
    return "".join(f"\\{one}" if one in MARKS else one for one in line)
