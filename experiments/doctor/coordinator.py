"""What keeps hospitals from coming in."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from common.consortium.expiry import of_coordinator
from common.errors import WardroundError
from common.files.access import check, is_there, read_text
from experiments.coordinator.settings import FRONT_LISTENING
from experiments.doctor import members, surroundings
from experiments.doctor.finding import Finding, fail, looked, ok, warn
from experiments.doctor.keys import ends, front_certificate
from server.coordinator_folder import NODE_KEYS
from server.coordinator_folder import SETTINGS as FILE
from server.front.settings import AUTHORITY, FrontSettings, read_front

SECRETS = ("front/tls.key", "identity.key", "authority/ca.key", "authority", "link")
CREATE = "Run `wardround consortium create`."
STEP_S = 10.0


def is_coordinators(folder: Path) -> bool:
    """Whether a folder is one."""
    return any(is_there(folder, name) for name in (FILE, "authority", "front", NODE_KEYS))


def examined(folder: Path, at: datetime) -> Iterator[Finding]:
    """Everything, also after what fails."""
    yield from surroundings.versions()
    yield surroundings.disk(folder)
    yield from surroundings.permissions(folder, SECRETS)
    yield from _authority(folder)
    yield from looked("certificate", CREATE, lambda: front_certificate(folder, at))
    yield from looked("certificate", CREATE, lambda: ends(of_coordinator(folder), at))
    yield from looked("members", CREATE, lambda: members.signatures(folder))
    yield from looked("node keys", "Take the key of the member's request.", lambda: members.node_keys(folder))
    yield from looked("settings", "Mend server.toml.", lambda: _front(folder))


def _authority(folder: Path) -> Iterator[Finding]:
    if is_there(folder, "authority/ca.key"):
        remedy = "Move authority/ to a disk that lies in a drawer until somebody joins, is revoked or renewed."
        yield warn("authority", "the key that makes members lies on this machine", remedy)
    else:
        yield ok("authority", "the key that makes members is elsewhere")


def _front(folder: Path) -> Iterator[Finding]:
    settings = read_front(folder)
    yield ok("settings", f"the front is at {settings.listen or 'any address'}, port {settings.port}")
    yield _port(folder, settings)


def _port(folder: Path, settings: FrontSettings) -> Finding:
    """Whether the front answers where it should, or could."""
    host, port = _address(folder, settings)
    try:
        plain = socket.create_connection((host, port), STEP_S)
    except OSError:
        return _free(host, port)
    with plain:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        check(folder, AUTHORITY)
        try:
            context.load_verify_locations(cafile=folder / AUTHORITY)
            with context.wrap_socket(plain) as tls:
                return ok("front", f"answers at {host}:{port} with {tls.version()}")
        except ssl.SSLCertVerificationError as error:
            said = f"at {host}:{port} is another program, or an old certificate ({error.verify_message})"
            return fail("front", said, f"Find it with `ss -ltnp 'sport = :{port}'`.")
        except OSError as error:
            said = f"at {host}:{port} is a program without our TLS ({getattr(error, 'reason', None) or error})"
            return fail("front", said, f"Find it with `ss -ltnp 'sport = :{port}'`.")


def _free(host: str, port: int) -> Finding:
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            return warn("front", f"does not run; {host}:{port} is free", "wardround server up.")
    except OSError as error:
        said = f"does not run, and could not listen at {host}:{port} ({error.strerror})"
        return fail("front", said, "Choose another port or address in server.toml, [front].")


def _address(folder: Path, settings: FrontSettings) -> tuple[str, int]:
    """Of the front that runs, or would."""
    host, port = settings.listen or "127.0.0.1", settings.port
    if not port:
        with suppress(WardroundError, ValueError, TypeError, KeyError):
            port = int(json.loads(read_text(folder, FRONT_LISTENING, 1 << 12))["port"])
    return host, port
