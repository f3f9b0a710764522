"""`wardround node enrol`, `rotate` and `accept`: what is said, and the three tries at typing groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from client.enrolment.accept import Accepted, accept
from client.enrolment.comparing import accepted as accepted_list
from client.enrolment.comparing import demand_comparable, is_right, not_compared, read_marks
from client.enrolment.enrol import enrol, rotate
from client.node_settings import NodeSettings, read_settings
from common.consortium.certificates import now
from common.consortium.expiry import of_node, warnings
from common.consortium.fingerprints import digests_of, groups_of
from common.consortium.members import MemberList
from common.data.names import in_one_form

TRIES = 3
Say = Callable[[Iterable[str]], None]


def enrolled(name: str, folder: Path, coordinator: str, data_folder: str, proxy: str) -> Iterator[str]:
    """Enrol; what to do next."""
    request = enrol(NodeSettings(in_one_form(name), coordinator, data_folder, proxy), folder, now())
    yield f"{request} is this hospital's request: hand it to the coordinator. It holds no secret."
    site = in_one_form(name)
    yield f"When the coordinator's reply comes: wardround node accept {site}.reply.json --folder '{folder}'"
    yield f"Its keys stay in {folder}: keep a copy where only this hospital can read it."


def rotated(folder: Path) -> Iterator[str]:
    """Rotate; what to do next."""
    request = rotate(folder, now())
    yield f"{request} asks for new keys, and the present ones signed it: hand it to the coordinator."
    yield "Once the coordinator signs it, the present keys are refused until this hospital accepts the reply."


def accepted(folder: Path, reply: Path | None) -> Iterator[str]:
    """Accept a reply, if there is one; what changed, everybody's groups, and who is yet to be compared."""
    if reply is not None:
        yield from _changes(accept(reply, folder, now()))
    site, listed = read_settings(folder).site, accepted_list(folder)
    waiting = not_compared(site, listed, read_marks(folder))
    yield f"Consortium {listed.consortium}, member list of version {listed.version}:"
    for name, digest in digests_of(listed).items():
        state = "yours, to read out" if name == site else "to be compared" if name in waiting else "compared"
        yield f"  {groups_of(digest)}  {name} ({state})"
    yield from _next_step(site, listed, waiting, folder)
    yield from warnings(of_node(folder), now())


def compared(folder: Path, name: str, ask: Callable[[str], str], tell: Say) -> bool:
    """Whether the groups of `name` were typed within three tries."""
    site, name = read_settings(folder).site, in_one_form(name)
    demand_comparable(accepted_list(folder), site, name)
    for left in reversed(range(TRIES)):
        if is_right(folder, site, name, ask(f"The eight groups that {name} reads out")):
            tell(_compared(folder, site, name))
            return True
        tell([f"These are not the groups of the keys that this hospital was given for {name}; {_tries(left)}."])
    tell(
        [
            f"Three wrong tries. Unless {name} misread them, somebody put other keys in the place of its own: do not "
            "go on, and tell the other hospitals. Nothing was marked, and no sum is answered meanwhile."
        ]
    )
    return False


def _compared(folder: Path, site: str, name: str) -> Iterator[str]:
    listed = accepted_list(folder)
    yield f"{name} is compared: these are its keys."
    yield from _next_step(site, listed, not_compared(site, listed, read_marks(folder)), folder)


def _next_step(site: str, listed: MemberList, waiting: list[str], folder: Path) -> Iterator[str]:
    if waiting:
        yield f"Left to compare by telephone: {', '.join(waiting)}. Call {waiting[0]}, and then:"
        yield f"  wardround node accept --compare '{waiting[0]}' --folder '{folder}'"
    else:
        yield "Everybody is compared, and this hospital has signed the member list. Is all else in place?"
        yield f"  wardround doctor --folder '{folder}'"
    others = [name for name in listed.unsigned if name != site]
    if others:
        yield f"Signatures that come with a study's next run: {', '.join(others)}."


def _changes(found: Accepted) -> Iterator[str]:
    yield f"The reply was checked and put in its place; it holds {len(found.listed.members)} members."
    for names, what in ((found.new, "new"), (found.gone, "no longer a member"), (found.changed, "has new keys")):
        if names:
            yield f"{', '.join(names)}: {what}."
    if found.elsewhere:
        yield (
            f"The front's certificate does not name {found.elsewhere}, where node.toml says that the coordinator is: "
            "a node will refuse it. Correct node.toml, or ask the coordinator."
        )


def _tries(left: int) -> str:
    return {0: "no try is left", 1: "one try is left"}.get(left, f"{left} tries are left")
