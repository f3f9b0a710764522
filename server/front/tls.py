"""Mutual TLS: a context for the certificate, CA and revocation list that lie in the folder now, and who a peer is."""

from __future__ import annotations

import ssl
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from common.errors import FileError
from common.files import access as files
from server.front.settings import AUTHORITY, CERTIFICATE, KEY, REVOKED

FILES = (CERTIFICATE, KEY, AUTHORITY, REVOKED)
LARGEST_BYTES = 4 << 20


@dataclass(frozen=True)
class Peer:
    """Whoever is at the other end, as its certificate says. key: one for all of its connections."""

    name: str
    uris: frozenset[str]


NOBODY = Peer("", frozenset())


def peer_of(certificate: object) -> Peer:
    """Of what `ssl.SSLObject.getpeercert()` gives; NOBODY where it gives nothing."""
    if not isinstance(certificate, dict) or not certificate:
        return NOBODY
    names = [value for part in certificate.get("subject", ()) for kind, value in part if kind == "commonName"]
    uris = {value for kind, value in certificate.get("subjectAltName", ()) if kind == "URI"}
    return Peer(names[0][:100] if names else "", frozenset(uris))


LAST_WORDS: ContextVar[list[bytes] | None] = ContextVar("LAST_WORDS", default=None)
"""Set by whoever begins a handshake: what OpenSSL has to say to the other side, should it fail."""


class _Handshake(ssl.SSLObject):
    """asyncio drops the alert of a handshake that fails: `certificate revoked`, `certificate expired`."""

    outgoing: ssl.MemoryBIO
    words: list[bytes] | None

    def do_handshake(self) -> None:
        """As the base class does; keep what is said at the end."""
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError:
            if self.words is not None:
                self.words.append(self.outgoing.read())
            raise


class ServerContext(ssl.SSLContext):
    """Of handshakes whose last words are kept."""

    sslobject_class = _Handshake

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *rest: Any, **named: Any) -> ssl.SSLObject:
        """As the base class does."""
        made = super().wrap_bio(incoming, outgoing, *rest, **named)
        assert isinstance(made, _Handshake)
        made.outgoing, made.words = outgoing, LAST_WORDS.get()
        return made


def context_of(folder: Path) -> ssl.SSLContext:
    """TLS 1.3 alone, with a client certificate of the consortium's CA that its newest list has not revoked.

    A session is never resumed: a certificate is looked at again in every connection. Raises FileError where a file is
    absent or is not what it must be.
    """
    for name in FILES:
        files.check(folder, name)
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    context.verify_mode = ssl.CERT_REQUIRED
    _load(context, folder)
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


def _load(context: ssl.SSLContext, folder: Path) -> None:
    try:
        context.load_cert_chain(folder / CERTIFICATE, folder / KEY, password=_no_password)
    except (ssl.SSLError, OSError) as error:
        raise FileError(folder / CERTIFICATE, f"and {KEY} cannot be used together: {_said(error)}") from error
    for name in (AUTHORITY, REVOKED):
        before = context.cert_store_stats()
        try:
            context.load_verify_locations(cafile=folder / name)
        except (ssl.SSLError, OSError) as error:
            raise FileError(folder / name, f"cannot be used: {_said(error)}") from error
        if context.cert_store_stats() == before:
            raise FileError(folder / name, "holds nothing of what it must hold")


def _no_password() -> str:
    """Without this OpenSSL asks the terminal, and the front would wait for ever."""
    raise OSError("the key must not have a passphrase")


def _said(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error)[:200]


def state_of(folder: Path) -> tuple[tuple[int, int, int], ...]:
    """Changes when any of the files does. Raises FileError where one is absent."""
    try:
        found = [(folder / name).stat() for name in FILES]
    except OSError as error:
        raise FileError(folder / "front", f"is not whole: {error.strerror}") from error
    return tuple((one.st_mtime_ns, one.st_size, one.st_ino) for one in found)


def list_ends(folder: Path) -> datetime | None:
    """When the revocation list runs out, from when on everybody is refused. Raises FileError where it is none."""
    from cryptography.x509 import load_pem_x509_crl

    try:
        return load_pem_x509_crl(files.read(folder, REVOKED, LARGEST_BYTES)).next_update_utc
    except ValueError as error:
        raise FileError(folder / REVOKED, "is no revocation list in PEM") from error
