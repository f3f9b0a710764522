"""From untrusted JSON to the report's records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.problems import Problem
from server.reporting.png import is_png
from server.reporting.records import (
    About,
    Baselines,
    Beside,
    Drop,
    Evaluation,
    Holding,
    MessageKind,
    Picture,
    Privacy,
    Roster,
    Round,
    SiteScores,
    Spent,
    SplitScores,
    Traffic,
    Uncovered,
)
from server.reporting.values import count, counts, items, name_of, number, numbers, table, text, texts

MOST_PANELS = 12


def about_of(value: object, rounds_planned: int | None) -> About:
    """`about.json`."""
    raw = table(value)
    words = {
        key: text(raw.get(key)) for key in ("study", "title", "description", "engine", "device", "seed", "started")
    }
    names = {key: name_of(raw.get(key)) for key in ("task", "strategy", "aggregation", "source")}
    states = {
        key: text(raw.get(key))
        for key in ("state", "reason", "model_sha256", "headline", "reveals", "readers", "ended_early")
    }
    return About(
        **words,
        **names,
        **states,
        versions={name: text(version) for name, version in table(raw.get("versions")).items()},
        seconds=number(raw.get("seconds")),
        rounds_done=count(raw.get("rounds_done")),
        rounds_planned=rounds_planned,
        parameters=count(raw.get("parameters")),
        time=numbers(raw.get("time")),
        trusts=texts(raw.get("trusts")),
        absent=texts(raw.get("absent")),
        hospitals_expected=count(raw.get("hospitals_expected")),
        sites_expected=texts(raw.get("sites_expected")),
        changes=texts(raw.get("changes")),
        model_of_round=None if raw.get("model_of_round") is None else count(raw.get("model_of_round")),
        began_from=_began_from(raw),
        last_taken_back=_taken_back(table(raw.get("last_vote"))),
        plugins={name: text(digest) for name, digest in table(raw.get("plugins")).items()},
        program=text(raw.get("program")),
        watched=texts(raw.get("watched")),
        programs={site: _program(table(one)) for site, one in table(raw.get("programs")).items()},
    )


def _program(raw: Mapping[str, Any]) -> tuple[str, str]:
    return text(raw.get("digest")), ", ".join(texts(raw.get("versions")))


def _began_from(raw: Mapping[str, Any]) -> str:
    start, file = table(raw.get("start")), table(raw.get("model"))
    if start:
        only = f", of it {', '.join(texts(start.get('only')))}" if texts(start.get("only")) else ""
        return f"{text(start.get('model'))}{only}; SHA-256 of its parameters {text(start.get('sha256'))}"
    return f"{text(file.get('file'))} ({text(file.get('format'))})" if file else ""


def roster_of(value: object) -> Roster:
    """`roster.json`."""
    raw = table(value)
    skew = table(raw.get("skew"))
    return Roster(
        holdings=tuple(_holding(entry) for entry in map(table, items(raw.get("sites"))) if text(entry.get("site"))),
        label_divergence=number(skew.get("label_divergence")),
        size_gini=number(skew.get("size_gini")),
        partition=name_of(raw.get("partition")),
        shape=tuple(count(length) for length in items(raw.get("shape"))),
        classes=texts(raw.get("classes")),
    )


def _holding(raw: Mapping[str, Any]) -> Holding:
    return Holding(
        site=text(raw.get("site")),
        cases=counts(raw.get("cases")),
        patients=counts(raw.get("patients")),
        quarantined=count(raw.get("quarantined")),
        labels={name: max(share, 0.0) for name, share in numbers(raw.get("labels")).items()},
    )


def round_of(raw: Mapping[str, Any]) -> Round | None:
    """One line of `rounds.jsonl`; None without a number."""
    if not count(raw.get("round")):
        return None
    moved, ranged = table(raw.get("bytes")), table(raw.get("range"))
    return Round(
        number=count(raw.get("round")),
        selected=texts(raw.get("selected")),
        contributed=texts(raw.get("contributed")),
        dropped=tuple(_drop(entry) for entry in map(table, items(raw.get("dropped")))),
        weights=numbers(raw.get("weights")),
        training=_site_scores(raw.get("training")),
        evaluation=_evaluation(raw.get("evaluation")),
        seconds=numbers(raw.get("seconds")),
        site_seconds=numbers(raw.get("site_seconds")),
        sent=count(moved.get("sent")),
        received=count(moved.get("received")),
        training_of_all=numbers(raw.get("training_of_all")),
        attempts=max(1, count(raw.get("attempts"))),
        widenings=count(ranged.get("repeats")),
        range_factor=max(1, count(ranged.get("factor"))),
        taken_back=_taken_back(raw, count(raw.get("round"))),
        collapse=text(table(raw.get("collapse")).get("in_short")),
        values_in_full=count(table(raw.get("compression")).get("values")),
    )


def _taken_back(raw: Mapping[str, Any], own: int = 0) -> str:
    """As a sentence, where anything was; own: the number of the round in which it was."""
    found = table(raw.get("taken_back"))
    rounds = [count(one) for one in items(found.get("rounds"))]
    if not rounds:
        return ""
    rest = f"; round {own}, which had trained on it, went with it" if own and rounds[0] != own else ""
    return f"Round {rounds[0]} was taken back: {text(found.get('reason'))}{rest}."


def _drop(raw: Mapping[str, Any]) -> Drop:
    return Drop(text(raw.get("site")), text(raw.get("leg")), text(raw.get("reason")))


def _evaluation(value: object) -> Evaluation | None:
    raw = table(value)
    if not raw:
        return None
    scores = _split_scores(raw)
    return Evaluation(count(raw.get("of_round")), text(raw.get("split")), scores.sites, scores.pooled)


def _site_scores(value: object) -> SiteScores:
    return {site: numbers(scores) for site, scores in table(value).items()}


def _split_scores(value: object) -> SplitScores:
    raw = table(value)
    return SplitScores(_site_scores(raw.get("sites")), numbers(raw.get("pooled")))


def final_of(value: object) -> dict[str, SplitScores]:
    """`final.json`, by split."""
    return {split: _split_scores(scores) for split, scores in table(value).items()}


def problem_of(raw: Mapping[str, Any]) -> Problem:
    """One line of `problems.jsonl`."""
    node = raw.get("node")
    return Problem(
        text(raw.get("stage")) or "the run",
        text(raw.get("reason")),
        text(raw.get("site")),
        node if type(node) is int else None,
        count(raw.get("after_round")),
    )


def baselines_of(value: object) -> Baselines:
    """`baselines.json`."""
    raw = table(value)
    local = SplitScores(_site_scores(raw.get("local")), numbers(raw.get("local_all")))
    pooled = SplitScores(_site_scores(raw.get("pooled")), numbers(raw.get("pooled_all")))
    return Baselines(local, pooled, numbers(raw.get("seconds")))


def traffic_of(value: object) -> Traffic:
    """`traffic.json`."""
    raw = table(value)
    kinds = tuple(_message_kind(entry) for entry in map(table, items(raw.get("kinds"))))
    return Traffic(kinds, {site: counts(moved) for site, moved in table(raw.get("sites")).items()})


def _message_kind(raw: Mapping[str, Any]) -> MessageKind:
    words = (text(raw.get("leg")), text(raw.get("direction")), text(raw.get("content")))
    return MessageKind(*words, count(raw.get("messages")), count(raw.get("bytes")))


def privacy_of(value: object) -> Privacy | None:
    """`privacy.json`; None where a run promised none."""
    raw = table(value)
    if not raw:
        return None
    mechanism, unit, place = (text(raw.get(key)) for key in ("mechanism", "unit", "place"))
    sites = {site: _spent(table(one)) for site, one in table(raw.get("sites")).items()}
    source, rows = text(raw.get("noise_source")), tuple(map(_uncovered, items(raw.get("not_covered"))))
    relation = text(table(raw.get("relation")).get("words"))
    found = beside_of(table(raw.get("beside")))
    return Privacy(mechanism, unit, place, number(raw.get("delta")), source, rows, sites, relation, found)


def _uncovered(value: object) -> Uncovered:
    """A row, or a line of text as older runs have it."""
    raw = table(value)
    return Uncovered(text(raw.get("what")) or text(value), text(raw.get("to_whom")), text(raw.get("why")))


def beside_of(raw: Mapping[str, Any]) -> Beside | None:
    """`beside` of `privacy.json`; None where nothing was spent."""
    site = text(raw.get("site"))
    if not site:
        return None
    related = ((one, "units") for one in map(table, items(raw.get("together"))))
    hospitals = ((one, "hospitals") for one in map(table, items(raw.get("in_hospitals"))))
    together, in_hospitals = (
        tuple((count(one.get(key)), number(one.get("epsilon"))) for one, key in rows) for rows in (related, hospitals)
    )
    return Beside(site, number(raw.get("exchanged")), together, in_hospitals)


def _spent(raw: Mapping[str, Any]) -> Spent:
    points = [items(point) for point in items(raw.get("curve"))]
    curve = [(count(point[0]), number(point[1])) for point in points if len(point) == 2]
    return Spent(
        count(raw.get("patients")),
        count(raw.get("rounds")),
        count(raw.get("steps_a_round")),
        number(raw.get("noise_multiplier")),
        number(raw.get("sampling_rate")),
        number(raw.get("clip_norm")),
        number(raw.get("epsilon")),
        number(raw.get("epsilon_rdp")),
        tuple((at, epsilon) for at, epsilon in curve if epsilon is not None),
    )


def pictures_of(value: object) -> tuple[Picture, ...]:
    """`pictures.json`; entries whose pictures are not PNG are left out."""
    return tuple(picture for picture in map(_picture, map(table, items(value))) if picture is not None)


def _picture(raw: Mapping[str, Any]) -> Picture | None:
    panels = tuple(
        (text(one.get("name")), text(one.get("picture")), text(one.get("note")))
        for one in map(table, items(raw.get("panels")))
    )
    panels = panels or tuple((key, text(raw.get(key)), "") for key in ("image", "truth", "prediction"))
    if len(panels) > MOST_PANELS or not all(is_png(uri) for _, uri, _ in panels):
        return None
    return Picture(text(raw.get("site")), text(raw.get("patient")), number(raw.get("score")), panels, _rank(raw))


def _rank(raw: Mapping[str, Any]) -> str:
    return rank if (rank := text(raw.get("rank"))) in ("worst", "best") else ""
