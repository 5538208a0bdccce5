"""What a great many pictures would cost: measured seconds of each stage through nodes of three kinds, simulated.

    python benchmarks/scale.py benchmarks/results/bulk-2-cores.json

A node is simulated picture by picture: its processors decode and encode, and run the network where there are no GPUs; a
few pictures may wait between two stages, as in the engines. The rest is multiplication. What is not measured is an
input: what the network takes on a GPU, what machines and requests cost, how often machines fail. docs/scale.md has the
table, and where the inputs come from.
"""

import argparse
import heapq
import json
import sys
from collections import deque
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Stages:
    """What a picture takes: seconds of a processor, of a GPU, and bytes that are read and written."""

    decode: float
    network: float
    encode: float
    gpu: float
    bytes_in: float
    bytes_out: float


@dataclass(frozen=True)
class Node:
    """A machine: dollars an hour, bits a second to the store, hours to a failure."""

    name: str
    cores: int
    gpus: int
    price: float
    bandwidth: float
    hours_to_failure: float


@dataclass(frozen=True)
class Flow:
    """What the simulation of a node found: pictures a second, and what part of the time its parts were busy."""

    rate: float
    cores: float
    gpus: float


def simulate(node: Node, stages: Stages, pictures: int = 20_000, waiting: int = 8) -> Flow:
    """Return how fast a node is once it has begun.

    A core takes, first come, what is nearest to its end: encoding, then, without GPUs, the network, then decoding, for
    which there must be a place to wait in. `waiting` such places there are for each GPU or, without, for each core.
    """
    places = waiting * (node.gpus or node.cores)
    begun = decoded = made = ended = 0  # how many pictures have come how far
    to_network: deque[int] = deque()
    to_encode: deque[int] = deque()
    cores, gpus = node.cores, node.gpus
    busy_cores = busy_gpus = now = began = 0.0
    events: list[tuple[float, str]] = []
    while ended < pictures:
        while True:
            if cores and to_encode:
                to_encode.popleft()
                cores, seconds, what = cores - 1, stages.encode, "encode"
            elif (gpus if node.gpus else cores) and to_network and len(to_encode) < places:
                to_network.popleft()
                if node.gpus:
                    gpus, seconds, what = gpus - 1, stages.gpu, "gpu"
                else:
                    cores, seconds, what = cores - 1, stages.network, "network"
            elif cores and begun < pictures and begun - decoded + len(to_network) < places:
                begun += 1
                cores, seconds, what = cores - 1, stages.decode, "decode"
            else:
                break
            busy_gpus += seconds if what == "gpu" else 0
            busy_cores += 0 if what == "gpu" else seconds
            heapq.heappush(events, (now + seconds, what))
        now, what = heapq.heappop(events)
        if what == "gpu":
            gpus += 1
        else:
            cores += 1
        if what == "decode":
            decoded += 1
            to_network.append(decoded)
        elif what in ("gpu", "network"):
            made += 1
            to_encode.append(made)
        else:
            ended += 1
            if ended == pictures // 10:  # the beginning is not counted
                began = now
    rate = (ended - pictures // 10) / (now - began)
    return Flow(rate, busy_cores / now / node.cores, busy_gpus / now / node.gpus if node.gpus else 0.0)


def bottleneck(node: Node, stages: Stages, flow: Flow) -> tuple[float, str]:
    """Return the pictures a second that a node comes to, and what holds it back."""
    store = node.bandwidth / 8 / (stages.bytes_in + stages.bytes_out)
    if store < flow.rate:
        return store, "the way to the store"
    if node.gpus and flow.gpus > flow.cores:
        return flow.rate, "the GPUs"
    return flow.rate, "decoding and encoding" if node.gpus else "the network, on processors"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=Path, help="what benchmarks/bulk.py wrote")
    parser.add_argument("--pictures", type=float, default=1e9)
    parser.add_argument("--days", type=float, default=7.0, help="in which it is to be done")
    parser.add_argument("--gpu-ms", type=float, default=2.0, help="of a picture on a GPU: ASSUMED, of 320x240")
    parser.add_argument("--core-price", type=float, default=0.05, help="dollars an hour for a processor: ASSUMED")
    parser.add_argument("--gpu-price", type=float, default=4.0, help="dollars an hour for an H100, with 24: ASSUMED")
    parser.add_argument("--put-price", type=float, default=5e-6, help="dollars for PUT, LIST: ASSUMED")
    parser.add_argument("--get-price", type=float, default=4e-7, help="dollars for GET, HEAD: ASSUMED")
    parser.add_argument("--month-price", type=float, default=0.023, help="dollars for a GB a month: ASSUMED")
    parser.add_argument("--restart", type=float, default=120.0, help="seconds until a new node works: ASSUMED")
    given = parser.parse_args()
    nodes = [
        Node("64 processors", 64, 0, 64 * given.core_price, 12.5e9, 50_000),
        Node("1 H100, 24 processors", 24, 1, given.gpu_price, 12.5e9, 50_000),
        Node("8 H100, 192 processors", 192, 8, 8 * given.gpu_price, 100e9, 50_000 / 8),
    ]
    if given.days <= 0:
        parser.error(f"--days {given.days:g} are too few")
    try:
        found = json.loads(given.measured.read_text())
        machine = found["machine"]
        measured = [(*map(int, row["size"].split("x")), row) for row in found["stages"]]
    except (ValueError, LookupError, TypeError) as error:
        parser.error(f"{given.measured}: not what benchmarks/bulk.py wrote: {type(error).__name__}: {error}")
    print(f"Stages measured on {machine}; a GPU's {given.gpu_ms:g} ms, prices and failures assumed.\n")
    head = (
        *("result", "node", "pictures/s", "held back by", "processors busy", "GPUs busy"),
        *("nodes", "node hours", "machines", "failures", "done again"),
    )
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    stores = []
    for width, height, row in measured:
        gpu = given.gpu_ms / 1000 * width * height / (320 * 240)
        # reading and writing are waiting, for the most part, and what they compute is counted with their neighbours
        stages = Stages(
            row["decode"] + row["read"],
            row["network"],
            row["encode"] + row["write"],
            gpu,
            row["bytes_in"],
            row["bytes_out"],
        )
        what = f"{4 * width}x{4 * height} {row['format']}"
        for node in nodes:
            flow = simulate(node, stages)
            rate, why = bottleneck(node, stages, flow)
            hours = given.pictures / rate / 3600
            failures = hours / node.hours_to_failure
            in_flight = 3 * 8 * (node.gpus or node.cores)  # at most: what waits twice, and what is in hand
            lost = failures * (in_flight / rate + given.restart) / 3600 * node.price
            cells = (
                *(what, node.name, f"{rate:,.1f}", why, f"{flow.cores:.0%}", f"{flow.gpus:.0%}" if node.gpus else ""),
                *(f"{-(-hours // (given.days * 24)):,.0f}", f"{hours:,.0f}", f"${hours * node.price:,.0f}"),
                *(f"{failures:,.1f}", f"{failures * in_flight:,.0f} pictures, ${lost:,.2f}"),
            )
            print("| " + " | ".join(cells) + " |")
        stored = given.pictures * row["bytes_out"] / 1e9
        stores.append(f"| {what} | {stored / 1000:,.0f} TB | ${stored * given.month_price:,.0f} |")
    print("\n| request | for each picture | in all | |\n|---|---|---|---|")
    for name, each, price in (
        ("HEAD and GET of the picture", 2, given.get_price),
        ("PUT of the result", 1, given.put_price),
        ("LIST of source and destination", 2 / 1000, given.put_price),
        ("PUT of the manifest", 1 / 10_000, given.put_price),
    ):
        count = each * given.pictures
        print(f"| {name} | {each:g} | {count:,.0f} | ${count * price:,.0f} |")
    print("\n| result | to store | a month |\n|---|---|---|")
    print("\n".join(stores))


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"scale: {error}")
