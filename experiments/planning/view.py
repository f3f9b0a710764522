"""A privacy plan for a person: a table with epsilon over rounds in little, sentences, and a drawing."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from common.privacy.mechanism import Facts
from common.privacy.mechanisms.dpsgd import Dpsgd
from experiments.planning.privacy_plan import Counted, Plan, PlannedSite, planned_site
from server.privacy_report import noise_on_mean
from server.reporting.charts.lines import HEIGHT, WIDTH, Line, line_chart
from server.reporting.markup import Markup, tag
from server.reporting.parsing import beside_of
from server.reporting.sections.promise import OTHERS, beside_sentences, neighbours
from server.reporting.wording import score

BLOCKS = "▁▂▃▄▅▆▇█"
BLOCKS_A_LINE = 12
MOST_LINES = 8
CAPTION_HEIGHT = 26.0
NO_MECHANISM = (
    "This study names no privacy mechanism: nothing bounds what its models and updates tell of a single patient, and "
    "there is no epsilon. A section [privacy] adds one, as: --set privacy=dpsgd --set privacy.epsilon=1."
)
SETTING = (
    "privacy.epsilon asks for a bound and gets the least noise that keeps it; privacy.noise_multiplier sets noise."
)
STYLE = """
svg { background: #fff; font: 12.5px system-ui, sans-serif; } text { fill: #5c6672; }
.end, .caption { fill: #1b2430; }
.grid { stroke: #e3e1dc; } .axis { stroke: #5c6672; } .leader { fill: none; stroke: #5c6672; stroke-width: .7; }
.line { fill: none; stroke: currentColor; stroke-width: 1.6; } .dot { fill: currentColor; }
.hit { fill: transparent; }
.c1 { color: #0072b2; } .c2 { color: #e69f00; } .c3 { color: #009e73; } .c4 { color: #cc79a7; }
.c5 { color: #56b4e9; } .c6 { color: #d55e00; } .c7 { color: #7a5195; } .c8 { color: #7d8590; }
"""


def table(plan: Plan) -> Table:
    """One line a hospital."""
    title = f"{plan.mechanism}: hides one {plan.unit}, delta {plan.delta:g}, {plan.rounds} rounds"
    shown = Table(title=title, title_justify="left")
    shown.add_column("hospital")
    for column in ("patients", "cases", "share drawn", "noise multiplier", "noisy sums", "epsilon", "by Rényi"):
        shown.add_column(column, justify="right")
    shown.add_column(f"rounds 1 to {plan.rounds}", no_wrap=True)
    for site, one in plan.sites.items():
        shown.add_row(
            Text(site),
            f"{one.patients:,}",
            f"{one.cases:,}",
            _each(score(release.sampling_rate) for release in one.releases),
            _each(f"{release.noise_multiplier:.4g}" for release in one.releases),
            f"{one.steps:,}",
            score(one.bound.epsilon),
            score(one.bound.epsilon_rdp),
            blocks(one, plan.worst.bound.epsilon),
        )
    return shown


def _each(words: Iterable[str]) -> str:
    return " + ".join(dict.fromkeys(words))


def blocks(one: PlannedSite, highest: float) -> str:
    """Epsilon after evenly spaced rounds as heights of blocks; a full block is `highest`."""
    every = -(-len(one.curve) // BLOCKS_A_LINE)
    kept = one.curve[::-1][::every][::-1]
    return "".join(BLOCKS[min(int(len(BLOCKS) * epsilon / highest), len(BLOCKS) - 1)] for _, epsilon in kept)


def sentences(plan: Plan, counted: Counted) -> list[str]:
    """What the table cannot say."""
    said = [
        "Epsilon is summed up by privacy loss distributions, a tight upper bound; Rényi divergences bound it looser. "
        "Each hospital is counted in every round: one that misses some spends less.",
        neighbours(plan.relation),
        SETTING,
    ]
    if (others := beside_of(plan.beside)) is not None:
        said += [OTHERS.format(site=others.site), *beside_sentences(others, plan.unit, plan.delta)]
    if plan.unit == "hospital":
        said.append(few_hospitals(plan, counted))
    return said


def few_hospitals(plan: Plan, counted: Counted) -> str:
    """What hiding whole hospitals costs with this few, and what hiding patients would at the same epsilon."""
    facts = next(iter(counted.facts.values()))
    noise = plan.worst.releases[0].noise_multiplier
    present = max(1, round(counted.study.federation.client_fraction * facts.hospitals))
    whole = noise_on_mean(noise, 1.0, present, counted.parameters)
    return (
        f"With {present} hospitals a round, noise on the mean update is {score(noise / present)} times the clip norm "
        f"in every coordinate, and {score(whole)} times over all {counted.parameters:,} parameters, where the mean "
        f"itself has at most 1. {_patients_instead(plan, counted)}"
    )


def _patients_instead(plan: Plan, counted: Counted) -> str:
    delta = min(plan.delta, 0.1 / max(facts.patients for facts in counted.facts.values()))
    mechanism = Dpsgd(epsilon=plan.worst.bound.epsilon, delta=delta)
    costs = [_noise_of_a_step(mechanism, facts, site) for site, facts in counted.facts.items()]
    return (
        f"Hiding patients instead (privacy 'dpsgd') at the same epsilon and delta {delta:.2g} puts "
        f"{score(min(costs))} to {score(max(costs))} times the clip norm on the mean gradient of a hospital's step, "
        "in every coordinate."
    )


def _noise_of_a_step(mechanism: Dpsgd, facts: Facts, site: str) -> float:
    (release,) = planned_site(mechanism, facts, site).releases
    return release.noise_multiplier / (release.sampling_rate * mechanism.units(facts))


def drawing(plan: Plan) -> Markup:
    """Epsilon against rounds as a whole SVG file; of many hospitals those that spend most."""
    most = sorted(plan.sites, key=lambda site: -plan.sites[site].bound.epsilon)[:MOST_LINES]
    lines = [
        Line(site, tuple((float(at), epsilon) for at, epsilon in plan.sites[site].curve), f"c{number}")
        for number, site in enumerate(sorted(most), 1)
    ]
    caption = f"epsilon at delta {plan.delta:g}, {plan.mechanism}, one {plan.unit} hidden"
    chart = line_chart(lines, describe=caption, x_word="round", words=score)
    height = HEIGHT + CAPTION_HEIGHT
    return tag(
        "svg",
        tag("style", STYLE),
        tag("text", caption, x=10, y=18, class_="caption"),
        tag("g", tag("svg", chart, width=WIDTH, height=HEIGHT), transform=f"translate(0 {CAPTION_HEIGHT:g})"),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        width=2 * WIDTH,
        height=2 * height,
    )
