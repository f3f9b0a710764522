"""The text of a table's file, in whatever encoding a hospital's program saved it, or words that say what it is."""

from __future__ import annotations

import codecs

from common.errors import SourceError

AUTO = "auto"
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
OTHER_KINDS = (
    (b"PK\x03\x04", "a workbook (.xlsx, .ods) or another zip archive: save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls): save the sheet as CSV"),
    (b"\x1f\x8b", "compressed by gzip: unpack it"),
    (b"PAR1", "a Parquet table: let its name end in .parquet"),
    (b"$FL2", "an SPSS file: export it as CSV"),
    (b"$FL3", "an SPSS file: export it as CSV"),
    (b"<stata_dta>", "a Stata file: export it as CSV"),
    (b"%PDF", "a PDF"),
    (b"\x89HDF", "an HDF5 file: export the table as CSV or Parquet"),
)
WESTERN = frozenset(
    "ÄÖÜäöüßÀÁÂÃÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕØÙÚÛÝàáâãåæçèéêëìíîïñòóôõøùúûýÿŒœŠšŽž°µ²³±§€·–—‘’“”„«»…ºª¿¡½¼×÷\u00a0"
)
"""What texts of Western Europe hold of Windows-1252 beside ASCII; most misreadings of other encodings hold others."""
JOINING = frozenset("\u2019\u2018\u00b7\u2013\u2014\u00a0\u00b2\u00b3")
"""What may stand between two letters: apostrophes, dots, dashes, a space."""
MOST_IN_A_ROW = 2
"""Cyrillic, Greek and Arabic words of one-byte encodings, misread, are whole words of accented letters."""


def decoded(data: bytes, name: str, encoding: str = AUTO) -> str:
    """The text, without a byte-order mark.

    encoding "auto" follows a mark, and without one takes UTF-8, or Windows-1252 in lines whose bytes are no UTF-8 and
    read as Western text. Raises SourceError where that is doubtful, where the file is of another kind, or where the
    text holds NUL characters.
    """
    for magic, kind in OTHER_KINDS:
        if data.startswith(magic):
            raise SourceError(f"{name} is no text but {kind}.")
    text = _found(data, name) if encoding == AUTO else _as_named(data, name, encoding)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise SourceError(f"line {line} of {name} holds a NUL character: the file is damaged, or no text at all.")
    return text


def _as_named(data: bytes, name: str, encoding: str) -> str:
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except (LookupError, UnicodeError) as error:
        raise SourceError(
            f"{name} is not text in {encoding!r}, as source.encoding says: {_where(data, error)}."
        ) from error


def _where(data: bytes, error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        line = data.count(b"\n", 0, error.start) + 1
        return f"the byte {data[error.start]:#04x} in line {line} cannot be read"
    return "there is no such encoding" if isinstance(error, LookupError) else "its bytes cannot be read"


def _found(data: bytes, name: str) -> str:
    for mark, encoding in MARKS:
        if data.startswith(mark):
            try:
                return data.decode(encoding)
            except UnicodeError as error:
                raise SourceError(f"{name} begins with a mark of {encoding} and is not all of it.") from error
    if wide := _wide(data):
        raise SourceError(f"{name} looks like {wide} without a mark: save it as UTF-8, or set source.encoding.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        where = _where(data, error)
    return b"".join(_in_utf8(line, name, where) for line in data.splitlines(keepends=True)).decode("utf-8")


def _in_utf8(line: bytes, name: str, where: str) -> bytes:
    """By itself: in what encoding one person's line is, nobody else's decides."""
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return _western(line, name, where).encode("utf-8")
    return line


def _wide(data: bytes) -> str:
    """The UTF-16 that unmarked text most likely is, or ""."""
    start = data[:512]
    even, odd = start[::2].count(0), start[1::2].count(0)
    if len(start) < 8 or max(even, odd) < max(4, len(start) // 5) or min(even, odd) > 0:
        return ""
    return "UTF-16 (utf-16-le)" if odd else "UTF-16 (utf-16-be)"


def _western(line: bytes, name: str, where: str) -> str:
    text = line.decode("cp1252", errors="replace")
    row = 0
    for at, one in enumerate(text):
        row = row + 1 if ord(one) > 127 else 0
        if row > MOST_IN_A_ROW or (row and one not in WESTERN) or (row and _parts_a_word(text[at - 1 : at + 2])):
            raise SourceError(
                f"{name} is not UTF-8 ({where}), and it is doubtful which encoding it is in: save it as UTF-8, or "
                "set source.encoding, such as 'cp1250' or 'cp1251'."
            )
    return text


def _parts_a_word(around: str) -> bool:
    """Whether a mark stands between two letters, as where words of another encoding (a Mac's, DOS') are misread."""
    if len(around) < 3:
        return False
    before, one, after = around[0], around[1], around[2]
    return one not in JOINING and not one.isalpha() and before.isalpha() and after.isalpha()
