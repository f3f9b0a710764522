"""A teacher and its centre follow by what was shown, and the centre whatever pieces it was shown in."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from common.selfsupervision.teacher import Centre, Moments, move_teacher, teacher_of


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


def test_moments_are_those_of_all_answers_and_none_before_the_first_step() -> None:
    moments, answers = Moments(1), torch.tensor([[1.0], [3.0], [5.0]])
    for piece in (answers[:1], answers[1:]):
        torch.testing.assert_close(moments(piece), piece)
    moments.move(0.9)
    torch.testing.assert_close(moments(answers), (answers - 3) / (8 / 3) ** 0.5)


def test_moments_of_two_hospitals_average_to_those_of_all_their_answers() -> None:
    here, there, both = Moments(1), Moments(1), Moments(1)
    answers = torch.tensor([[1.0], [2.0], [7.0], [9.0]])
    for moments, own in ((here, answers[:2]), (there, answers[2:]), (both, answers)):
        moments(own)
        moments.move(0.9)
    for name, value in both.state_dict().items():
        torch.testing.assert_close(value, (here.state_dict()[name] + there.state_dict()[name]) / 2)


@pytest.mark.parametrize("kind", [Centre, Moments])
def test_what_a_step_that_came_to_no_end_answered_is_forgotten(kind: type[Centre]) -> None:
    one = kind(1)
    one(torch.ones(3, 1))
    one.train()
    one.move(0.5)
    assert not any(value.any() for value in one.state_dict().values())
