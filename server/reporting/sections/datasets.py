"""What each hospital holds: how many cases, of which labels, and how much the hospitals differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from common.data.names import SiteId
from server.reporting.by_hospital import MANY, ByHospital, folded
from server.reporting.charts.bars import Part, legend, row, stacked_bar
from server.reporting.charts.strip import columns
from server.reporting.markup import Markup, joined, tag
from server.reporting.records import Holding, Roster, Run
from server.reporting.sections.layout import MOST_ROWS, beside, figure, section
from server.reporting.wording import NOTHING, count, percent, score

SPLITS = {"train": "training", "validation": "validation", "test": "test"}
UNTOLD = "No hospital told how many cases it holds."
NOT_LEARNED = "Nothing is learned from them here; source.unlabelled = true does not even read them."
MOST_CLASSES = 8
MOST_COLUMNS = 100
BACKGROUND = "background"
PICTURE_COLOURS = 6
"""Classes that pictures can tell apart by colour."""


def holdings(run: Run) -> Markup | None:
    """None where no roster was written."""
    roster = run.roster
    if not roster.holdings:
        return None
    cases = sum(_total(holding) for holding in roster.holdings)
    if not cases:
        return section("data", "What each hospital holds", UNTOLD)
    lede = f"{count(cases, 'case')} in {count(len(roster.holdings), 'hospital')}. {skew_sentence(roster)}"
    return section(
        "data",
        "What each hospital holds",
        lede.strip(),
        beside(_sizes(roster), _labels(roster, learned=not run.about.watched)),
        folded(
            run,
            every := held(roster),
            f"{every.title} of every hospital",
            _by_size(roster),
            "the ten largest and the ten smallest",
        ),
    )


def skew_sentence(roster: Roster) -> str:
    """The measured differences between hospitals, and what they mean for learning together."""
    if len(roster.holdings) < 2:
        return ""
    words = []
    if (divergence := roster.label_divergence) is not None:
        words.append(
            f"{_label_words(divergence)} (label divergence {score(divergence)}; "
            "0 is the same mix everywhere, 1 nothing in common)."
        )
    if (gini := roster.size_gini) is not None:
        words.append(f"{_size_words(gini)} (Gini coefficient {score(gini)}; 0 is equal sizes).")
    if roster.partition:
        words.append(f"The data were divided among simulated hospitals by the partition “{roster.partition}”.")
    return " ".join(words)


def _label_words(divergence: float) -> str:
    if divergence < 0.02:
        return "The hospitals see nearly the same mix of labels"
    if divergence < 0.15:
        return "The hospitals see somewhat different mixes of labels"
    return "The hospitals see very different mixes of labels, which makes one common model harder to learn"


def _size_words(gini: float) -> str:
    if gini < 0.1:
        return "They are of about the same size"
    if gini < 0.4:
        return "They differ in size"
    return "A few of them hold most of the cases"


def _total(holding: Holding) -> int:
    return sum(holding.cases.get(split, 0) for split in SPLITS)


def _size_parts(holding: Holding) -> list[Part]:
    return [
        Part(label, holding.cases.get(split, 0), split, f"{holding.cases.get(split, 0):,}")
        for split, label in SPLITS.items()
    ]


def _sizes(roster: Roster) -> Markup:
    largest = max(1, *(_total(holding) for holding in roster.holdings))
    keys = legend((label, split) for split, label in SPLITS.items())
    if len(roster.holdings) > MOST_ROWS:
        ordered = sorted(roster.holdings, key=_total, reverse=True)
        stacks = {holding.site: _size_parts(holding) for holding in ordered}
        drawn, each = _thinned(stacks)
        note = (
            f"{each}, largest first; the {'largest' if drawn is not stacks else 'tallest'} holds {largest:,} cases."
        )
        return figure("Cases", keys, columns(drawn, largest), note=note)
    rows = [
        row(holding.site, stacked_bar(_size_parts(holding), largest, shares=False), note=f"{_total(holding):,}")
        for holding in roster.holdings
    ]
    return figure("Cases", keys, tag("div", *rows, class_="rows"))


def foreground(labels: Mapping[str, float]) -> tuple[dict[str, float], float]:
    """Shares among the labels other than background, which would hide them all, and the background's share."""
    if BACKGROUND not in labels or len(labels) < 2:
        return dict(labels), 0.0
    rest = {name: share for name, share in labels.items() if name != BACKGROUND}
    total = sum(rest.values())
    return {name: share / total if total > 0 else 0.0 for name, share in rest.items()}, labels[BACKGROUND]


