"""Does learning together help? Every hospital's score with its own model, the federated and the pooled one."""

from __future__ import annotations

from collections.abc import Mapping

from common.data.names import SiteId
from server.reporting.by_hospital import ByHospital, folded, is_many
from server.reporting.charts.bars import bar, legend, row
from server.reporting.charts.forest import Estimate, forest
from server.reporting.charts.scale import Scale, extent
from server.reporting.charts.strip import strip, strip_axis
from server.reporting.comparison import TOGETHER, Comparison
from server.reporting.markup import Child, Markup, joined, table, tag
from server.reporting.patients import Gain
from server.reporting.records import Run, Scores
from server.reporting.sections.layout import MOST_ROWS, figure, numbers, section
from server.reporting.sections.result_of_many import every_score, spreads
from server.reporting.wording import capital, count, difference, listed, named, score, score_name

MODELS = {
    "local": "each hospital alone",
    "federated": "learned together (federated)",
    "pooled": "all data in one place (pooled)",
}

SIMULATED = " The hospitals are simulated: of real ones, no single gain would be known here."
TOGETHER_LEDE = (
    "Scores of single hospitals are not revealed: they were added up with the updates. "
    "These are of all patients together."
)
HELD_OUT_LEDE = (
    "Whole hospitals were held out and never trained on; each has too few patients for a score of its own. "
    "These are of all their patients together."
)


def result(run: Run, comparison: Comparison) -> Markup | None:
    """None where nothing was evaluated."""
    if not comparison.federated:
        return None
    every, few = compared(comparison), len(comparison.federated) <= MOST_ROWS
    drawn = spreads(comparison, MODELS) if is_many(run) and not few else None
    return section(
        "result",
        "Does learning together help?",
        _lede(run, comparison),
        legend((label, key) for key, label in MODELS.items() if key in comparison.models),
        drawn or (_bars(comparison) if few else _strips(comparison)),
        _gains(run, comparison),
        folded(
            run,
            every,
            f"{every.title} of every hospital",
            _by_score(comparison),
            "the ten highest and the ten lowest",
        ),
        every_score(run, comparison.split) if is_many(run) else _all_scores(run, comparison.split),
    )


def _by_score(comparison: Comparison) -> list[SiteId]:
    return sorted(comparison.federated, key=lambda site: (-comparison.federated[site], site))


def _lede(run: Run, comparison: Comparison) -> str:
    gains = comparison.gains
    if TOGETHER in comparison.federated:
        return HELD_OUT_LEDE if run.about.reveals == "each" else TOGETHER_LEDE
    if not gains:
        missing = "No other model was trained to compare with"
        return f"{missing}: the study asks for none, or the run ended before." if comparison.split else missing
    start = (
        f"The federated model beats the hospital's own at {len(comparison.better)} of {count(len(gains), 'hospital')}"
    )
    level = len(gains) - len(comparison.better) - len(comparison.worse)
    start += f" and is level with it at {level}." if level else "."
    if not comparison.worse:
        return start
    named = listed([f"{site} ({difference(gains[site])})" for site in comparison.worse], most=4)
    return f"{start} It falls behind at {named}."


def _known_gains(run: Run, split: str) -> Mapping[SiteId, Gain]:
    """With intervals, of simulated patients."""
    return run.patients.gains if run.patients is not None and split == run.patients.split else {}


def _estimates(run: Run, comparison: Comparison) -> list[Estimate]:
    """Whoever gains most comes first."""
    found = _known_gains(run, comparison.split)
    values = {**comparison.gains, **{site: one.value for site, one in found.items()}}
    values.pop(TOGETHER, None)
    return [
        Estimate(
            site,
            values[site],
            found[site].low if site in found else None,
            found[site].high if site in found else None,
            note=f"{found[site].patients} patients" if site in found else "",
        )
        for site in sorted(values, key=lambda site: -values[site])
    ]


def gained(run: Run, comparison: Comparison) -> ByHospital | None:
    """What each hospital gains by taking part, with intervals where its patients are simulated here."""
    drawn = _estimates(run, comparison)
    if not drawn or (len(drawn) > MOST_ROWS and not _known_gains(run, comparison.split)):
        return None
    rows = {one.name: [difference(one.value), difference(one.low), difference(one.high), one.note] for one in drawn}
    return ByHospital("gains", "What it gains by taking part", ["Gain", "from", "to", "On"], rows)


def _gains(run: Run, comparison: Comparison) -> Child:
    every, found = gained(run, comparison), _known_gains(run, comparison.split)
    if every is None:
        return None
    drawn, order = _estimates(run, comparison), list(every.rows)
    chart = forest(drawn, difference, 0.0) if len(drawn) <= 2 * MOST_ROWS else None
    values_table = folded(run, every, "The gains as numbers", order, "who gains most and who gains least")
    return figure(
        "What each hospital gains by taking part",
        chart,
        values_table,
        note=_who_gains(found) + SIMULATED * (TOGETHER in comparison.federated),
    )


