"""Where a hospital's PACS is and how one gets in: `pacs.toml` in the hospital's own folder, never in a study."""

from __future__ import annotations

import os
import re
import ssl
import tomllib
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from stat import S_IWGRP, S_IWOTH
from urllib.parse import urlsplit

from common.errors import FileError, SourceError, StudyError
from common.files.access import read_text
from common.study.checks import between, non_negative, positive
from common.study.options import build

FILE = "pacs.toml"
LARGEST_BYTES = 1 << 16
ENVIRONMENT = "environment"
PASSWORD_VARIABLE, TOKEN_VARIABLE = "WARDROUND_PACS_PASSWORD", "WARDROUND_PACS_TOKEN"
SHARED_WITH_OTHERS = 0o077
REMEDY = (
    f"Write {FILE} there, which the hospital's engineers keep: url = 'https://pacs.example.org/dicom-web', and user "
    "and password_file, or token_file, where it asks who comes"
)


@dataclass(frozen=True)
class PacsSettings:
    """`pacs.toml`. url: of the DICOMweb service, up to what stands before /studies.

    user, password_file, token_file: how it knows who asks; the files lie in the same folder, for their owner alone;
    without one WARDROUND_PACS_PASSWORD or WARDROUND_PACS_TOKEN says it. authority: a file of certificates (PEM) that
    alone are trusted, "" for the system's. certificate, key: files, where the PACS wants one of its callers.
    plain_http: whether http:// is taken beyond this machine. proxy: http://host:port, "" for none, or "environment"
    for what HTTPS_PROXY says.

    page: rows asked for at once. most_studies, most_images, most_gb: a query that takes more is refused.
    answer_s, series_s: how long an answer, and a whole series, may take. retries: of what may pass. recheck_s: for so
    long an answer of the PACS is not asked for again. offline_hours: while the PACS cannot be reached, what was
    checked against it within so many hours is used.
    """

    url: str
    user: str = ""
    password_file: str = ""
    token_file: str = ""
    authority: str = ""
    certificate: str = ""
    key: str = ""
    plain_http: bool = False
    proxy: str = ""
    page: int = 100
    most_studies: int = 20_000
    most_images: int = 2_000_000
    most_gb: float = 500.0
    answer_s: float = 120.0
    series_s: float = 3600.0
    retries: int = 4
    recheck_s: float = 60.0
    offline_hours: float = 24.0

    def __post_init__(self) -> None:
        _check_url(self)
        between(FILE, 1, 1000, page=self.page)
        between(FILE, 0, 20, retries=self.retries)
        positive(
            FILE,
            most_studies=self.most_studies,
            most_images=self.most_images,
            most_gb=self.most_gb,
            answer_s=self.answer_s,
            series_s=self.series_s,
        )
        non_negative(FILE, recheck_s=self.recheck_s, offline_hours=self.offline_hours)
        if self.user and self.token_file:
            raise StudyError(f"{FILE} names a user and a token_file: a PACS is shown one of them.")
        if bool(self.certificate) != bool(self.key):
            raise StudyError(f"{FILE} must name certificate and key, or neither.")
        if self.proxy and self.proxy != ENVIRONMENT and not self.proxy.startswith(("http://", "https://")):
            raise StudyError(f'{FILE}: proxy must be http://host:port, "" for none or "{ENVIRONMENT}".')


def _check_url(settings: PacsSettings) -> None:
    try:
        parts = urlsplit(settings.url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise StudyError(f"{FILE}: url {settings.url[:80]!r} is no address ({error}).") from error
    if parts.scheme not in ("https", "http") or not host or parts.query or parts.fragment:
        raise StudyError(f"{FILE}: url must be https://host:port/path; it is {settings.url[:80]!r}.")
    if parts.username or parts.password:
        raise StudyError(f"{FILE}: url must not hold a password: write user and password_file.")
    if re.search(r"[\x00-\x20\x7f]", settings.url):
        raise StudyError(f"{FILE}: url holds white space or signs that no address has.")
    if parts.scheme == "http" and not settings.plain_http and not _is_this_machine(host):
        raise StudyError(
            f"{FILE}: url is http://, which anybody on the way can read and change: write https://, or plain_http = "
            "true where nothing else is offered."
        )


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def has_settings(folder: Path) -> bool:
    """Whether a folder is one of a PACS."""
    return (folder / FILE).is_file()


def read_settings(folder: Path) -> PacsSettings:
    """Of the PACS whose folder that is.

    Raises SourceError where there are none, cannot be read, or could have been written by somebody else; StudyError
    for a key or value that cannot be.
    """
    if not has_settings(folder):
        raise SourceError(f"there is no {FILE} in {folder}. {REMEDY}.")
    _demand_own(folder / FILE, S_IWGRP | S_IWOTH, "can be written")
    try:
        table = tomllib.loads(read_text(folder, FILE, LARGEST_BYTES))
    except (FileError, ValueError, RecursionError) as error:
        raise SourceError(f"{folder / FILE} cannot be read: {error}") from error
    return build(PacsSettings, table, FILE)


def _demand_own(path: Path, forbidden: int, what: str) -> None:
    """Whoever can write the file chooses where credentials go; whoever can read a secret has it."""
    found = path.stat()
    if found.st_uid not in (os.geteuid(), 0):
        raise SourceError(f"{path} belongs to another user: it must be the hospital's own.")
    if found.st_mode & forbidden:
        raise SourceError(f"{path} {what} by others than its owner: chmod 600 {path}")


def _secret(folder: Path, name: str, variable: str) -> str:
    """A file's first line, or what the environment says."""
    if not name:
        return os.environ.get(variable, "")
    try:
        _demand_own(folder / name, SHARED_WITH_OTHERS, "can be read")
        words = read_text(folder, name, LARGEST_BYTES).strip()
    except (FileError, OSError) as error:
        raise SourceError(f"{name}, which {FILE} names, cannot be read in {folder}.") from error
    if not words or not words.isprintable():
        raise SourceError(f"{folder / name} must hold one line; it is empty, or holds several or hidden signs.")
    return words


def credentials(folder: Path, settings: PacsSettings) -> tuple[tuple[str, str] | None, str]:
    """User and password, or None; a token, or "". Raises SourceError where a file of them cannot be used."""
    if settings.user:
        password = _secret(folder, settings.password_file, PASSWORD_VARIABLE)
        if not password:
            raise SourceError(
                f"{FILE} names the user {settings.user!r} and no password: write password_file, or set "
                f"{PASSWORD_VARIABLE}."
            )
        return (settings.user, password), ""
    return None, _secret(folder, settings.token_file, TOKEN_VARIABLE)


def tls_context(folder: Path, settings: PacsSettings) -> ssl.SSLContext:
    """Whom the hospital trusts to be its PACS. Raises SourceError where a file of it cannot be used.

    Of a service without TLS nobody is trusted: to read the machine's own authorities takes longer than to ask it.
    """
    try:
        if settings.authority:
            context = ssl.create_default_context(cafile=str(folder / settings.authority))
        elif settings.url.startswith("http://"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        else:
            context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.certificate:
            context.load_cert_chain(folder / settings.certificate, folder / settings.key)
    except (OSError, ssl.SSLError) as error:
        raise SourceError(f"the certificates that {folder / FILE} names cannot be used: {error}") from error
    return context