def class_names(roster: Roster) -> list[str]:
    """Classes as drawn: all but background; past `MOST_CLASSES` the last is all others."""
    found = dict.fromkeys([*roster.classes, *(name for one in roster.holdings for name in one.labels)])
    names = [name for name in found if name != BACKGROUND or len(found) < 2]
    return names if len(names) <= MOST_CLASSES else [*names[: MOST_CLASSES - 1], "all others"]


def class_looks(names: Sequence[str], drawn_over: bool) -> dict[str, str]:
    """The colour of every class; that of the pictures where labels are drawn over images."""
    kind = "p" if drawn_over and len(names) <= PICTURE_COLOURS else "c"
    return {name: f"{kind}{k}" for k, name in enumerate(names, 1)}


def _label_parts(holding: Holding, names: list[str]) -> list[Part]:
    shares, _ = foreground(holding.labels)
    values = {name: shares.get(name, 0.0) for name in names}
    if names[-1] == "all others":
        values["all others"] = max(0.0, sum(shares.values()) - sum(values.values()))
    looks = class_looks(names, BACKGROUND in holding.labels)
    return [Part(name, share, looks[name], percent(share)) for name, share in values.items()]


def _thinned(stacks: dict[SiteId, list[Part]]) -> tuple[dict[SiteId, list[Part]], str]:
    """Of many hospitals the middle one of each few in this order; and in words what a column stands for."""
    if len(stacks) <= MANY:
        return stacks, "One column a hospital"
    length, order = -(-len(stacks) // MOST_COLUMNS), list(stacks.items())
    groups = [order[start : start + length] for start in range(0, len(order), length)]
    kept = {}
    for k, group in enumerate(groups):
        site, parts = group[len(group) // 2]
        first = k * length + 1
        kept[f"hospitals {first:,} to {first + len(group) - 1:,}, drawn is {site}"] = parts
    return kept, f"A column stands for {length} hospitals that are next to each other, and shows the middle one"


def _labels(roster: Roster, learned: bool) -> Markup | None:
    """learned: whether the task learns from labels; None where it does not and there are none."""
    names = class_names(roster)
    if roster.shape and not names:
        words = "There are no classes to count: what is learned are numbers."
        return figure("Labels", tag("p", words, class_="quiet")) if learned else None
    if not any(holding.labels for holding in roster.holdings) or not names:
        return figure("Labels", tag("p", "No label distribution was told.", class_="quiet")) if learned else None
    drawn_over = any(BACKGROUND in holding.labels for holding in roster.holdings)
    keys = legend(class_looks(names, drawn_over).items())
    note = _background_note(roster)
    stacks = {holding.site: _label_parts(holding, names) for holding in roster.holdings}
    if len(stacks) > MOST_ROWS:
        ordered = dict(sorted(stacks.items(), key=lambda item: [part.value for part in item[1]], reverse=True))
        drawn, each = _thinned(ordered)
        return figure("Labels", keys, columns(drawn, 1.0), note=joined([f"{each}. ", note]))
    rows = [row(site, stacked_bar(parts)) for site, parts in stacks.items()]
    return figure("Labels", keys, tag("div", *rows, class_="rows"), note=note if learned else NOT_LEARNED)


def _background_note(roster: Roster) -> str | None:
    backgrounds = [foreground(holding.labels)[1] for holding in roster.holdings if holding.labels]
    if not any(backgrounds):
        return None
    low, high = percent(min(backgrounds)), percent(max(backgrounds))
    share = low if low == high else f"{low} to {high}"
    return f"Shares of the marked area; the background, {share} of each hospital's pixels, is left out."


def _by_size(roster: Roster) -> list[SiteId]:
    return [holding.site for holding in sorted(roster.holdings, key=_total, reverse=True)]


def held(roster: Roster) -> ByHospital:
    """Of every hospital: cases and patients by split, and its share of each label."""
    names = list(dict.fromkeys([*roster.classes, *(name for one in roster.holdings for name in one.labels)]))
    head = [
        *(f"Cases, {word}" for word in SPLITS.values()),
        *(f"Patients, {word}" for word in SPLITS.values()),
        "Unusable cases",
        *names,
    ]
    rows = {
        holding.site: [
            *(f"{holding.cases.get(split, 0):,}" for split in SPLITS),
            *(f"{holding.patients.get(split, 0):,}" for split in SPLITS),
            f"{holding.quarantined:,}",
            *(percent(holding.labels[name]) if name in holding.labels else NOTHING for name in names),
        ]
        for holding in roster.holdings
    }
    return ByHospital("holdings", "Cases, patients and labels", head, rows)
