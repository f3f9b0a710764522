"""What is learned: the roles of tasks and networks, their entries, parameters, and the work of a round."""

from typing import TYPE_CHECKING

from common.lazy_exports import handed_on

if TYPE_CHECKING:
    from common.learning.client_work import Training as Training
    from common.learning.client_work import Work as Work
    from common.learning.task import Network as Network
    from common.learning.task import Task as Task
else:
    __getattr__ = handed_on(
        __name__,
        {
            "task": (
                "Network",
                "Task",
            ),
            "client_work": (
                "Training",
                "Work",
            ),
        },
    )
