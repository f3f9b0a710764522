"""Parts of a page that may fail alone: a damaged file costs its own part, said in a line, and no other."""

from __future__ import annotations

import logging
from collections.abc import Callable

from common.errors import WardroundError
from experiments.pages.sheet import banner, live
from server.reporting.markup import Markup
from server.reporting.sections.layout import section

LOG = logging.getLogger("wardround.pages")


def part(key: str, title: str, build: Callable[[], Markup]) -> Markup:
    """A live part with what `build` makes, or with why it cannot be made."""
    try:
        return live(f"part-{key}", build())
    except WardroundError as error:
        said = str(error)
    except Exception as error:
        LOG.exception("the part %s of a page", key)
        said = f"this program failed to show it ({type(error).__name__}); its terminal says where"
    return live(f"part-{key}", section(key, title, "This part cannot be shown.", banner("bad", said)))
