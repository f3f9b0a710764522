"""An enrolled hospital takes part only once all hospitals of a study signed one member list, this very one.

Signatures come through the coordinator, which nobody trusts with keys: each is verified with the key of this
hospital's own list, whose owners its people compared by telephone. A folder without a list, as a simulated
hospital's, is not enrolled, and nothing here concerns it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from client.enrolment.comparing import not_compared, read_marks
from client.enrolment.keys import BUSY, LOCK, read_secrets
from common.consortium.members import (
    MOST_MEMBERS,
    SIGNATURE_BYTES,
    MemberList,
    introduction,
    members_if_there,
    write_members,
)
from common.data.names import SiteId
from common.errors import RefusedError, WireError
from common.files.locks import held
from common.study.study import Study
from common.sums.exchange import Payload, Word
from common.wire.refusals import NOT_AGREED
from common.wire.train_requests import MEMBERS, MEMBERS_KEY, MEMBERS_PROOF, MEMBERS_SIGNATURE, NAMES, SIGNATURES


def said_of_members(folder: Path | None, site: SiteId, run: str, node: int) -> Mapping[str, Word]:
    """What an enrolled hospital adds to its description: its list's digest, its own signature over it, "" without
    one, and a proof that this node is its own: what it says to all, another could say after it.
    """
    listed = None if folder is None else members_if_there(folder)
    if folder is None or listed is None:
        return {}
    own, key = listed.signatures.get(site, b""), read_secrets(folder).identity
    return {
        MEMBERS: listed.digest,
        MEMBERS_SIGNATURE: own.hex() if listed.is_signed_by(site, own) else "",
        MEMBERS_KEY: key.public_key().public_bytes_raw().hex(),
        MEMBERS_PROOF: key.sign(introduction(site, run, node)).hex(),
    }


def take_signatures(folder: Path | None, study: Study, site: SiteId, request: Payload) -> Payload:
    """Keep those of the handed signatures that are over this hospital's own list, and say whether all agree.

    Raises RefusedError where they do not, as `demand_agreed`.
    """
    found = _signatures(request)
    if folder is None or members_if_there(folder) is None:
        return Payload(words={MEMBERS: ""})
    with held(folder, LOCK, BUSY, lambda: None):
        listed = members_if_there(folder)
        assert listed is not None
        wanted = listed.with_signatures(found)
        if wanted.signatures != listed.signatures:
            write_members(folder, wanted)
    demand_agreed(folder, study, site)
    return Payload(words={MEMBERS: wanted.digest})


def demand_agreed(folder: Path | None, study: Study, site: SiteId) -> None:
    """Raise RefusedError unless this hospital compared everybody's keys and all of the study signed its list.

    All of the study: its roster, by the same keys; where it has none, every member.
    """
    listed = None if folder is None else members_if_there(folder)
    if folder is None or listed is None:
        return
    _demand_same_keys(study, listed)
    waiting = not_compared(site, listed, read_marks(folder))
    if waiting:
        raise _refusal(
            f"this hospital has yet to compare the keys of {', '.join(waiting)} by telephone "
            "(wardround node accept --compare NAME)."
        )
    names = study.federation.names or tuple(listed.members)
    unsigned = [name for name in listed.unsigned if name in {*names, site}]
    if unsigned:
        raise _refusal(
            f"no signature of {', '.join(unsigned)} over this hospital's member list (version {listed.version}, "
            f"{listed.digest[:16]}) came: they have yet to compare and sign, or were shown another list."
        )


def _demand_same_keys(study: Study, listed: MemberList) -> None:
    for entry in study.federation.roster:
        keys = listed.members.get(entry.name)
        if keys is None or keys.roster_key != entry.key:
            raise _refusal(f"the study's roster gives {entry.name} another key than this hospital's member list.")


def _signatures(request: Payload) -> dict[SiteId, bytes]:
    names, signatures = request.words.get(NAMES), request.words.get(SIGNATURES)
    if not isinstance(names, list) or not isinstance(signatures, list) or not len(names) == len(signatures):
        raise WireError("signatures of members must come with as many names.")
    if len(names) > MOST_MEMBERS or any(len(one) != 2 * SIGNATURE_BYTES for one in signatures):
        raise WireError("signatures of members must be 64 bytes each, in hexadecimal.")
    try:
        return {name: bytes.fromhex(one) for name, one in zip(names, signatures, strict=True)}
    except ValueError as error:
        raise WireError("signatures of members must be hexadecimal.") from error


def _refusal(text: str) -> RefusedError:
    return RefusedError(NOT_AGREED, text)
