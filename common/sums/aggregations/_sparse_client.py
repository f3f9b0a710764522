"""Sums under masks of a sparse graph of pairs, a hospital's half (Bell et al. 2020; promises: `_neighbourhood`).

The legs are those of `_secagg_client`, and its rules; where a hospital there deals with all others, it deals here
with its neighbours: those that it chose, and those that chose it.

| leg       | the server sends                                 | a hospital replies                                  |
|-----------|--------------------------------------------------|-----------------------------------------------------|
| keys      | the agreement                                    | its choice and fresh keys, signed together          |
| shares    | the root over what all announced, its own path,  | a commitment to its seed; shares of its seed and of |
|           | and what its neighbours announced, with paths    | its mask key, encrypted for each that it chose      |
| round     | the order, who masks, and shares from those that | its words under masks in common with neighbours,    |
|           | chose this one                                   | and its signature on root and order                 |
| survivors | whose words arrived                              | its signature on them, the root and the order       |
| unmask    | those signatures, and those on root and order    | for each that chose it one of its two shares        |

What a hospital makes sure of beyond that, and what for:

- *The graph is nobody's choice but the hospitals'.* Each neighbour's choice is signed by it; whoever is shown that
  neither was chosen nor chose this hospital is refused. All that it chose must be shown, or shown to have announced
  nothing. Of one that chose it and is hidden from it a mask stays in the sum, which is then of no use.
- *One round of keys.* The hospital finds its own fresh keys, and its neighbours', under the root, and signs root and
  survivors. So who signed used these very keys, and no earlier ones, whose secrets may have been opened.
- *Nobody is cut off.* It masks and signs only where `needed` of those that it chose are there. For a hospital that
  chose it, it gives a share of the seed only where `needed` of those which that one chose signed the survivors, and
  that one itself signed this root and order, by which it masked with the same hospitals. Whoever is called lost,
  then, has no hospital's neighbours all among the lost.
- *One set of survivors*, and one share of each hospital: as ever, by the signatures of more than half of all, and of
  as many as the sum must be of: whether one that is named is there its neighbours alone can tell, and they do not
  mask where it announced nothing. `_witnessed_sum` has fewer signatures.
- *Groups are whole in the sum*, not in name alone. Of a hospital's group all that it has a mask in common with have
  announced keys, and nobody of it is called lost: what masks it has in common with them stay, unless all are in the
  sum. Where a round has one group, those are whom it chose; where it has several, all of its own.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import compress, islice

import numpy as np

from common.data.cases import SiteId
from common.errors import WireError
from common.sums.aggregation import Local
from common.sums.aggregations import _shamir, _transcript
from common.sums.aggregations._adding import Adding
from common.sums.aggregations._chosen import ANNOUNCED_BYTES, DIGEST_BYTES, Announced, chosen, demand_leaf, depth
from common.sums.aggregations._key_agreement import SIGNATURE_BYTES, SecretKeys, encrypt, shared_secrets
from common.sums.aggregations._neighbourhood import Neighbourhood
from common.sums.aggregations._opened_rounds import open_once
from common.sums.aggregations._ring import Words
from common.sums.aggregations._secagg_client import (
    COMMITMENT_BYTES,
    ENCRYPTED_BYTES,
    NO_SHARE,
    PLAINLY,
    SEED_BYTES,
    MaskedSum,
    as_data,
    commitment,
    is_signed,
    pair_streams,
    self_stream,
    way_of,
)
from common.sums.aggregations._session_state import SITES, Notes, bits_of, pieces, unpacked
from common.sums.aggregations._witnesses import Witnesses
from common.sums.cohort import Cohort, Groups
from common.sums.exchange import Payload, Word

PLACE_BYTES = 4
SIGNED = "secure/signed"
"""Word of a reply to "round": the signature on root and order, base64."""


@dataclass(frozen=True)
class SparseSum(MaskedSum):
    """One hospital's half. graph: how many others each hospital chooses, and how many of them open its mask."""

    graph: Neighbourhood = field(kw_only=True)

    def mask(self, words: Words, request: Payload, local: Local, adding: Adding = PLAINLY) -> Words:
        """See MaskedSum."""
        notes = Notes.follow(local, self.protocol, "shares", "round")
        agreement, least = self._agreed(notes, request, local), self._least(notes, local)
        masking = read_marked(request, local.cohort.sites, local.cohort.sites, local.site, least)
        self._demand_chosen(notes, masking, local)
        self._ordered(notes, request, agreement, masking, local)
        session = notes["session"] + notes["order"]
        plus, minus = pair_streams(local.site, notes["mask key"], self._mask_keys(notes, local), session)
        adding.apply(words, [*plus, self_stream(notes["seed"])], minus)
        notes["mask key"] = notes["seed"] = b""
        return words

    def beside(self, local: Local) -> dict[str, Word]:
        """This hospital's signature on the root and the order that it masked by."""
        notes = Notes(local.secrets, self.protocol, local.cohort.sites)
        return {SIGNED: b64encode(local.identity.sign(_alike(notes))).decode()}

    def _keys(self, request: Payload, local: Local) -> Payload:
        notes = self._begin(request, local)
        if notes["base"] and len(local.cohort.groups) > 1:
            raise WireError(ONE_GROUP)
        secret = SecretKeys.generate()
        notes["mask key"], notes["channel key"] = secret.mask, secret.channel
        notes["announced"] = Announced.make(secret, local, notes["context"]).to_bytes()
        return as_data(notes["announced"])

    def _shares(self, request: Payload, local: Local) -> Payload:
        notes, hospitals = Notes.follow(local, self.protocol, "keys", "shares"), len(local.cohort.sites)
        root, shown = read_shown(request, notes["announced"], local)
        sites, group = local.cohort.sites, group_of(local.cohort, local.site)
        mates = mates_of(local.site, group, local.cohort.groups)
        own, mine = sites.index(local.site), set(self._chosen_here(notes, local))
        mine |= {place for place, site in enumerate(sites) if site in mates}
        if not mine <= set(shown):
            raise WireError("of the hospitals that this one chose, some are not shown.")
        if any(one == NOTHING and sites[place] in group for place, one in shown.items()):
            raise WireError("of this hospital's group some announced nothing, so that nothing of it may be opened.")
        shown = {place: one for place, one in shown.items() if one != NOTHING}
        for place, one in shown.items():
            if place not in mine and own not in self._chosen_by(one, place, hospitals):
                raise WireError("a hospital is shown as a neighbour that this one did not choose, nor it this one.")
            one.verify(local, place, notes["context"])
        _refuse_same_keys([Announced.from_bytes(notes["announced"]), *shown.values()])
        notes["session"], notes["seed"] = root, os.urandom(SEED_BYTES)
        notes["shown"] = b"".join(place.to_bytes(PLACE_BYTES, "big") + one.to_bytes() for place, one in shown.items())
        secrets = shared_secrets(notes["channel key"], (one.keys.channel for one in shown.values()))
        notes["channels"], notes["channel key"] = b"".join(secrets), b""
        self._demand_chosen(notes, [local.cohort.sites[place] for place in shown], local)
        return as_data(
            commitment(notes["seed"]), *self._encrypted(notes, dict(zip(shown, secrets, strict=True)), local)
        )

    def _encrypted(self, notes: Notes, channels: dict[int, bytes], local: Local) -> Iterator[bytes]:
        """The two shares of each that this hospital chose and that is there, by its place among the chosen."""
        mine, threshold = self._chosen_here(notes, local), self.graph.needed
        points = range(1, len(mine) + 1)
        of_key = _shamir.share(notes["mask key"], threshold, points)
        of_seed = _shamir.share(notes["seed"], threshold, points)
        for point, place in zip(points, mine, strict=True):
            if place in channels:
                way = way_of(notes, local, local.site, local.cohort.sites[place])
                yield encrypt(of_key[point] + of_seed[point], channels[place], way)

    def _survivors(self, request: Payload, local: Local) -> Payload:
        notes = Notes.follow(local, self.protocol, "round", "survivors")
        sites = read_marked(
            request, local.cohort.sites, notes.sites("masking"), local.site, self._least(notes, local)
        )
        local.cohort.refuse_opening(sites)
        self._demand_chosen(notes, sites, local)
        notes.put_sites("surviving", sites)
        notes["statement"] = _transcript.survivors(notes["context"], notes["session"], notes["order"], sites)
        return as_data(local.identity.sign(notes["statement"]))

    def _unmask(self, request: Payload, local: Local) -> Payload:
        notes = Notes.follow(local, self.protocol, self._before_unmask(local.cohort), "unmask")
        surviving = notes.sites("surviving")
        there, choosing = set(surviving), self._choosing(notes, local)
        alive = [site for site in choosing if site in there]
        agreeing, masked = _parted(request, len(alive))
        may_open = self._demand_signed(notes, agreeing, local)
        alike = _alike(notes)
        true = {site for site, one in zip(alive, masked, strict=True) if is_signed(local, site, one, alike)}
        closed = {site for site in alive if site not in true or not may_open(choosing[site])}
        open_once(local, notes["opening"], surviving)
        local.keeping.commit(local.round)
        shares = zip(choosing, self._shares_of(notes, surviving, local), strict=True)
        opened = [NO_SHARE if site in closed else share for site, share in shares]
        notes.forget()
        return as_data(*opened)

    def _before_unmask(self, cohort: Cohort) -> str:
        return "survivors"

    def _demand_signed(self, notes: Notes, request: Payload, local: Local) -> Callable[[Sequence[int]], bool]:
        """Raise WireError unless the survivors are agreed on by enough of all.

        Returns whether enough of those, by their places, that a hospital chose signed them.
        """
        surviving, fewest = notes.sites("surviving"), self._least(notes, local)
        sites, needed = local.cohort.sites, self.graph.needed
        signers = read_marked(request, sites, surviving, local.site, fewest)
        signatures = pieces(request.data, len(signers), SIGNATURE_BYTES)
        signed = _Signed(dict(zip(signers, signatures, strict=True)), notes["statement"], local)
        enough = signed.count(signers, fewest)
        if enough < fewest:
            raise WireError(f"{enough} hospitals signed these survivors; {fewest} must.")
        return lambda theirs: signed.count((sites[place] for place in theirs), needed) == needed

    def _demand_chosen(self, notes: Notes, there: Collection[SiteId], local: Local) -> None:
        """Raise WireError unless enough of those that this hospital chose are there, each shown to it."""
        shown, sites, among = self._shown(notes), local.cohort.sites, set(there)
        found = [place for place in self._chosen_here(notes, local) if sites[place] in among]
        if not shown.keys() >= set(found):
            raise WireError("a hospital that this one chose announced no keys, and is named as if it had.")
        if len(found) < self.graph.needed:
            raise WireError(
                f"{len(found)} of the {self.graph.chosen} hospitals that this one chose are there; "
                f"{self.graph.needed} must be."
            )

    def _chosen_here(self, notes: Notes, local: Local) -> tuple[int, ...]:
        own = Announced.from_bytes(notes["announced"])
        return self._chosen_by(own, local.cohort.sites.index(local.site), len(local.cohort.sites))

    def _chosen_by(self, announced: Announced, place: int, hospitals: int) -> tuple[int, ...]:
        return chosen(announced.choice, place, hospitals, self.graph.chosen)

    def _shown(self, notes: Notes) -> dict[int, Announced]:
        return dict(_entries(notes["shown"], PLACE_BYTES + ANNOUNCED_BYTES))

    def _mask_keys(self, notes: Notes, local: Local) -> dict[SiteId, bytes]:
        sites, masking = local.cohort.sites, set(notes.sites("masking"))
        return {sites[at]: one.keys.mask for at, one in self._shown(notes).items() if sites[at] in masking}

    def _senders(self, notes: Notes, local: Local) -> list[SiteId]:
        return list(self._choosing(notes, local))

    def _choosing(self, notes: Notes, local: Local) -> dict[SiteId, tuple[int, ...]]:
        """Of those that mask and chose this hospital, all that they chose."""
        sites, masking = local.cohort.sites, set(notes.sites("masking"))
        own, shown = sites.index(local.site), self._shown(notes)
        theirs = {at: self._chosen_by(one, at, len(sites)) for at, one in shown.items()}
        return {sites[at]: places for at, places in theirs.items() if own in places and sites[at] in masking}

    def _channels(self, notes: Notes, local: Local) -> dict[SiteId, bytes]:
        sites = [local.cohort.sites[place] for place in self._shown(notes)]
        return dict(zip(sites, pieces(notes["channels"], len(sites), DIGEST_BYTES), strict=True))


