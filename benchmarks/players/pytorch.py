"""PyTorch at its best: autograd only on the way back, contiguous inputs, its flash kernel, its threads counted."""

import sys

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention
from turn import Shape, Work, take_turns


def main() -> None:
    """Do each work with as many threads as the command line says."""
    torch.set_num_threads(int(sys.argv[1]))
    if torch.get_num_threads() != int(sys.argv[1]):
        raise RuntimeError("PyTorch has another number of threads")
    with torch.inference_mode(), sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        take_turns(prepare, held)


def prepare(kind: str, shape: Shape) -> Work:
    """Make inputs, and weights for additive scores."""
    if kind == "backward":
        return backward(shape)
    query, key, value = (torch.randn(shape) for _ in range(3))
    if kind != "additive":
        return lambda: scaled_dot_product_attention(query, key, value, is_causal=kind == "causal")
    query_weight, key_weight, vector = (torch.randn(size) / 8 for size in ((64, 64), (64, 64), 64))

    def additive() -> torch.Tensor:
        sums = (query @ query_weight.T)[..., :, None, :] + (key @ key_weight.T)[..., None, :, :]
        return torch.softmax(torch.tanh(sums) @ vector, -1) @ value

    return additive


def backward(shape: Shape) -> Work:
    """Make inputs that autograd follows, and the gradient of the output."""
    with torch.inference_mode(mode=False):
        inputs = [torch.randn(shape, requires_grad=True) for _ in range(3)]
        upstream = torch.randn(shape)

    def forward_and_back() -> tuple[torch.Tensor, ...]:
        with torch.inference_mode(mode=False):
            return torch.autograd.grad(scaled_dot_product_attention(*inputs), inputs, upstream)

    return forward_and_back


def held(result: torch.Tensor) -> int:
    """Bytes of the output."""
    return result.numel() * result.element_size()


if __name__ == "__main__":
    main()
