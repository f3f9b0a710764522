"""Who the other hospitals are: whose keys were compared, who signed the list; and when certificates run out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from client.enrolment.comparing import not_compared, read_marks
from common.consortium.expiry import Expiry, of_node
from common.consortium.fingerprints import COORDINATOR, digests_of, groups_of
from common.consortium.members import MemberList, members_if_there
from common.data.names import SiteId
from experiments.pages.sheet import badge, banner, bulleted, form
from server.reporting.markup import Child, Markup, table, tag
from server.reporting.sections.layout import section
from server.reporting.wording import count, listed

TITLE = "Who the others are"
NO_LIST = (
    "This hospital has accepted no member list yet: it is enrolled with wardround node enrol, and the coordinator's "
    "reply accepted with wardround node accept."
)
WHY = (
    "Each hospital telephones the others, on a number that it knows of old, and compares eight groups of four "
    "digits. So nobody has to trust the coordinator for keys. Until all have compared and signed, this node takes "
    "part in no sum."
)


@dataclass(frozen=True)
class Members:
    """The list as this hospital knows it. left: whose keys it has yet to compare."""

    listed: MemberList
    left: tuple[SiteId, ...]

    @property
    def is_complete(self) -> bool:
        """Whether all is compared, and signed by everybody."""
        return not self.left and not self.listed.unsigned


def members_of(folder: Path, site: SiteId) -> Members | None:
    """None before one was accepted. Raises HospitalError where it is damaged."""
    listed_members = members_if_there(folder)
    if listed_members is None:
        return None
    return Members(listed_members, tuple(not_compared(site, listed_members, read_marks(folder))))


def members_section(members: Members | None, site: SiteId, proof: str) -> Markup:
    """A row a member, and a form for who is left."""
    if members is None:
        return section("members", TITLE, NO_LIST)
    digests = digests_of(members.listed)
    names = [site, *(name for name in sorted(members.listed.members) if name != site), COORDINATOR]
    rows = [_row(name, site, members, groups_of(digests[name])) for name in names if name in digests]
    head = ["Member", "Compared by telephone", "Signed the list", "Its eight groups"]
    lede = f"Consortium {members.listed.consortium}, member list {members.listed.version}. {WHY}"
    return section("members", TITLE, lede, table(head, rows, words=4), _compare(members, proof))


def _row(name: SiteId, site: SiteId, members: Members, groups: str) -> list[Child]:
    own = name == site
    compared: Child = "this hospital" if own else badge("good", "compared")
    if name in members.left:
        compared = badge("warn", "not yet")
    signed: Child = "does not sign" if name == COORDINATOR else badge("good", "signed")
    if name in members.listed.unsigned:
        signed = badge("warn", "not yet")
    shown: Child = tag("span", groups, class_="groups-of-four")
    if name in members.left:
        shown = "type what they read out"
    return [name, compared, signed, shown]


def _compare(members: Members, proof: str) -> Markup | None:
    """What the others read out is typed, and not ticked off: a glance is no comparison."""
    if not members.left:
        waits = listed(members.listed.unsigned)
        return tag("p", f"It waits for the signatures of {waits}.", class_="note") if waits else None
    forms = [
        form(
            "compare",
            proof,
            tag("input", type="hidden", name="member", value=name),
            tag("label", f"The eight groups that {name} reads out", for_=f"groups-{k}"),
            tag(
                "input",
                type="text",
                id=f"groups-{k}",
                name="groups",
                inputmode="numeric",
                autocomplete="off",
                required=True,
                placeholder="1234 5678 …",
            ),
            tag("button", "Compare", type="submit"),
        )
        for k, name in enumerate(members.left)
    ]
    return tag("div", tag("h3", "Still to compare"), tag("div", *forms, class_="choices"))


def certificates_of(folder: Path) -> list[Expiry]:
    """Raises WireError for a damaged one."""
    return of_node(folder)


def certificates_section(expiries: list[Expiry], title: str = "Certificates") -> Markup:
    """When each runs out."""
    if not expiries:
        return section("certificates", title, "There are none here yet.")
    now = datetime.now(UTC)
    rows = [_expiry(one, now) for one in sorted(expiries, key=lambda one: one.ends)]
    urgent = [said for one in expiries if (said := one.warning(now))]
    lede = "What ran out is refused by everybody; this page warns from 30 days before."
    notes = banner("warn", bulleted([f"{one[:1].upper()}{one[1:]}" for one in urgent])) if urgent else None
    return section("certificates", title, lede, notes, table(["Certificate", "Runs out", "Left"], rows, words=2))


def days_left(expiries: list[Expiry]) -> int | None:
    """Of the one that runs out first."""
    ends = min((one.ends for one in expiries), default=None)
    return None if ends is None else max(0, (ends - datetime.now(UTC)).days)


def _expiry(one: Expiry, now: datetime) -> list[Child]:
    days = (one.ends - now).days
    look = "bad" if one.ends <= now else "warn" if one.warning(now) else "good"
    left = "over" if one.ends <= now else count(days, "day")
    return [one.what[:1].upper() + one.what[1:], f"{one.ends:%Y-%m-%d %H:%M} UTC", badge(look, left)]
