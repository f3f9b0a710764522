"""What came back beside the patient's own: cards with both pictures, and all attempts in numbers."""

from __future__ import annotations

from experiments.audit.records import CHANCE, Rebuilt, Report, Trial
from server.reporting.markup import Markup, table, tag
from server.reporting.sections.layout import section
from server.reporting.wording import capital

MOST_PAIRS, FEWEST_PAIRS = 9, 3
LEFT_AND_RIGHT = (
    "Left the patient's own, right what the attack came up with, most alike first; of a volume the middle slices "
    "across its three axes."
)
COLUMNS = (
    "Similarity is of structure (SSIM; for tables, correlation), brightness and contrast being set right: 1 is "
    "the same. To others: of what came back, to the most alike case of a patient who is not behind the update. Of "
    "others: of another patient's case, put in the place of what came back."
)
WITHHELD = "In numbers alone, most alike first: no picture of a patient is on this page."
SECRET = (
    "This page shows data of patients. It is made from a simulation, where the data are at hand; treat the file as "
    "you treat the data. The copy for the file, in the folder dossier, has none of them."
)


def pictured(report: Report) -> Markup | None:
    """Originals beside reconstructions; None where nothing was rebuilt."""
    pairs = [(t, one) for t in report.trials if not t.refused for one in t.rebuilt]
    if not pairs:
        return None
    pairs.sort(key=lambda pair: (pair[1].identifies, pair[1].tells, pair[1].ssim), reverse=True)
    telling = sum(one.tells for _, one in pairs)
    cards = [pair for pair in pairs if pair[1].original][: min(MOST_PAIRS, max(telling, FEWEST_PAIRS))]
    similarity = ["Similarity", "To others", "Of others"]
    head = ["Attack", "Hospital", *similarity, "PSNR, dB", "Recognised?"]
    rows = [[_attack(t), r.site, *_similarity(r), f"{r.psnr_db:.1f}", recognised(r)] for t, r in pairs]
    return section(
        "rebuilt",
        "What came back of patients' data",
        f"{LEFT_AND_RIGHT if cards else WITHHELD} {COLUMNS}",
        tag("p", SECRET, class_="banner warn") if cards else None,
        tag("div", *(pair(t, r) for t, r in cards), class_="cards") if cards else None,
        tag("details", tag("summary", "All attempts in numbers"), table(head, rows, words=2)),
    )


def _attack(trial: Trial) -> str:
    """Its name, and whose it is where that does not keep to the protocol."""
    return trial.attack if trial.honest else f"{trial.attack} ({trial.observer})"


def _similarity(one: Rebuilt) -> list[str]:
    return [f"{value:.2f}" for value in (one.ssim, one.rival, one.decoy)]


def recognised(one: Rebuilt) -> str:
    """Whether it is this patient and nobody else; a similarity that chance would give is none."""
    if one.identifies:
        return f"yes, the right one of {one.among:,} patients"
    if one.rank > 1:
        return f"no, {one.rank - 1:,} of {one.among:,} patients {'is' if one.rank == 2 else 'are'} more like it"
    if one.chance >= CHANCE:
        return f"no, chance gives as much in {100 * one.chance:.0f} of 100 tries"
    return f"no, others of {one.among:,} patients are about as like it"


def pair(trial: Trial, one: Rebuilt) -> Markup:
    """A card: the patient's own picture beside what was rebuilt."""
    head = tag("div", f"{_attack(trial)}, {one.site}", tag("span", f"similarity {one.ssim:.2f}"), class_="card-head")
    images = [
        tag("figure", tag("img", src=source, alt=word), tag("figcaption", word))
        for source, word in ((one.original, "the patient's own"), (one.rebuilt, "rebuilt"))
    ]
    words = f"Recognised? {capital(recognised(one))}."
    note = tag("p", f"{words} To the most alike of others it has {one.rival:.2f}.", class_="note")
    return tag("div", head, tag("div", *images, class_="triple"), note)
