"""Ports of this machine's loopback, and who answers there."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from experiments.engines._run_secrets import LOOPBACK

LONGEST_HANDSHAKE_S = 5.0


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def listens(port: int, context: ssl.SSLContext) -> bool:
    """Whether somebody with the run's certificate listens there, and not just anybody who took the port."""
    try:
        with (
            socket.create_connection((LOOPBACK, port), LONGEST_HANDSHAKE_S) as plain,
            context.wrap_socket(plain, server_hostname=LOOPBACK),
        ):
            return True
    except OSError:
        return False


def answers_a_stranger(port: int, authority: Path) -> bool:
    """Whether a byte comes back for whoever has no certificate."""
    context = ssl.create_default_context(cafile=str(authority))
    try:
        with (
            socket.create_connection((LOOPBACK, port), LONGEST_HANDSHAKE_S) as plain,
            context.wrap_socket(plain, server_hostname=LOOPBACK) as stranger,
        ):
            stranger.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            return bool(stranger.recv(1))
    except OSError:
        return False
