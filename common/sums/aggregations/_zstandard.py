"""Unfolding what Microsoft SEAL wrote in this process: it compresses with Zstandard whenever it saves.

Never of bytes that arrived: what hospitals send is not compressed, so that nothing of theirs is ever unfolded. The
functions are those of the Zstandard inside TenSEAL's own library, which a test pins.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache

import tenseal.sealapi as seal

from common.errors import StudyError


def unfold(frame: bytes) -> bytes:
    """The content of one frame that SEAL wrote here."""
    library = _library()
    size = int(library.ZSTD_getFrameContentSize(frame, len(frame)))
    content = ctypes.create_string_buffer(size)
    if library.ZSTD_decompress(content, size, frame, len(frame)) != size:
        raise ValueError("this is no frame of Zstandard that SEAL wrote here.")
    return content.raw


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(seal._sealapi_cpp.__file__)
    if not hasattr(library, "ZSTD_decompress"):
        raise StudyError("this build of TenSEAL hides its Zstandard: install the wheel that pyproject.toml pins.")
    library.ZSTD_getFrameContentSize.restype = ctypes.c_uint64
    library.ZSTD_getFrameContentSize.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    library.ZSTD_decompress.restype = ctypes.c_size_t
    library.ZSTD_decompress.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
    return library
