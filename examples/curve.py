"""Draw the held-out scores of a training run over the patches seen, as an SVG.

python examples/curve.py runs/srresnet -o curve.svg
"""

import argparse
import sys
from pathlib import Path

from srgan.training.watch import read_log

WIDTH, HEIGHT, LEFT, BOTTOM = 460, 240, 56, 34
TITLES = {"psnr_y": "PSNR-Y in dB", "lpips": "LPIPS-Alex, less is better"}


def main() -> None:
    """Read a run's log and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, help="folder of the run, with its log.jsonl")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    if not (arguments.run / "log.jsonl").is_file():
        parser.error(f"{arguments.run} is no run: it has no log.jsonl")
    validations = [line for line in read_log(arguments.run) if line.get("kind") == "validation"]
    curves = {
        title: [(v["patches"], v[name]) for v in validations if v.get(name) is not None]
        for name, title in TITLES.items()
    }
    drawn = [(title, points) for title, points in curves.items() if points]
    if not drawn:
        parser.error(f"{arguments.run} has no scores yet")
    panels = [panel(title, points, LEFT + i * (WIDTH + 20)) for i, (title, points) in enumerate(drawn)]
    size = f'width="{len(drawn) * (WIDTH + 20) - 20}" height="{HEIGHT}"'
    style = 'font-family="sans-serif" font-size="12"'
    arguments.output.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}><rect width="100%" height="100%" fill="white"/>'
        + "".join(panels)
        + "</svg>\n"
    )


def panel(title: str, points: list[tuple[int, float]], left: int) -> str:
    """Return one curve with its axes: patches to the right, the score upwards."""
    width, height, top = WIDTH - LEFT - 10, HEIGHT - BOTTOM - 30, 30
    most = max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)

    def place(x: float, y: float) -> str:
        return f"{left + x / most * width:.1f},{top + (high - y) / ((high - low) or 1) * height:.1f}"

    line = " ".join(place(x, y) for x, y in points)
    return (
        f'<text x="{left}" y="18">{title}, pictures validated on</text>'
        f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#bbb"/>'
        f'<polyline points="{line}" fill="none" stroke="#06c" stroke-width="2"/>'
        f'<text x="{left - 6}" y="{top + 5}" text-anchor="end">{high:.4g}</text>'
        f'<text x="{left - 6}" y="{top + height + 5}" text-anchor="end">{low:.4g}</text>'
        f'<text x="{left}" y="{top + height + 18}">0</text>'
        f'<text x="{left + width}" y="{top + height + 18}" text-anchor="end">{most:,} patches</text>'
    )


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"curve: {error}")
