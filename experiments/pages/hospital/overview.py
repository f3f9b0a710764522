"""The first page of a hospital's node: what waits for its people, then everything else that they may ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from client.node_settings import read_settings
from common.consortium.expiry import Expiry
from common.errors import WardroundError
from experiments.hospital.ledger_summary import Summary
from experiments.pages.hospital.activity import Activity, answered_section, log_section, refusals_section
from experiments.pages.hospital.keys_and_members import (
    Members,
    certificates_of,
    certificates_section,
    days_left,
    members_of,
    members_section,
)
from experiments.pages.hospital.log_reading import LogReader
from experiments.pages.hospital.policy_and_models import models_section, policy_section
from experiments.pages.hospital.spending import ledger_of, ledger_section
from experiments.pages.hospital.studies import Known, known_studies
from experiments.pages.parts import part
from experiments.pages.sheet import badge, banner, contents, document, heading, live, tiles
from server.reporting.markup import Child, Markup, table, tag
from server.reporting.sections.layout import section
from server.reporting.wording import count, listed, score

LOOKS = {"waiting": "warn", "approved": "good"}
T = TypeVar("T")


@dataclass(frozen=True)
class Node:
    """All that the first page shows. Each may be an error instead: a damaged file costs its own part alone."""

    folder: Path
    site: str
    studies: tuple[Known, ...] | WardroundError
    activity: Activity | WardroundError
    ledger: Summary | WardroundError | None
    members: Members | WardroundError | None
    certificates: list[Expiry] | WardroundError


def node_of(log: LogReader) -> Node:
    """The node as its folder is now."""
    folder = log.folder
    settings = _or_error(lambda: read_settings(folder))
    site = folder.resolve().name if isinstance(settings, WardroundError) else settings.site
    return Node(
        folder,
        site,
        _or_error(lambda: known_studies(folder)),
        _or_error(log.activity),
        _or_error(lambda: ledger_of(folder)),
        _or_error(lambda: members_of(folder, site)),
        _or_error(lambda: certificates_of(folder)),
    )


def overview(node: Node, proof: str, said: str = "", look: str = "good") -> str:
    """The HTML. said: what came of the last form."""
    waiting = [one for one in _known(node) if one.state == "waiting"]
    known = _known(node)
    parts = {
        "Studies": part("studies", "Studies", lambda: _studies(_sure(node.studies))),
        "Answered": part("answered", "What was answered", lambda: answered_section(_sure(node.activity), known)),
        "Refused": part("refusals", "What was refused", lambda: refusals_section(_sure(node.activity), known)),
        "Privacy": part("ledger", "What it cost its persons", lambda: ledger_section(_sure(node.ledger))),
        "Rules": part("policy", "This hospital's rules", lambda: policy_section(node.folder)),
        "Members": part(
            "members", "Who the others are", lambda: members_section(_sure(node.members), node.site, proof)
        ),
        "Certificates": part("certificates", "Certificates", lambda: certificates_section(_sure(node.certificates))),
        "Models": part("models", "Models", lambda: models_section(node.folder, known)),
        "Log": part("log", "The log", lambda: log_section(_sure(node.activity))),
    }
    keys = ["studies", "answered", "refusals", "ledger", "policy", "members", "certificates", "models", "log"]
    main = tag(
        "main",
        banner(look, said) if said else None,
        live(
            "top",
            heading("Hospital's node", _state(node, waiting), "events"),
            tag("h1", node.site),
            *(_todo(one) for one in waiting),
            *(banner("bad", words) for words in _alarms(node)),
            tag("p", _lede(node, waiting), class_="finding"),
            _tiles(node),
        ),
        contents(*zip(parts, keys, strict=True)),
        *parts.values(),
        tag("footer", "The hospital's own folder ", tag("code", str(node.folder.resolve()))),
    )
    start = f"({len(waiting)}) " if waiting else ""
    return document(f"{start}{node.site}, Wardround node", main)


def _known(node: Node) -> tuple[Known, ...]:
    return () if isinstance(node.studies, WardroundError) else node.studies


def _state(node: Node, waiting: list[Known]) -> Markup:
    if _alarms(node):
        return badge("bad", "Look at this")
    if waiting:
        return badge("warn", f"{count(len(waiting), 'study', 'studies')} to decide")
    if isinstance(node.members, Members) and node.members.left:
        return badge("warn", "Keys to compare")
    return badge("good", "Nothing waits")


def _todo(one: Known) -> Markup:
    link = tag("a", "Look at it, then approve or refuse", href=f"study/{one.digest}")
    return banner("todo", tag("p", tag("b", one.name), f" waits for your answer; it {one.words}. ", link))


def _alarms(node: Node) -> list[str]:
    """What nobody may overlook, in a line each."""
    found = []
    if not isinstance(node.activity, WardroundError) and node.activity.found.fault is not None:
        found.append(f"The log is not as it was written: {node.activity.found.fault}.")
    if isinstance(node.ledger, Summary) and node.ledger.fault is not None:
        found.append(f"The ledger is not as it was written: {node.ledger.fault}.")
    changed = [one.name for one in _known(node) if one.state == "approved for another program"]
    if changed:
        found.append(f"Another program runs here than {listed(changed)} was approved for: approve anew, below.")
    if not isinstance(node.certificates, WardroundError) and days_left(node.certificates) == 0:
        found.append("A certificate has run out: the coordinator refuses this node. See certificates, below.")
    return found


def _lede(node: Node, waiting: list[Known]) -> str:
    known = _known(node)
    approved = sum(one.state == "approved" for one in known)
    words = f"{count(approved, 'study is', 'studies are')} approved"
    words += f"; {len(waiting)} to decide." if waiting else ", and none waits."
    members = node.members
    if isinstance(members, Members):
        words += f" This hospital is one of {len(members.listed.members)} of {members.listed.consortium}."
        if members.left:
            words += f" Keys are still to be compared with {listed(members.left)}."
        elif members.listed.unsigned:
            words += f" The list still lacks the signatures of {listed(members.listed.unsigned)}."
    return words


def _tiles(node: Node) -> Markup:
    pairs = [(f"{sum(one.state == 'approved' for one in _known(node))}", "studies approved")]
    if not isinstance(node.activity, WardroundError):
        pairs += [
            (f"{node.activity.rounds:,}", "rounds answered"),
            (f"{node.activity.refused:,}", "refused or failed"),
        ]
    if isinstance(node.ledger, Summary) and node.ledger.epsilon is not None:
        limit = node.ledger.limit
        of = f" of {score(limit.epsilon)}" if limit else ""
        pairs.append((score(node.ledger.epsilon) + of, "epsilon, the most-spent person"))
    if not isinstance(node.certificates, WardroundError) and (days := days_left(node.certificates)) is not None:
        pairs.append((f"{days:,}", "days until a certificate runs out"))
    return tiles(*pairs)


def _studies(known: tuple[Known, ...]) -> Markup:
    if not known:
        lede = (
            "None asked, and none is approved. When a coordinator's study asks this node for the first time, it is "
            "refused, kept, and shown here for you to decide."
        )
        return section("studies", "Studies", lede)
    rows: list[list[Child]] = [
        [
            tag("a", one.name, href=f"study/{one.digest}"),
            badge(LOOKS.get(one.state, "bad"), one.state),
            one.words,
            tag("code", one.digest[:12]),
        ]
        for one in known
    ]
    lede = "A study counts with every setting: one that differs in any of them is another study, and asks anew."
    return section("studies", "Studies", lede, table(["Study", "State", "Who and when", "Digest"], rows, words=4))


def _or_error(build: Callable[[], T]) -> T | WardroundError:
    try:
        return build()
    except WardroundError as error:
        return error


def _sure(value: T | WardroundError) -> T:
    """The value, or its error raised, in the part that needs it."""
    if isinstance(value, WardroundError):
        raise value
    return value