@dataclass(frozen=True)
class _Signed:
    """Signatures on a set of survivors, each verified when it is first counted on, and once."""

    signatures: dict[SiteId, bytes]
    statement: bytes
    local: Local
    found: dict[SiteId, bool] = field(default_factory=dict)

    def count(self, sites: Iterable[SiteId], most: int) -> int:
        """How many of these signed; no more are looked at once there are `most`."""
        return len(list(islice(filter(self._is_valid, sites), most)))

    def _is_valid(self, site: SiteId) -> bool:
        """This hospital signed in the leg before."""
        if site not in self.found:
            signature, own = self.signatures.get(site), site == self.local.site
            self.found[site] = signature is not None and (
                own or is_signed(self.local, site, signature, self.statement)
            )
        return self.found[site]


NOTHING = Announced.from_bytes(bytes(ANNOUNCED_BYTES))
"""Of a hospital that was chosen and announced nothing."""
ONE_GROUP = (
    "a sparse graph of pairs cannot compare what hospitals of several groups start from: for a strategy that keeps "
    "state in hospitals set aggregation.neighbours = 'all', or have one group."
)


def group_of(cohort: Cohort, site: SiteId) -> frozenset[SiteId]:
    """The hospitals that are in whatever is opened of this one's, itself among them; none where it is alone."""
    return next((frozenset(group) for group in cohort.groups if site in group), frozenset())


