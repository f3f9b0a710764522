"""Stock Flower's programs, with mutual TLS on every port they open and every connection they make.

Run as a program: `python -P _flower_program.py flower-superlink ARGUMENTS`. Flower's own TLS proves the server only:
whoever reaches a port of an open-source SuperLink starts runs, and whoever reaches a SuperNode's takes its tasks.
Here uvicorn demands the run's client certificate, and Flower's HTTP client presents it. Nothing of ours is imported:
a ServerApp must find the packages of its bundle, not those of this checkout.

What leans on undocumented parts of Flower stands in this file: that `uvicorn.Config` makes its servers, that its
clients are `ProtobufClient`s which take a `verify`, and that it starts its own programs by name, from PATH. Should
one of these cease to hold, a run ends before it begins (the engine tries its SuperLink as a stranger would), and
`tests/security/test_deployment_port.py` fails.
"""

from __future__ import annotations

import json
import os
import shlex
import ssl
import sys
import traceback
from collections.abc import Callable, Iterable
from functools import wraps
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

AUTHORITY = "WARDROUND_RUN_AUTHORITY"
CONNECTING = "WARDROUND_RUN_CONNECTING"
"""Paths, in the environment: of the run's authority, and of the certificate and key that its programs present."""

PROGRAMS = ("flwr", "flower-superlink", "flower-supernode", "flower-superexec", "flwr-serverapp", "flwr-clientapp")
"""Flower's programs that a run needs."""
EACH, SEPARATOR = "flwr-each", "\x1e"
"""`flwr` for every line of its input, a JSON list of words each, in one process."""


def install(folder: Path) -> Path:
    """Scripts named like Flower's programs in `folder`, each running this file; put it first on PATH."""
    folder.mkdir(mode=0o700, parents=True)
    for name in (*PROGRAMS, EACH):
        words = [sys.executable, "-P", str(Path(__file__).resolve()), name]
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
        script.chmod(0o700)
    return folder


def demand_certificates(authority: Path) -> None:
    """From now on no uvicorn server of this process listens without demanding a certificate of `authority`."""
    import uvicorn

    build = uvicorn.Config.__init__

    @wraps(build)
    def build_demanding(self: uvicorn.Config, *positional: Any, **named: Any) -> None:
        own = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": str(authority)}
        build(self, *positional, **{**named, **own})
        if not self.is_ssl:
            raise RuntimeError("a server of this run was about to listen without TLS")

    uvicorn.Config.__init__ = build_demanding  # type: ignore[method-assign]


def present_certificate(authority: Path, connecting: Path) -> None:
    """From now on Flower's HTTP client in this process trusts `authority` alone and presents `connecting`."""
    from flwr.supercore.protobuf.client import ProtobufClient

    build = ProtobufClient.__init__

    @wraps(build)
    def build_presenting(self: ProtobufClient, base_url: str, **named: Any) -> None:
        if not base_url.startswith("https://"):
            raise RuntimeError("a program of this run was about to connect without TLS")
        build(self, base_url, **{**named, "verify": connecting_context(authority, connecting)})

    ProtobufClient.__init__ = build_presenting  # type: ignore[method-assign]


def connecting_context(authority: Path, connecting: Path) -> ssl.SSLContext:
    """TLS 1.3 to servers of the run, and to no other."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(authority)
    context.load_cert_chain(connecting)
    return context


def entry_point(name: str) -> Callable[[], object]:
    """What the console script of this name calls."""
    found: Iterable[Any] = entry_points(group="console_scripts", name=name)
    (point,) = (one for one in found if one.dist is not None and one.dist.name == "flwr")
    loaded: Callable[[], object] = point.load()
    return loaded


def main() -> None:
    """Run the program that the first argument names, with the rest."""
    name, *arguments = sys.argv[1:]
    authority, connecting = Path(os.environ[AUTHORITY]), Path(os.environ[CONNECTING])
    demand_certificates(authority)
    present_certificate(authority, connecting)
    if name == EACH:
        run_each(entry_point("flwr"), sys.stdin)
        return
    sys.argv = [name, *arguments]
    sys.exit(entry_point(name)())  # type: ignore[arg-type]


def run_each(command: Callable[[], object], lines: Iterable[str]) -> None:
    """Run `flwr` with the arguments of each line as it comes; a SEPARATOR and the exit status end each answer."""
    for line in lines:
        sys.argv, code = ["flwr", *json.loads(line)], 0
        try:
            command()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except Exception:  # noqa: BLE001 - the next command has nothing to do with it
            traceback.print_exc()
            code = 1
        sys.stdout.write(f"{SEPARATOR}{code}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
