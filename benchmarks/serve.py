"""The service under load, some of it hostile: what it answers, how quickly, and what memory it holds before and after.

    python benchmarks/serve.py --out benchmarks/results/serve-MACHINE.md
    python benchmarks/serve.py --seconds 10 --clients 16

A service is started as a user starts it. Clients, each of them one request after another, send pictures of 16 to 160
pixels a side, and in a third of their requests something else: pictures cut short, headers of enormous pictures, bytes
over the limit, parameters that cannot be, no HTTP at all, bodies that are broken off or arrive a byte at a time, and
clients that go away. Who is told 429 comes again when he is told to. Every answer has to be what it should be, a
picture of the right size or the right problem; the service must live, hold as much memory as before within a tenth,
and stop when it is told to. Memory before is that after a first round of the same load. The clients take a part of the
same processors; what they send is made before.
"""

import argparse
import asyncio
import io
import json
import platform
import random
import re
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import openvino
import torch
from PIL import Image

from given import positive
from plain import device_name

PICTURE = Path(__file__).parents[1] / "examples" / "pictures" / "friends.jpg"
SIDES = 16, 160
BYTES = 2_000_000  # the limit


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Tally:
    """What became of requests, by their kind."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)  # of pictures that came back
    pixels: int = 0  # of those, before
    wrong: list[str] = field(default_factory=list)


class Files:
    """What clients send."""

    def __init__(self) -> None:
        chance = random.Random(0)
        photograph = Image.open(PICTURE).convert("RGB")
        self.pictures = [self._picture(photograph, chance) for _ in range(300)]
        header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
        chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(10**6))), (b"IEND", b"")]
        self.bomb = b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
            for name, body in chunks
        )
        content = io.BytesIO()
        frames = [Image.new("L", (1000, 1000), level) for level in range(50)]
        frames[0].save(content, "GIF", save_all=True, append_images=frames[1:])
        self.frames = content.getvalue()

    def _picture(self, photograph: Image.Image, chance: random.Random) -> tuple[bytes, int, int]:
        width, height = chance.randint(*SIDES), chance.randint(*SIDES)
        left, top = chance.randint(0, photograph.width - width), chance.randint(0, photograph.height - height)
        content = io.BytesIO()
        part = photograph.crop((left, top, left + width, top + height))
        part.save(content, chance.choice(["PNG", "JPEG", "WEBP"]))
        return content.getvalue(), width, height


class Clients:
    """Some clients of a service at a port of this machine."""

    def __init__(self, port: int, count: int, files: "Files") -> None:
        self._port, self._count, self._files = port, count, files
        self.tally = Tally()

    async def load(self, seed: int, *, seconds: float = 0, pictures: int = 0) -> None:
        """Ask for so long, and until so many pictures have come back."""
        until = time.monotonic() + seconds

        def goes_on() -> bool:
            return time.monotonic() < until or len(self.tally.seconds) < pictures

        chances = (random.Random(f"{seed} {number}") for number in range(self._count))
        await asyncio.gather(*(self._client(chance, goes_on) for chance in chances))

    async def _client(self, chance: random.Random, goes_on: Callable[[], bool]) -> None:
        while goes_on():
            kind, act = chance.choices([way[:2] for way in WAYS], [way[2] for way in WAYS])[0]
            try:
                async with asyncio.timeout(120):
                    await act(self, chance, kind)
            except (OSError, EOFError, ValueError, TimeoutError) as error:
                self._note(kind, "no answer", f"{type(error).__name__}: {error}")

    def _note(self, kind: str, outcome: str, wrong: str = "") -> None:
        self.tally.outcomes[kind, outcome] += 1
        if wrong:
            self.tally.wrong.append(f"{kind}: {outcome}: {wrong}")

    async def _expect(self, kind: str, answer: Answer, status: int) -> None:
        """Note an answer that has to be a problem of a status, or the one that says to come again."""
        right = answer.status in (status, 429) and answer.headers.get("content-type") == "application/problem+json"
        right = right and json.loads(answer.body)["status"] == answer.status
        self._note(kind, str(answer.status), "" if right else repr(answer))
        await self._come_again(answer)

    async def _come_again(self, answer: Answer) -> None:
        if answer.status == 429:
            await asyncio.sleep(float(answer.headers["retry-after"]))

    async def picture(self, chance: random.Random, kind: str) -> None:
        content, width, height = chance.choice(self._files.pictures)
        model = chance.choices(["model=srgan", "model=srresnet", "detail=0.5", "model=bicubic"], [70, 10, 10, 10])[0]
        query = f"{model}&format={chance.choice(['png', 'jpeg', 'webp'])}&scale={chance.choice([4, 4, 4, 2, 3])}"
        start = time.monotonic()
        answer = await self._ask(query, content)
        if answer.status != 200:
            await self._expect(kind, answer, 429)
            return
        self.tally.seconds.append(time.monotonic() - start)
        self.tally.pixels += width * height
        with Image.open(io.BytesIO(answer.body)) as image:
            image.load()
            times = float(query.rsplit("=", 1)[1])
            right = image.size == (round(width * times), round(height * times))
        self._note(kind, "200", "" if right else f"{width}x{height} to {image.size} by {query}")

    async def cut_short(self, chance: random.Random, kind: str) -> None:
        content, _, _ = chance.choice(self._files.pictures)
        await self._expect(kind, await self._ask("", content[: len(content) // 2]), 400)

    async def bomb(self, _: random.Random, kind: str) -> None:
        await self._expect(kind, await self._ask("", self._files.bomb), 413)

    async def many_frames(self, _: random.Random, kind: str) -> None:
        await self._expect(kind, await self._ask("", self._files.frames), 413)

    async def too_many_bytes(self, _: random.Random, kind: str) -> None:
        await self._expect(kind, await self._ask("", bytes(BYTES + 1)), 413)

    async def bad_parameter(self, chance: random.Random, kind: str) -> None:
        content, _, _ = chance.choice(self._files.pictures)
        query = chance.choice(
            ["scale=-1", "model=../../etc/passwd", "format=exe", "scal=2", "crop=9999,0,5,5", "scale=nan"]
        )
        await self._expect(kind, await self._ask(query, content), 422)

    async def no_http(self, chance: random.Random, kind: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(chance.randbytes(500) + b"\r\n\r\n")
        await self._expect(kind, await _read(reader), 400)
        await _close(writer)

    async def slow_writer(self, chance: random.Random, kind: str) -> None:
        content, _, _ = chance.choice(self._files.pictures)
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(_head("", len(content)))
        answer = asyncio.create_task(_read(reader))
        for byte in content:
            writer.write(bytes([byte]))
            done, _ = await asyncio.wait([answer], timeout=0.5)
            if done:
                break
        await self._expect(kind, await answer, 408)
        await _close(writer)

    async def broken_off(self, chance: random.Random, kind: str) -> None:
        content, _, _ = chance.choice(self._files.pictures)
        _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(_head("", len(content)) + content[: len(content) // 2])
        await asyncio.sleep(chance.random() / 10)
        await _close(writer)
        self._note(kind, "went away")

    async def gone_away(self, chance: random.Random, kind: str) -> None:
        content, _, _ = chance.choice(self._files.pictures)
        _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(_head("", len(content)) + content)
        await writer.drain()
        await asyncio.sleep(chance.random())
        writer.transport.abort()
        self._note(kind, "went away")

    async def _ask(self, query: str, content: bytes) -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(_head(query, len(content)) + content)
        try:
            return await _read(reader)
        finally:
            await _close(writer)


Way = Callable[[Clients, random.Random, str], Awaitable[None]]

WAYS: list[tuple[str, Way, float]] = [
    ("a picture", Clients.picture, 66),
    ("cut short", Clients.cut_short, 6),
    ("a bomb", Clients.bomb, 4),
    ("a bomb of frames", Clients.many_frames, 1),
    ("too many bytes", Clients.too_many_bytes, 2),
    ("bad parameter", Clients.bad_parameter, 6),
    ("no HTTP", Clients.no_http, 3),
    ("a byte at a time", Clients.slow_writer, 1),
    ("broken off", Clients.broken_off, 5),
    ("client went away", Clients.gone_away, 6),
]
"""What clients do, and how often."""


def _head(query: str, length: int) -> bytes:
    return f"POST /v1/upscale?{query} HTTP/1.1\r\nHost: here\r\nContent-Length: {length}\r\n\r\n".encode()


async def _read(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
    headers = dict(line.lower().split(": ", 1) for line in head[1:-1])
    return Answer(int(head[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"])))


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


class Service:
    """`srgan serve` in a process of its own."""

    def __init__(self, log: Path) -> None:
        self.log = log
        command = [sys.executable, "-m", "srgan", "serve", "--port", "0", "--max-bytes", f"{BYTES}B"]
        with log.open("wb") as file:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True)
        assert self._process.stdout is not None
        found = re.search(r":(\d+)", self._process.stdout.readline())
        assert found is not None
        self.port = int(found[1])

    def resident(self) -> int:
        """Return its resident memory in bytes."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    def files(self) -> int:
        """Return how many files and connections it has open."""
        return len(list(Path(f"/proc/{self._process.pid}/fd").iterdir()))

    def stop(self) -> int:
        """Tell it to stop, and return its exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=positive, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--warm-up", type=int, default=200, help="pictures of the same load before it counts")
    parser.add_argument("--out", type=Path, help="Markdown file for the results")
    options = parser.parse_args()
    files = Files()
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder) / "log")
        asyncio.run(Clients(service.port, options.clients, files).load(0, pictures=options.warm_up))
        settled(service)
        before, files_before = service.resident(), service.files()
        idle = idle_share()
        clients = Clients(service.port, options.clients, files)
        start = time.monotonic()
        asyncio.run(clients.load(1, seconds=options.seconds))
        seconds = time.monotonic() - start
        settled(service)
        after, files_after = service.resident(), service.files()
        status = service.stop()
        trace = "Traceback" in service.log.read_text()
    text = report(options, clients.tally, seconds, (before, after), (files_before, files_after), idle, status)
    print(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(f"# benchmarks/serve.py\n\n{text}")
    for line in clients.tally.wrong[:20]:
        print(line[:500], file=sys.stderr)
    if clients.tally.wrong or status != 0 or trace or abs(after - before) > before / 10:
        raise SystemExit("not as it should be" + (": a traceback in the log" if trace else ""))


OTHERS = "With the service and the clients at rest, the processors were idle for {:.0%} of five seconds before."


def idle_share() -> float:
    """Return the share of five seconds for which the processors have nothing to do."""

    def ticks() -> list[int]:
        return [int(number) for number in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]

    start = ticks()
    time.sleep(5)
    spent = [end - begin for begin, end in zip(start, ticks(), strict=True)]
    return (spent[3] + spent[4]) / sum(spent)


def settled(service: Service) -> None:
    """Give a service time to finish what was left to it."""
    time.sleep(8)
    assert service.resident() > 0


def report(
    options: argparse.Namespace,
    tally: Tally,
    seconds: float,
    memory: tuple[int, int],
    files: tuple[int, int],
    idle: float,
    status: int,
) -> str:
    total, by_status = sum(tally.outcomes.values()), Counter[str]()
    for (_, outcome), count in tally.outcomes.items():
        by_status[outcome] += count
    quantiles = statistics.quantiles(tally.seconds, n=100, method="inclusive")
    lines = [
        f"{device_name(torch.device('cpu'))}; {platform.system()}, Python {platform.python_version()}, OpenVINO"
        f" {openvino.__version__.split('-')[0]}. {OTHERS.format(idle)}",
        "",
        f"{options.clients} clients for {seconds:.0f} s, pictures of {SIDES[0]} to {SIDES[1]} pixels a side:"
        f" {total / seconds:.1f} requests/s, {len(tally.seconds) / seconds:.1f} pictures/s,"
        f" {tally.pixels / seconds:,.0f} pixels/s through it.",
        "",
        "From request to picture, queue included: "
        + ", ".join(
            f"{name} {value:.2f} s"
            for name, value in [
                ("median", quantiles[49]),
                ("95%", quantiles[94]),
                ("99%", quantiles[98]),
                ("most", max(tally.seconds)),
            ]
        )
        + ".",
        "",
        f"Resident memory: {memory[0] / 1e6:.0f} MB before, {memory[1] / 1e6:.0f} MB after"
        f" ({memory[1] / memory[0] - 1:+.1%}); open files: {files[0]} before, {files[1]} after. Exit status: {status}.",
        "",
        f"Answers that were not as they should be: {len(tally.wrong)}.",
        "",
        "| answer | share |",
        "|---|---|",
        *(f"| {outcome} | {count / total:.1%} |" for outcome, count in sorted(by_status.items())),
        "",
        "| request | answers |",
        "|---|---|",
    ]
    for kind, _, _ in WAYS:
        counts = {outcome: count for (name, outcome), count in sorted(tally.outcomes.items()) if name == kind}
        lines.append(f"| {kind} | {', '.join(f'{count} x {outcome}' for outcome, count in counts.items())} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