def mates_of(site: SiteId, group: frozenset[SiteId], groups: Groups) -> frozenset[SiteId]:
    """Those that a hospital has a mask in common with whoever chose whom: where there are several groups, its own."""
    return group - {site} if len(groups) > 1 else frozenset()


def bytes_of_legs(graph: Neighbourhood, hospitals: int, witnesses: Witnesses | None) -> tuple[int, int]:
    """To a hospital and from it, on average, of keys, shares and signatures where nobody is lost.

    witnesses: of each; None where it reads the signatures of all.
    """
    way, others = DIGEST_BYTES * depth(hospitals), hospitals - 1
    shown = 2 * graph.chosen - graph.chosen**2 // others
    keys = DIGEST_BYTES + way + shown * (PLACE_BYTES + ANNOUNCED_BYTES + way)
    read = hospitals if witnesses is None else 2 * witnesses.chosen
    marks = (2 * hospitals + read) // 6
    signatures = SIGNATURE_BYTES * (read + graph.chosen)
    sent = ANNOUNCED_BYTES + COMMITMENT_BYTES + (3 if witnesses is None else 4) * SIGNATURE_BYTES
    each = ENCRYPTED_BYTES + _shamir.SHARE_BYTES
    return keys + ENCRYPTED_BYTES * graph.chosen + marks + signatures, sent + each * graph.chosen


