"""Pages of the reference that show a whole room of the program: two lines on where to start, and its modules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Room:
    """A page. start: where a reader begins, with links as from the page. modules: each under a heading of its own."""

    title: str
    start: str
    modules: Mapping[str, str]


ROOMS: Mapping[str, Room] = {
    "metrics": Room(
        "Metrics",
        "Start with `common.metrics.pair.Pair` and `common.metrics.definitions.figures`: two masks in, figures by "
        "name out; for one figure alone with `common.metrics.masks`.\n"
        "Scores that add up over hospitals are in the classes below; what each figure is, and which mislead, say "
        "[Metrics](../../metrics.md) and [Where metrics mislead](../../pitfalls.md).",
        {
            "common.metrics.pair": "A truth and a prediction",
            "common.metrics.definitions": "Every figure by its name",
            "common.metrics.masks": "One figure of two masks",
            "common.metrics.overlap": "Overlap",
            "common.metrics.surface": "Distances between outlines",
            "common.metrics.classification": "Classes",
            "common.metrics.roc": "Scores, ranked, that add up over hospitals",
            "common.metrics.calibration": "Calibration",
            "common.metrics.decision": "Net benefit, and intervals",
            "common.metrics.agreement": "Agreement between raters",
            "common.metrics.staple": "A truth estimated from raters",
        },
    ),
    "registration": Room(
        "Registration",
        "Start with `register`: two images in, a transform, the moved image and doubts out; `wardround.imaging` "
        "takes the images of any library to it.\n"
        "A transform maps world points of the fixed image to world points of the moving one, in mm (RAS); from the "
        "terminal it is [`wardround register`](../commands.md#wardround-register).",
        {
            "common.registration.register": "One call",
            "common.registration.transform": "The role transform",
            "common.registration.linear": "Rigid, similarity, affine",
            "common.registration.displacement": "Displacements and velocities",
            "common.registration.landmarks": "Landmarks",
            "common.registration.sampling": "Reading an image through a transform",
            "common.registration.evaluation": "Errors of a registration",
            "common.registration.groups": "A template of many images",
            "common.registration.motion": "Motion taken out of a series",
            "common.registration.following": "Motion followed through a series",
            "common.registration.changes": "What changed between two visits",
            "common.registration.itk_files": "Files of ITK",
        },
    ),
    "analyses": Room(
        "Analyses",
        "Start with `wardround.asking`, which asks; [Every analysis](../../analyses.md) lists them, "
        "and [Questions](../../asking.md) how a hospital consents.\n"
        "An analysis of your own is one file that plays the role below: `ask` at the coordinator, `summarise` in "
        "each hospital ([an example](../../contributing.md#an-analysis-what-is-asked-of-hospitals)).",
        {
            "common.asking.analysis": "The role analysis",
            "common.asking.abilities": "What an analysis can do besides",
            "common.asking.answer": "What comes back",
            "common.asking.records": "A hospital's rows",
        },
    ),
    "anonymity": Room(
        "Anonymity",
        "Start with [Anonymous tables](../../anonymity.md), or from the terminal with "
        "[`wardround anonymise`](../commands.md#wardround-anonymise); `Criteria` says what every group keeps.\n"
        "`partition` makes the groups from counts that add up over hospitals; `linkage` says how many persons could "
        "still be found again.",
        {
            "common.anonymity.criteria": "k-anonymity, l-diversity, t-closeness",
            "common.anonymity.domains": "Columns and their values",
            "common.anonymity.partition": "Groups",
            "common.anonymity.release": "The table that is let out",
            "common.anonymity.linkage": "Who could be found again",
        },
    ),
    "privacy": Room(
        "Privacy",
        "Start with `noise_for` and `epsilon_curve`: a promise to noise, and noise to a promise; from the terminal "
        "with [`wardround privacy plan`](../commands.md#wardround-privacy-plan).\n"
        "Whom each promise covers is on the pages of [Protections](../../protection.md); a mechanism of your own "
        "plays [the role privacy mechanism](common.privacy.mechanism.md).",
        {
            "common.privacy.accounting": "Epsilon, and the noise for it",
            "common.privacy.release": "What is let out with noise",
            "common.privacy.sampling": "Units drawn for a step",
            "common.privacy.relation": "Which two data sets are told apart",
            "common.privacy.group_privacy": "Several units of one person",
            "common.privacy.reconstruction_bound": "The most that an attack can do",
            "common.privacy.noise": "Noise that is safe to let out",
            "common.privacy.noise_source": "Where noise comes from",
        },
    ),
}


def room_page(name: str) -> str:
    """Markdown that mkdocstrings fills."""
    room = ROOMS[name]
    parts = [f"# {room.title}\n", room.start]
    for module, words in room.modules.items():
        shown = f"::: {module}\n    options:\n      show_root_heading: false\n      heading_level: 3"
        parts.append(f"\n## {words}\n\n`{module}`\n\n{shown}")
    return "\n".join(parts) + "\n"


def room_modules() -> Iterator[str]:
    """Every module that a room shows."""
    for room in ROOMS.values():
        yield from room.modules
