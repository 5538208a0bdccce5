import random

import pytest

from fuzz import damaged, read_and_write, seeds

SEEDS = seeds()


@pytest.mark.parametrize("name", SEEDS)
def test_damaged_files_give_a_picture_or_a_picture_error(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert read_and_write(SEEDS[name])
    chance = random.Random(name)
    whole = [read_and_write(damaged(SEEDS[name], chance)) for _ in range(60)]
    assert not all(whole)
    assert capfd.readouterr().err == "", "decoders print nothing of their own"
