import math

import torch

from srgan.training.ranks import Ranks
from srgan.training.terms import Alarm, Recent, first_bad


def test_terms_come_back_step_by_step_and_are_forgotten() -> None:
    recent = Recent()
    for step in range(3):
        recent.add({"a": torch.tensor(step / 2), "b": torch.tensor(-1.0)})
    assert recent.take(Ranks()) == {"a": [0.0, 0.5, 1.0], "b": [-1.0, -1.0, -1.0]}
    recent.add({"c": torch.tensor(7.0)})
    assert recent.take(Ranks()) == {"c": [7.0]}


def test_the_first_bad_value_is_found() -> None:
    assert first_bad({"a": [1.0, 2.0], "b": [0.0, -5.0]}) is None
    assert first_bad({"a": [1.0, 2.0, math.nan], "b": [0.0, -math.inf, math.nan]}) == (1, "b", -math.inf)


def test_an_even_match_raises_no_alarm() -> None:
    alarm = Alarm(3, 2 * math.log(2))
    assert alarm.heard([0.02, 0.7, 1.3] * 10) is None


def test_a_discriminator_that_has_won() -> None:
    alarm = Alarm(3, 2 * math.log(2))
    assert alarm.heard([0.5, 0.001, 0.002]) is None
    assert (
        alarm.heard([0.003])
        == "the discriminator has won: the generator learns nothing from it (mean loss 0.002 over 3 steps)"
    )


def test_a_discriminator_that_has_lost_and_goes_on_losing() -> None:
    alarm = Alarm(4, 2 * math.log(2))
    assert alarm.heard([1.5] * 3) is None
    said = alarm.heard([1.5])
    assert said == "the discriminator has lost: a coin would do better (mean loss 1.5 over 4 steps)"
    assert alarm.heard([1.5] * 3) is None
    assert alarm.heard([1.5]) == said