def _who_gains(found: Mapping[SiteId, Gain]) -> str:
    start = "Federated minus the hospital's own model, on its test patients."
    if not found:
        return f"{start} There are no intervals: they need single patients' scores of both models."
    gain = [site for site, one in found.items() if one.low > 0]
    lose = [site for site, one in found.items() if one.high < 0]
    rest = len(found) - len(gain) - len(lose)
    said = [f"{listed(gain)} {'gains' if len(gain) == 1 else 'gain'}"] if gain else []
    said += [f"{listed(lose)} {'loses' if len(lose) == 1 else 'lose'}"] if lose else []
    said += [f"of {count(rest, 'hospital')} the interval holds 0, so its patients do not tell"] if rest else []
    return (
        f"{start} The line is the 95 % interval over its patients, both models on the same ones (paired bootstrap): "
        f"{'; '.join(said)}."
    )


def _share(comparison: Comparison) -> Scale:
    values = [value for scores in comparison.models.values() for value in scores.values()]
    if all(0 <= value <= 1 for value in values):
        return Scale(0, 1, 0, 1)
    low, high = extent([*values, 0.0])
    return Scale(low, high, 0, 1)


def _bars(comparison: Comparison) -> Markup:
    scale = _share(comparison)
    shared = len(comparison.shared)
    mean = row(
        f"Mean of {count(shared, 'hospital')}",
        *(_bar(comparison, model, "mean", comparison.mean(model), scale) for model in comparison.models),
        strong=True,
    )
    rows = [
        row(
            site,
            *(_bar(comparison, model, site, scores.get(site), scale) for model, scores in comparison.models.items()),
        )
        for site in comparison.federated
    ]
    return tag("div", mean if shared > 1 else None, *rows, class_="rows groups")


def _bar(comparison: Comparison, model: str, site: SiteId, value: float | None, scale: Scale) -> Markup:
    if value is None:
        return bar(0.0, "not defined", model, f"{site}, {MODELS[model]}: not defined")
    return bar(scale(value), score(value), model, f"{site}, {MODELS[model]}: {score(value)}")


def _strips(comparison: Comparison) -> Markup:
    values = [value for scores in comparison.models.values() for value in scores.values()]
    scale = Scale(*extent(values), 1, 99)
    rows = [_strip(comparison, model, scale) for model in comparison.models]
    axis = row("", strip_axis(scale))
    name = score_name(comparison.score)
    note = f"{capital(name)}; one mark a hospital, the bold line is their mean. Hover a mark for its name."
    return joined(
        [tag("div", *rows, axis, class_="rows strips"), tag("p", note, class_="note"), _gain_strip(comparison)]
    )


def _strip(comparison: Comparison, model: str, scale: Scale) -> Markup:
    scores, mean = comparison.models[model], comparison.mean(model)
    tips = {site: f"{site}, {MODELS[model]}: {score(value)}" for site, value in scores.items()}
    return row(capital(MODELS[model]), strip(scores, scale, model, mean, tips), note=f"mean {score(mean)}")


def _gain_strip(comparison: Comparison) -> Child:
    gains = comparison.gains
    if not gains:
        return None
    scale = Scale(*extent([*gains.values(), 0.0]), 1, 99)
    mean = sum(gains.values()) / len(gains)
    tips = {site: f"{site}: {difference(gain)}" for site, gain in gains.items()}
    drawn = row(
        "Federated minus alone", strip(gains, scale, "federated", mean, tips), note=f"mean {difference(mean)}"
    )
    return figure("What each hospital gains", tag("div", drawn, row("", strip_axis(scale)), class_="rows strips"))


def compared(comparison: Comparison) -> ByHospital:
    """The main score of every hospital, of each model."""
    models, gains = comparison.models, comparison.gains
    head = [capital(MODELS[model]) for model in models]
    rows = {site: [score(scores.get(site)) for scores in models.values()] for site in comparison.federated}
    if gains:
        head.append("Federated minus alone")
        for site, cells in rows.items():
            cells.append(difference(gains.get(site)))
    return ByHospital("result", capital(score_name(comparison.score)), head, rows)


def _all_scores(run: Run, split: str) -> Child:
    """Every score of the final model, where there is more than the one above."""
    if split not in run.final:
        return None
    scores = run.final[split]
    names = sorted({name for one in (*scores.sites.values(), scores.pooled) for name in one})
    if len(names) < 2:
        return None
    rows = [_score_row(site, one, names) for site, one in scores.sites.items()]
    rows.append(_score_row("All patients together", scores.pooled, names))
    head = ["Hospital", *(named(name, run.roster.classes) for name in names)]
    return numbers("All scores of the federated model", table(head, rows))


def _score_row(name: str, scores: Scores, names: list[str]) -> list[str]:
    return [name, *(score(scores.get(key)) for key in names)]
