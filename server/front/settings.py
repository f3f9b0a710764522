"""What `server.toml` says of the front, and where the front's files lie in the coordinator's folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from common.errors import StudyError
from common.study.options import build
from server.coordinator_folder import SETTINGS as FILE
from server.coordinator_folder import settings_table
from server.front.rules import MOST_BODY_BYTES

TABLE = "front"
CERTIFICATE, KEY, AUTHORITY, REVOKED = "front/tls.crt", "front/tls.key", "front/ca.crt", "front/crl.pem"
LOOPBACK = re.compile(r"https?://(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?")


@dataclass(frozen=True)
class FrontSettings:
    """Table [front] of `server.toml`.

    listen: the address that hospitals reach; "" for all of this machine's. port: 0 for any that is free. link: the
    SuperLink behind it, on this machine. link_authority: the file of the CA that signed the link's certificate, below
    the coordinator's folder, where the link speaks TLS. link_identity: the file of the certificate and key that a
    link which answers no stranger wants to see; one that is absent is not shown. body_bytes: most that a request may
    hold. head_s, body_s, answer_s: how long a hospital may take to send a head and a body, and the SuperLink to begin
    its answer. idle_s: how long a connection may wait for its next request. age_s: after which a connection must show
    its certificate again. connections: of everybody together. connections_each: of one certificate. opening: that
    have not shown a certificate yet. memory_bytes: of all requests that are being received.
    """

    listen: str = ""
    port: int = 8443
    link: str = "https://127.0.0.1:9092"
    link_authority: str = "link/ca.crt"
    link_identity: str = "link/connecting.pem"
    body_bytes: int = MOST_BODY_BYTES
    head_s: float = 10.0
    body_s: float = 120.0
    answer_s: float = 60.0
    idle_s: float = 75.0
    age_s: float = 3600.0
    connections: int = 512
    connections_each: int = 16
    opening: int = 64
    memory_bytes: int = 512 << 20

    def __post_init__(self) -> None:
        if not LOOPBACK.fullmatch(self.link):
            raise StudyError(
                f"{FILE}: {TABLE}.link must be on this machine, https://127.0.0.1:port: nobody else may reach the "
                f"SuperLink; it is {self.link[:80]!r}."
            )
        if not 0 <= self.port < 1 << 16:
            raise StudyError(f"{FILE}: {TABLE}.port must be 0 to 65535; it is {self.port}.")
        for name in ("body_bytes", "head_s", "body_s", "answer_s", "idle_s", "age_s", "connections"):
            self._demand_positive(name)
        for name in ("connections_each", "opening", "memory_bytes"):
            self._demand_positive(name)

    def _demand_positive(self, name: str) -> None:
        if not getattr(self, name) > 0:
            raise StudyError(f"{FILE}: {TABLE}.{name} must be positive; it is {getattr(self, name)}.")


def read_front(folder: Path) -> FrontSettings:
    """Of the coordinator whose folder that is. Raises StudyError for a key or value that cannot be."""
    return build(FrontSettings, settings_table(folder, TABLE), f"{FILE}, [{TABLE}]")
