"""What was judged, a simulation or a deployment, and what must be so in a hospital for its answer to hold there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from common.study.study import Study
from experiments.audit.dossier.sheet import Condition, RunKind
from experiments.audit.records import Claim
from server.reporting.records import PLAYED
from server.reporting.wording import count

REHEARSED = ("deployment", "nodes")
"""Engines that start real nodes on one machine."""
LABELS: Mapping[RunKind, str] = {
    "simulation": "Simulation",
    "rehearsal": "Rehearsal on one computer",
    "deployment": "Deployment",
}


def kind_of(engine: str) -> RunKind:
    """By the engine that a run names."""
    return "simulation" if engine in PLAYED else "rehearsal" if engine in REHEARSED else "deployment"


def sentence(kind: RunKind, hospitals: int) -> str:
    """The first line of a dossier."""
    many = count(hospitals, "hospital")
    return {
        "simulation": f"Judged is a simulation: one computer played all {many} with their data at hand. No "
        "hospital's own machine, key or network was part of it.",
        "rehearsal": f"Judged is a rehearsal: real nodes of {many} ran on one computer with all data at hand. No "
        "hospital's own machine or network was part of it.",
        "deployment": f"Judged is a deployment: {many} took part with machines of their own.",
    }[kind]


def conditions(kind: RunKind, study: Study, claim: Claim, programs: Mapping[str, str]) -> Iterator[Condition]:
    """What the answer rests on beside the attacks; what a stock server or node could get round is amber."""
    yield from _same_study(kind)
    yield _own_program(kind, programs)
    if claim.mechanism:
        yield from _noise(kind, claim)
    if claim.reveals == "sum":
        yield _sums(claim)
    else:
        yield Condition(
            "amber", "The coordinator is trusted: it reads what each hospital sends, hospital by hospital."
        )
    if study.plugins:
        yield Condition("amber", f"Code that is not ours ran too: {', '.join(study.plugins)}. Somebody has read it.")


def _same_study(kind: RunKind) -> Iterator[Condition]:
    if kind != "deployment":
        yield Condition(
            "amber",
            "The study that hospitals run is this very one: they approve its digest, below, on machines of their "
            "own. Another study, or other data, asks for another audit.",
        )


def _own_program(kind: RunKind, programs: Mapping[str, str]) -> Condition:
    if kind == "deployment" and len(set(programs.values())) == 1 and all(programs.values()):
        return Condition(
            "amber",
            "Each hospital said that it ran the program of the digest below. What it says of itself is not proven: "
            "each hospital's engineers confirm that its node is `wardround node run`.",
        )
    return Condition(
        "amber",
        "Each hospital's node is `wardround node run`, installed by its own engineers. Flower's stock node runs "
        "whatever program the server sends: with it, none of the checks that hospitals make here binds anybody.",
    )


def _noise(kind: RunKind, claim: Claim) -> Iterator[Condition]:
    if kind != "deployment" or not claim.noise_source.startswith("system"):
        yield Condition(
            "amber",
            "Noise comes from the operating system, as in every deployment of this program. Here it came from the "
            "seed, so that this very model protects nobody from whoever knows the seed: share the deployment's.",
        )
    if not claim.binds_coordinator:
        yield Condition("amber", "The coordinator is trusted: it adds the noise itself and sees what is under it.")


def _sums(claim: Claim) -> Condition:
    if claim.opening_if_cheating == 0 and claim.mechanism:
        return Condition(
            "amber",
            "A coordinator that cheats can ask for two sums that differ by one hospital; what it then reads is "
            "hidden by the noise alone, as far as epsilon goes.",
        )
    if claim.opening_if_cheating == 0:
        return Condition("red", "A coordinator that cheats reads a single hospital's update, with nobody's help.")
    needed = min(claim.opening_hospitals, claim.opening_if_cheating) or 1
    return Condition(
        "amber", f"Fewer than {count(needed, 'hospital')} collude with the coordinator: so many open a single update."
    )
