"""How far a batch is, as people on a terminal and in a log see it."""

import io
import sys

import pytest

from srgan.cli.progress import PictureBar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_of_a_run_that_goes_on_counts_what_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with PictureBar(debug=False) as bar:
        bar.update(900_000, 1_000_000)
        assert bar._bar is not None
        bar.update(900_010, 1_000_000)
        assert (bar._bar.n, bar._bar.initial) == (900_010, 900_000)


def test_the_rate_counts_from_the_plan_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    monkeypatch.setattr("srgan.cli.progress.time.monotonic", lambda: now)
    with PictureBar(debug=False, every=60.0) as bar:
        now = 600.0  # of listing a store
        bar.update(100, 1_100)
        now = 700.0
        bar.update(200, 1_100)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["100 of 1,100 pictures, 0.00/s", "200 of 1,100 pictures, 1.00/s, 15:00 left"]
