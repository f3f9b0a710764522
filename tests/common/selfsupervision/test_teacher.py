"""A teacher and its centre follow by what was shown, and the centre whatever pieces it was shown in."""

from __future__ import annotations

import torch
from torch import nn

from common.selfsupervision.teacher import Centre, move_teacher, teacher_of


class Pupil(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(2, 1, bias=False)
        self.teacher = teacher_of(body=self.body)


def test_a_teacher_begins_as_the_student_and_goes_a_share_of_the_way() -> None:
    pupil = Pupil()
    nn.init.constant_(pupil.body.weight, 1.0)
    nn.init.constant_(pupil.get_parameter("teacher.body.weight"), 3.0)
    with torch.no_grad():
        move_teacher(pupil, 0.75)
    torch.testing.assert_close(pupil.get_parameter("teacher.body.weight"), torch.full((1, 2), 2.5))
    torch.testing.assert_close(pupil.body.weight, torch.ones(1, 2))


def test_a_centre_moves_after_the_step_by_the_mean_of_all_that_was_answered() -> None:
    centre, answers = Centre(1), torch.tensor([[1.0], [2.0], [6.0]])
    for piece in (answers[:1], answers[1:]):
        torch.testing.assert_close(centre(piece), piece)
    centre.move(0.9)
    torch.testing.assert_close(centre.mean, torch.tensor([0.3]))
    torch.testing.assert_close(centre(answers), answers - 0.3)
    centre.move(0.0)
    torch.testing.assert_close(centre.mean, torch.tensor([3.0]))


def test_a_centre_forgets_nothing_and_moves_nowhere_where_nothing_was_learned() -> None:
    centre = Centre(1)
    centre.mean.fill_(2.0)
    centre.eval()(torch.ones(3, 1))
    centre.move(0.5)
    assert centre.mean.item() == 2.0
    assert centre.state_dict().keys() == {"mean"}
