import random
import struct
import subprocess
import sys

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


def test_pillow_logs_nothing_to_the_terminal() -> None:
    """A TIFF of 2048 samples a pixel is an error of Pillow's log, which goes to stderr where nobody listens."""
    tiff = SEEDS["raw.tiff"]
    samples = struct.pack("<HHII", 277, 3, 1, 3)
    assert samples in tiff
    code = "import sys; from srgan.image.reading import read_picture; read_picture(sys.stdin.buffer)"
    damaged_tiff = tiff.replace(samples, struct.pack("<HHII", 277, 3, 1, 2048))
    result = subprocess.run([sys.executable, "-c", code], input=damaged_tiff, capture_output=True, check=False)
    assert result.returncode == 1
    assert b"More samples" not in result.stderr
    assert b"Error: standard input: a TIFF that is damaged" in result.stderr
