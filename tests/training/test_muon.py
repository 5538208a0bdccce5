import math

import torch

from srgan.training.muon import Muon, orthogonalised


def polynomial(s: torch.Tensor) -> torch.Tensor:
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return s


def test_singular_values_go_through_the_polynomial_and_singular_vectors_stay() -> None:
    torch.manual_seed(0)
    for shape in [(3, 6, 20), (2, 20, 6)]:
        x = torch.randn(shape, dtype=torch.float64)
        u, s, v = torch.linalg.svd(x, full_matrices=False)
        expected = u @ torch.diag_embed(polynomial(s / x.norm(dim=(1, 2))[:, None])) @ v
        assert torch.allclose(orthogonalised(x), expected, atol=1e-10)
        assert torch.linalg.svdvals(orthogonalised(x)).min() > 0.65
    assert not orthogonalised(torch.zeros(1, 3, 5)).any()


def test_it_does_not_matter_how_small_gradients_are() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 6, 20)
    torch.testing.assert_close(orthogonalised(x * 1e-6), orthogonalised(x), rtol=0, atol=1e-5)


def test_float32_is_enough_for_what_is_nearly_singular() -> None:
    torch.manual_seed(0)
    u, v = (torch.linalg.qr(torch.randn(n, 8, dtype=torch.float64)).Q for n in (8, 40))
    for least in (1e-2, 1e-4, 1e-7):
        s = torch.logspace(0, math.log10(least), 8, dtype=torch.float64)
        expected = u @ torch.diag(polynomial(s / s.norm())) @ v.T
        found = orthogonalised((u @ torch.diag(s) @ v.T).float()[None])[0]
        assert (found - expected).abs().max() < 1e-3


def test_steps_are_torchs_on_the_flattened_weight() -> None:
    """PyTorch's Muon takes matrices alone, and multiplies in bfloat16."""
    torch.manual_seed(0)
    start = [torch.randn(8, 3, 3, 3), torch.randn(8, 3, 3, 3), torch.randn(16, 2, 1, 1)]
    ours = [torch.nn.Parameter(w.clone().contiguous(memory_format=torch.channels_last)) for w in start]
    flat = [torch.nn.Parameter(w.flatten(1).clone()) for w in start]
    muon = Muon(ours, 1e-2)
    theirs = torch.optim.Muon(flat, 1e-2, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        for a, b in zip(ours, flat, strict=True):
            a.grad = torch.randn_like(a)
            b.grad = a.grad.flatten(1).clone()
        muon.step()
        theirs.step()  # type: ignore[no-untyped-call]
    for w, a, b in zip(start, ours, flat, strict=True):
        moved, expected = (a - w).flatten(), b.flatten() - w.flatten()
        assert (moved - expected).norm() < 0.02 * expected.norm()