def read_shown(request: Payload, own: bytes, local: Local) -> tuple[bytes, dict[int, Announced]]:
    """The root, and what this hospital is shown as its neighbours', by their places.

    own: what this hospital announced. Raises WireError unless that and all that is shown is found under the root.
    """
    raw, sites = b"" if request.data is None else request.data.tobytes(), local.cohort.sites
    way = DIGEST_BYTES * depth(len(sites))
    cut, size = DIGEST_BYTES + way, PLACE_BYTES + ANNOUNCED_BYTES + way
    if len(raw) < cut or (len(raw) - cut) % size or (len(raw) - cut) // size >= len(sites):
        raise WireError(f"{len(raw)} bytes came where a root, a path, and neighbours of {size} bytes are needed.")
    root, at = raw[:DIGEST_BYTES], sites.index(local.site)
    demand_leaf(root, raw[DIGEST_BYTES:cut], at, own)
    entries = [raw[start : start + size] for start in range(cut, len(raw), size)]
    places = [int.from_bytes(one[:PLACE_BYTES], "big") for one in entries]
    if sorted(set(places) - {at}) != places or any(place >= len(sites) for place in places):
        raise WireError("neighbours must be other hospitals of the round, sorted and each but once.")
    shown = dict(_entries(raw[cut:], size))
    for entry, (place, one) in zip(entries, shown.items(), strict=True):
        demand_leaf(root, entry[PLACE_BYTES + ANNOUNCED_BYTES :], place, leaf_of(one))
    return root, shown


