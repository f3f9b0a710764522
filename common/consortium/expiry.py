"""When certificates and revocation lists run out, said from 30 days before: what ran out is refused by everybody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from common.consortium.certificates import LARGEST_PEM_BYTES, read_certificate
from common.errors import WireError
from common.files.access import if_there, names, read

WARNED = timedelta(days=30)
AUTHORITY_REMEDY = "a consortium's authority is made anew with `wardround consortium create`, in another folder"
FRONT_REMEDY = "wardround consortium renew --front"
CRL_REMEDY = "wardround consortium renew --front, which signs a new revocation list too"
LEAF_END = b"-----END CERTIFICATE-----"


@dataclass(frozen=True)
class Expiry:
    """What runs out, when, and what to do about it."""

    what: str
    ends: datetime
    remedy: str

    def warning(self, at: datetime) -> str:
        """One sentence from 30 days before on; "" until then."""
        left = self.ends - at
        if left > WARNED:
            return ""
        day = f"{self.ends:%Y-%m-%d %H:%M} UTC"
        when = f"ran out on {day}" if left <= timedelta() else f"runs out on {day}, in {_days(left)}"
        return f"{self.what} {when}: {self.remedy}."


def of_node(folder: Path) -> list[Expiry]:
    """Of the certificates in a hospital's folder; those that are there. Raises WireError for a damaged one."""
    remedy = "have the coordinator run `wardround consortium renew` with this hospital's name, and accept its reply"
    return [
        *_certificate(folder, "keys/tls.crt", "this hospital's certificate", remedy),
        *_certificate(folder, "keys/authority.crt", "the consortium's authority", AUTHORITY_REMEDY),
    ]


def of_coordinator(folder: Path) -> list[Expiry]:
    """Of all certificates in a coordinator's folder and its revocation list. Raises WireError for a damaged one."""
    found = [
        *_certificate(folder, "front/tls.crt", "the front's certificate", FRONT_REMEDY),
        *_revocations(folder),
        *_certificate(folder, "front/ca.crt", "the consortium's authority", AUTHORITY_REMEDY),
    ]
    for name in (one.removesuffix(".crt") for one in names(folder, "certificates") if one.endswith(".crt")):
        remedy = f'wardround consortium renew "{name}"'
        found += _certificate(folder, f"certificates/{name}.crt", f"the certificate of {name}", remedy)
    return found


def warnings(expiries: list[Expiry], at: datetime) -> list[str]:
    """Those that ran out or soon will, the most urgent first."""
    said = (one.warning(at) for one in sorted(expiries, key=lambda one: one.ends))
    return [one for one in said if one]


def _certificate(folder: Path, name: str, what: str, remedy: str) -> list[Expiry]:
    """The first certificate of the file: a node's own stands before its authority's."""
    data = if_there(read, folder, name, LARGEST_PEM_BYTES)
    if data is None:
        return []
    first = data.partition(LEAF_END)[0] + LEAF_END + b"\n"
    return [Expiry(what, read_certificate(first).not_valid_after_utc, remedy)]


def _revocations(folder: Path) -> list[Expiry]:
    data = if_there(read, folder, "front/crl.pem", 1 << 24)
    if data is None:
        return []
    try:
        ends = x509.load_pem_x509_crl(data).next_update_utc
    except ValueError as error:
        raise WireError("the revocation list cannot be read.") from error
    return [] if ends is None else [Expiry("the front's revocation list", ends, CRL_REMEDY)]


def _days(left: timedelta) -> str:
    return "less than a day" if left < timedelta(days=1) else "1 day" if left.days == 1 else f"{left.days} days"
