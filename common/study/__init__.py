"""What is asked: one study, its options and entries, and the checks before anything starts."""

from typing import TYPE_CHECKING

from common.lazy_exports import handed_on

if TYPE_CHECKING:
    from common.study.options import Entry as Entry
    from common.study.study import Study as Study
    from common.study.study import parse as parse
else:
    __getattr__ = handed_on(
        __name__,
        {
            "options": ("Entry",),
            "study": (
                "Study",
                "parse",
            ),
        },
    )
