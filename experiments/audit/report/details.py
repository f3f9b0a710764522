"""What every party could read, what was not tried, every attempt with its settings, and how to do it again."""

from __future__ import annotations

import json

from experiments.attack import declared
from experiments.audit.cast import Cast, cast_of_report
from experiments.audit.dossier.first_page import coded
from experiments.audit.records import Report, Trial
from experiments.audit.report.words import called, plainly
from server.reporting.markup import Child, Markup, table, tag
from server.reporting.sections.layout import facts, numbers, section
from server.reporting.wording import capital, shortened, size

MOST_SHOWN = 240
"""Characters of an attempt's settings; all of them are in `audit.json`."""
WORDS = {
    "update": "what training on its patients changed in the model; it is what a hospital sends instead of data",
    "epsilon": "a bound on how much more likely any conclusion can become by one patient's data being there or not",
    "delta": "the small chance, roughly, that the bound of epsilon does not hold",
    "similarity": "structural similarity (SSIM): 1 for equal images, about 0 for unrelated ones",
    "PSNR": "the size of the error against the range of values, in decibels: 30 is hard to tell from the original",
    "area under the curve": "the chance that an attack ranks a patient of the study above another; 0.5 is guessing",
    "to collude": "to tell the coordinator what one sent, so that it can take that out of a sum",
    "planted fault": "a mistake put into the training on purpose, such as no noise, to see whether an attack notices",
    "power": "how often planted faults are noticed: a test without it says nothing when it finds nothing",
    "singling out": "telling one person's data from all others', with or without a name",
    "linkability": "telling that two records, or a record and this study, are of the same person or group",
    "inference": "learning something about a person that one did not know, with good odds",
    "zero-out": "epsilon compares the data with the same in which one person's are replaced by nothing",
    "stock node": "Flower's own program at a hospital, which runs whatever program the server sends",
    "secagg, bfv, ckks, additive": "ways to add up updates so that nobody reads a single one",
}
"""For somebody who never trained a model."""


def readable(report: Report) -> Markup:
    """A row a party, and the bytes by kind of message."""
    rows = [[one["party"], one["reads"], one["cannot_read"]] for one in report.parties]
    kinds = [
        [str(k["content"]), str(k["direction"]), str(k["leg"]), f"{k['messages']:,}", size(int(k["bytes"]))]
        for k in report.traffic
    ]
    return section(
        "read",
        "What every party could read",
        "From the messages that this run recorded.",
        table(["Party", "Could read", "Could not read"], rows, words=3),
        numbers("All messages by kind", table(["What", "Direction", "Leg", "Messages", "Bytes"], kinds, words=3)),
    )


def untried(report: Report) -> Markup:
    """Limits of the audit."""
    rows = [[what, why] for what, why in report.not_tried]
    cast = cast_of_report(report)
    rows += [
        [capital(called(attack, cast)), coded(f"not here{where}: {plainly(reason, cast)}")]
        for attack, reason, where in _impossible(report)
    ]
    return section(
        "untried",
        "What was not tried",
        "An attack that fails is no proof that none can succeed. Only a promised epsilon bounds attacks nobody has "
        "thought of, and only masks or encryption hide an update altogether.",
        table(["What", "Why"], rows, words=2),
    )


def _impossible(report: Report) -> list[tuple[str, str, str]]:
    """Attack, reason and, where others were attacked by it, the hospitals it is the reason for; each once."""
    sites: dict[tuple[str, str], list[str]] = {}
    for trial in report.trials:
        if not trial.possible:
            sites.setdefault((trial.attack, trial.reason), []).append(trial.site)
    made = {trial.attack for trial in report.trials if trial.possible}
    return sorted(
        (attack, reason, f", at {', '.join(named)}" if attack in made and all(named) else "")
        for (attack, reason), named in sites.items()
    )


def details(report: Report) -> Markup:
    """Every attempt, thresholds, and the command."""
    head = ["Attempt", "Figures", "Settings"]
    rows = [_row(trial) for trial in report.trials if trial.possible]
    limits = [(name.replace("_", " "), f"{value:g}") for name, value in report.thresholds.items()]
    return section(
        "details",
        "Every attempt, and how to make it again",
        "The same command on the same run folder makes every figure again; attacks that search until their seconds "
        "are used up get a little farther on a faster machine.",
        tag("pre", report.command),
        facts(
            [
                ("Study", report.study),
                ("Run", report.run),
                ("Seed", str(report.seed)),
                ("SHA-256 of the model", report.model_sha256),
            ]
        ),
        numbers("Limits of the rules", facts(list(limits))),
        numbers("All attempts", tag("div", table(head, rows, words=3), class_="attempts")),
        numbers("Where each attack was published", facts(_sources(report))),
        _plugins(report),
        numbers("Words used on this page", facts([*WORDS.items(), *_attacks(report)])),
    )


def _attacks(report: Report) -> list[tuple[str, str]]:
    """Those of this report, in words."""
    cast = cast_of_report(report)
    attacks = cast.attacks
    names = dict.fromkeys(trial.attack for trial in report.trials if trial.attack in attacks)
    return [(_both(name, cast), words) for name in names if (words := str(declared(attacks[name], "words")))]


def _both(name: str, cast: Cast) -> str:
    """An attack as the page calls it, and by its name in the table of attempts."""
    words = called(name, cast)
    return words if words == name else f"{words} ({name})"


def _plugins(report: Report) -> Markup | None:
    rows = [[one.kind, one.name, one.reference, one.sha256] for one in report.plugins]
    head = ["Kind", "Name", "From", "SHA-256"]
    return numbers("Entries that were named for this audit", table(head, rows, words=4)) if rows else None


def _sources(report: Report) -> list[tuple[str, Child]]:
    cast = cast_of_report(report)
    return list({_both(trial.attack, cast): trial.source for trial in report.trials if trial.source}.items())


def _row(trial: Trial) -> list[str]:
    figures = ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in trial.figures.items())
    settings = shortened(json.dumps(dict(trial.settings), default=str), MOST_SHOWN)
    return [f"{trial.attack}, by {trial.observer}, {trial.site or 'all'}, {trial.seconds:.1f} s", figures, settings]
