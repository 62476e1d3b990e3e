"""PyTorch's side of a benchmark: reads works from standard input, writes seconds."""

import sys
import time

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention


def main() -> None:
    """Do each work once for every line."""
    torch.set_num_threads(int(sys.argv[1]))
    if torch.get_num_threads() != int(sys.argv[1]):
        raise RuntimeError("PyTorch has another number of threads")
    query_weight, key_weight, vector = (torch.randn(shape) / 8 for shape in ((64, 64), (64, 64), 64))
    sizes = ""
    with torch.inference_mode(), sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        for line in sys.stdin:
            kind, shape = line.split()
            if shape != sizes:
                sizes = shape
                query, key, value = (torch.randn([int(size) for size in shape.split(",")]) for _ in range(3))
            start = time.perf_counter()
            if kind == "additive":
                sums = (query @ query_weight.T)[..., :, None, :] + (key @ key_weight.T)[..., None, :, :]
                result = torch.softmax(torch.tanh(sums) @ vector, -1) @ value
            else:
                result = scaled_dot_product_attention(query, key, value, is_causal=kind == "causal")
            print(time.perf_counter() - start, flush=True)
            del result


if __name__ == "__main__":
    main()
