"""Train a generator on a loss of one's own, in a loop of one's own, made of srgan's parts.

    python examples/own_loss.py --data PHOTOGRAPHS -o mine.safetensors
    srgan export mine.safetensors -o mine.onnx
    srgan evaluate bicubic mine.onnx --data Set5

The loss here is the absolute error of the pixels, and of the steps from each to the next. Put yours in the place of
`loss`, and of the small generator srgan.models.generator.srresnet_x4, the paper's.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from tqdm import trange

from srgan.atomic import check_place
from srgan.data.patches import PatchSampler
from srgan.data.store import default_cache, prepare_store
from srgan.errors import SrganError
from srgan.models.generator import srresnet_mini_plain_x4
from srgan.models.tensors import new_card, save_generator
from srgan.training.validation import held_out_pairs, upscaled, validate


def loss(sr: Tensor, hr: Tensor) -> Tensor:
    """Return the distance of two batches of pictures (N, 3, H, W) in [0, 1], a scalar."""
    error = sr - hr
    down, right = error[..., 1:, :] - error[..., :-1, :], error[..., :, 1:] - error[..., :, :-1]
    return error.abs().mean() + down.abs().mean() + right.abs().mean()


def main() -> None:
    """Train, score pictures that were held out, and write the weights with a card."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="folder or tar of photographs")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a .safetensors file")
    parser.add_argument("--steps", type=int, default=2000, help="of 8 patches of 48x48")
    arguments = parser.parse_args()

    if arguments.output.suffix != ".safetensors" or arguments.steps < 1:
        parser.error("-o is a .safetensors file, and --steps at least one")
    try:
        check_place(arguments.output)
        store = prepare_store([arguments.data], default_cache(), min_side=48)
        inside, outside = store.split(held_out=2)
    except SrganError as error:
        parser.error(str(error))
    sampler = PatchSampler(store, inside, patch_size=48, scale=4, seed=0)
    torch.manual_seed(0)
    generator = srresnet_mini_plain_x4()
    optimiser = torch.optim.Adam(generator.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=2e-3, total_steps=arguments.steps)
    for step in trange(arguments.steps, unit=" steps"):
        lr, hr = sampler.batch(step, 8)
        optimiser.zero_grad()
        torch.autograd.backward(loss(generator(lr), hr))
        optimiser.step()
        schedule.step()

    pairs = held_out_pairs(store, outside, crop=192, scale=4)
    scores, _ = validate(partial(upscaled, generator.eval()), pairs, {})
    print(", ".join(f"{name} {value:.4g}" for name, value in scores.items()))
    card = new_card("mine", "srresnet_mini_plain_x4", generator, {"patches": 8 * arguments.steps})
    save_generator(generator, arguments.output, card)
    print(f"{arguments.output}: srgan export {arguments.output} -o mine.onnx")


if __name__ == "__main__":
    try:
        main()
    except SrganError as error:
        sys.exit(f"own_loss: {error}")