def leaf_of(announced: Announced) -> bytes:
    """What stands for it in the tree."""
    return b"" if announced == NOTHING else announced.to_bytes()


def marked(sites: Sequence[SiteId], among: Collection[SiteId]) -> dict[str, Word]:
    """The word that names `among` of a round's hospitals, a bit each, as `read_marked` takes it."""
    return {SITES: b64encode(bits_of(sites, among)).decode()}


def read_marked(
    request: Payload, sites: Sequence[SiteId], among: Iterable[SiteId], own: SiteId, fewest: int
) -> tuple[SiteId, ...]:
    """The hospitals that a request marks. Raises WireError unless all are of `among`, `own` and `fewest` of them."""
    found = tuple(compress(sites, read_bits(request, len(sites))))
    if not set(found) <= set(among):
        raise WireError("a hospital is marked that is no part of the round so far.")
    if own not in found:
        raise WireError("this hospital is not among those marked.")
    if len(found) < fewest:
        raise WireError(f"{len(found)} hospitals are marked; this round needs {fewest}.")
    return found


def read_bits(request: Payload, hospitals: int) -> list[int]:
    """Which of so many hospitals a request marks. Raises WireError unless there is one bit for each."""
    value = request.words.get(SITES)
    try:
        raw = b64decode(value if isinstance(value, str) else "", validate=True)
    except ValueError:
        raw = b""
    bits = unpacked(raw, hospitals)
    if bits is None:
        raise WireError("hospitals must be marked by one bit each, in base64.")
    return bits


def _parted(request: Payload, last: int) -> tuple[Payload, list[bytes]]:
    """A request without the last so many signatures of its data, and these."""
    raw, size = b"" if request.data is None else request.data.tobytes(), last * SIGNATURE_BYTES
    if len(raw) < size:
        raise WireError(f"{len(raw)} bytes came where {last} signatures are needed.")
    cut = len(raw) - size
    return replace(request, data=np.frombuffer(raw[:cut], np.uint8)), pieces(raw[cut:], last, SIGNATURE_BYTES)


def _entries(raw: bytes, size: int) -> Iterator[tuple[int, Announced]]:
    for start in range(0, len(raw), size):
        place = int.from_bytes(raw[start : start + PLACE_BYTES], "big")
        yield place, Announced.from_bytes(raw[start + PLACE_BYTES : start + PLACE_BYTES + ANNOUNCED_BYTES])


def masked_by(context: bytes, session: bytes, order: bytes) -> bytes:
    """What a hospital signs when it masks; tells it from what is signed of survivors by its first words."""
    return b"wardround: masked by\n" + sha256(context + session + order).digest()


def _alike(notes: Notes) -> bytes:
    return masked_by(notes["context"], notes["session"], notes["order"])


def _refuse_same_keys(announced: Sequence[Announced]) -> None:
    if len({key for one in announced for key in (one.keys.mask, one.keys.channel)}) != 2 * len(announced):
        raise WireError("two of the announced keys are the same.")
