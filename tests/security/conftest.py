"""The tiny study of `tests/experiments`, for exploits."""

from __future__ import annotations

from tests.experiments.conftest import tiny as tiny
from tests.experiments.conftest import tiny_images as tiny_images
