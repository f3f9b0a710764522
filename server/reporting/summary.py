"""The figures of the page for machines: `summary.json`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from common.data.names import SiteId
from server.collapse_words import all_well, sentences
from server.reporting.collapse import collapse_of
from server.reporting.comparison import Comparison, compare
from server.reporting.losses import Losses, losses_table
from server.reporting.records import Holding, Run
from server.reporting.sections.compression import saved
from server.reporting.tally import Tally, tally_of
from server.reporting.wording import named

SCHEMA = 2
"""1, which had no number, had in `problems` only files that could not be read."""


def summary_of(run: Run) -> dict[str, Any]:
    """Plain JSON values; null where a figure is not known."""
    about, comparison, losses = run.about, compare(run), Losses(run)
    return {
        "schema": SCHEMA,
        "study": about.study,
        "title": about.title,
        "state": about.state,
        "reason": about.reason,
        "rounds": {"done": run.rounds_done, "planned": about.rounds_planned},
        "seed": about.seed,
        "seconds": about.seconds,
        "model_sha256": about.model_sha256,
        "model_of_round": run.model_round,
        "ended_early": about.ended_early,
        "taken_back": list(taken_back(run)),
        "plugins": dict(about.plugins),
        "reveals": about.reveals,
        "headline": _headline(comparison),
        "intervals": _intervals(run),
        "score_names": {name: named(name, run.roster.classes) for name in _score_names(run)},
        "began_from": about.began_from,
        "skew": {"label_divergence": run.roster.label_divergence, "size_gini": run.roster.size_gini},
        "bytes": bytes_moved(run),
        "compression": None if (less := saved(run)) is None else less.table,
        "privacy": _privacy(run),
        "hospitals": _hospitals(run, comparison),
        "collapse": _collapse(run),
        "outcome": outcome(run, losses),
        "expected": {"hospitals": losses.expected, "sites": list(about.sites_expected)},
        "took_part": list(losses.took_part),
        "left_out": losses_table(losses),
        "problems": [*run.problems, *losses.sentences],
    }


def taken_back(run: Run) -> tuple[str, ...]:
    """Which rounds count for nothing, and why, a sentence each."""
    found = [*(one.taken_back for one in run.rounds), run.about.last_taken_back]
    return tuple(one for one in found if one)


def _intervals(run: Run) -> dict[str, dict[str, list[float]]]:
    """95 %, by split and score: from sums, else from single patients of a simulation."""
    found = {}
    for split, one in run.final.items():
        ends = {name: run.interval(split, name) for name in one.pooled}
        found[split] = {name: list(pair) for name, pair in ends.items() if pair is not None}
    return found


def _score_names(run: Run) -> list[str]:
    """The scores by the names that files have, of all splits."""
    return sorted(
        {name for one in run.final.values() for scores in (one.pooled, *one.sites.values()) for name in scores}
    )


def outcome(run: Run, losses: Losses) -> str:
    """The state in which a run ended, and whether something was lost on the way."""
    has_problems = bool(losses.grave) or collapse_of(run).collapsed
    return f"{run.about.state} with problems" if run.about.state == "completed" and has_problems else run.about.state


def _collapse(run: Run) -> dict[str, Any] | None:
    """Whether the network still tells cases apart; None of a task that is not watched."""
    found = collapse_of(run)
    if not found.watched:
        return None
    return {
        "collapsed": found.collapsed,
        "looks": len(found.looks),
        "last_well": found.last_well,
        "words": " ".join(sentences(found)) or all_well(found),
        "findings": [asdict(one) for one in found.standing],
        "passed": [asdict(one) for one in found.passed],
    }


def bytes_moved(run: Run) -> dict[str, int]:
    """Bytes to and from hospitals: of all messages, or of the rounds alone where `traffic.json` is absent."""
    if run.traffic.kinds:
        received = sum(kind.bytes for kind in run.traffic.kinds if kind.leaves_hospital)
        return {"sent": sum(kind.bytes for kind in run.traffic.kinds) - received, "received": received}
    return {"sent": sum(one.sent for one in run.rounds), "received": sum(one.received for one in run.rounds)}


def _privacy(run: Run) -> dict[str, Any] | None:
    if run.privacy is None:
        return None
    spent = {site: one.epsilon for site, one in run.privacy.sites.items()}
    beside = run.privacy.beside
    return {
        "unit": run.privacy.unit,
        "delta": run.privacy.delta,
        "relation": run.privacy.relation,
        "epsilon": spent,
        "epsilon_exchanged": None if beside is None else beside.exchanged,
    }


def _headline(comparison: Comparison) -> dict[str, Any]:
    return {
        "score": comparison.score,
        "split": comparison.split,
        "of_round": comparison.of_round,
        "hospitals": len(comparison.shared),
        "federated": comparison.mean("federated"),
        "local": comparison.mean("local"),
        "pooled": comparison.mean("pooled"),
        "hospitals_compared": len(comparison.gains),
        "hospitals_better_than_alone": len(comparison.better),
    }


def _hospitals(run: Run, comparison: Comparison) -> dict[SiteId, dict[str, Any]]:
    tally = tally_of(run.rounds)
    holdings = {one.site: one for one in reversed(run.roster.holdings)}
    return {site: _hospital(run, comparison, site, holdings.get(site), tally) for site in run.sites}


def _hospital(
    run: Run, comparison: Comparison, site: SiteId, holding: Holding | None, tally: Tally
) -> dict[str, Any]:
    moved = run.traffic.sites.get(site, {})
    return {
        "federated": comparison.federated.get(site),
        "local": comparison.local.get(site),
        "pooled": comparison.pooled.get(site),
        "cases": dict(holding.cases) if holding else None,
        "patients": dict(holding.patients) if holding else None,
        "labels": dict(holding.labels) if holding else None,
        "quarantined": holding.quarantined if holding else None,
        "bytes_sent": moved.get("sent"),
        "bytes_received": moved.get("received"),
        "rounds_selected": tally.selected.get(site, 0),
        "rounds_contributed": tally.contributed.get(site, 0),
        "drops": [
            {"round": one.number, "leg": drop.leg, "reason": drop.reason} for one, drop in tally.drops.get(site, ())
        ],
    }
