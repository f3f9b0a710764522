"""The tiny study of `tests/experiments`, for exploits."""

from __future__ import annotations

from tests.experiments.conftest import tiny, tiny_images, wardround

__all__ = ["tiny", "tiny_images", "wardround"]
