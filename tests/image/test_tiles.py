import itertools

import numpy as np
import pytest

from srgan.errors import ArgumentError
from srgan.image.tiles import Plan, Span, plan_tiles

SIDES = (1, 2, 5, 6, 7, 8, 13, 20, 31)


def check(plan: Plan, height: int, width: int, halo: int) -> None:
    """Assert what makes tiled equal to whole, pixel by pixel."""
    cover = np.zeros((height, width), dtype=int)
    sizes = set()
    for tile in plan:
        cover[tile.rows.core(), tile.columns.core()] += 1
        sizes.add((tile.rows.stop - tile.rows.start, tile.columns.stop - tile.columns.start))
        for span, length in ((tile.rows, height), (tile.columns, width)):
            assert 0 <= span.start <= span.core_start < span.core_stop <= span.stop <= length
            assert span.start == 0 or span.core_start - span.start >= halo
            assert span.stop == length or span.stop - span.core_stop >= halo
    assert (cover == 1).all()
    assert len(sizes) == 1, "all windows have one size"


@pytest.mark.parametrize("halo", [0, 1, 3])
def test_square_tiles_cover_every_pixel_once_with_room_for_the_halo(halo: int) -> None:
    for height, width, extra in itertools.product(SIDES, SIDES, (1, 2, 5)):
        check(plan_tiles(height, width, halo=halo, tile=2 * halo + extra, pixels=1), height, width, halo)


@pytest.mark.parametrize("halo", [0, 1, 3])
def test_planned_tiles_stay_under_the_budget(halo: int) -> None:
    least = (2 * halo + 1) ** 2
    for height, width, pixels in itertools.product(SIDES, SIDES, (least, least + 7, 200)):
        plan = plan_tiles(height, width, halo=halo, pixels=pixels)
        check(plan, height, width, halo)
        rows, columns = plan.rows[0], plan.columns[0]
        assert (rows.stop - rows.start) * (columns.stop - columns.start) <= max(pixels, least)


def test_a_picture_within_the_budget_is_one_window() -> None:
    plan = plan_tiles(300, 400, halo=40, pixels=120_000)
    assert list(plan.rows) == [Span(0, 300, 0, 300)]
    assert list(plan.columns) == [Span(0, 400, 0, 400)]


def test_the_spans_of_an_axis_are_those_worked_out_by_hand() -> None:
    # windows of 10 with a halo of 3: cores [0, 7), [7, 11), [11, 15), and the last, moved inwards, ends at 17
    plan = plan_tiles(17, 1, halo=3, tile=10, pixels=1)
    assert list(plan.rows) == [Span(0, 10, 0, 7), Span(4, 14, 7, 11), Span(7, 17, 11, 17)]
    assert list(plan.columns) == [Span(0, 1, 0, 1)]
    assert plan.rows[1].core_in_window(4) == slice(12, 28)
    assert plan.rows[1].core(4) == slice(28, 44)


def test_the_planned_window_has_the_least_work() -> None:
    # 480x640 pixels, halo 40, at most 262,144 a window: two of 480x360 (345,600 in all) beat two of 280x640
    plan = plan_tiles(480, 640, halo=40, pixels=512 * 512)
    assert list(plan.rows) == [Span(0, 480, 0, 480)]
    assert list(plan.columns) == [Span(0, 360, 0, 320), Span(280, 640, 320, 640)]


@pytest.mark.parametrize(("height", "width"), [(31, 47), (20, 100), (64, 64)])
def test_no_window_shape_has_less_work_than_the_planned_one(height: int, width: int) -> None:
    halo, pixels = 3, 300
    plan = plan_tiles(height, width, halo=halo, pixels=pixels)

    def windows(length: int, side: int) -> int:
        return 1 if side >= length else -((2 * halo - length) // (side - 2 * halo))

    best = min(
        windows(height, h) * h * windows(width, w) * w
        for h in range(1, height + 1)
        for w in range(1, width + 1)
        if h * w <= pixels and (h == height or h > 2 * halo) and (w == width or w > 2 * halo)
    )
    rows, columns = plan.rows[0], plan.columns[0]
    assert len(plan) * (rows.stop - rows.start) * (columns.stop - columns.start) == best


def test_a_very_large_picture_is_planned_at_once() -> None:
    plan = plan_tiles(20_000, 10_000, halo=40, pixels=512 * 512)
    work = len(plan) * (plan.rows[0].stop - plan.rows[0].start) * (plan.columns[0].stop - plan.columns[0].start)
    assert work < 1.45 * 20_000 * 10_000


def test_tile_zero_is_the_whole_picture() -> None:
    assert len(plan_tiles(5000, 5000, halo=40, tile=0, pixels=100)) == 1


def test_a_tile_without_a_core_is_an_error() -> None:
    with pytest.raises(ArgumentError, match="a tile of 80 pixels is too small: this network needs more than 80, or 0"):
        plan_tiles(500, 500, halo=40, tile=80, pixels=1)
    # the first and the last core of an axis are 41 long, the others 1
    assert len(plan_tiles(500, 500, halo=40, tile=81, pixels=1)) == 420**2


def test_a_budget_without_room_for_a_halo_is_an_error() -> None:
    assert len(plan_tiles(8, 8, halo=3, pixels=49)) == 4
    with pytest.raises(ValueError, match="a window of 48 pixels has no room for a halo of 3"):
        plan_tiles(8, 8, halo=3, pixels=48)
