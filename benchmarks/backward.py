"""What gradients cost: forward and backward of the standard workload against forward alone, alternated, on one thread.

python benchmarks/backward.py         # writes benchmarks/results/backward.json
"""

from __future__ import annotations

import argparse

import torch
from timing import alternate, rate, save
from workloads import standard

import fastsynth as fs

LEARNED = ("world_from_object", "light_color", "light_direction", "ambient", "base_color", "background_color")


def main() -> None:
    """Measures and writes down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    args = parser.parse_args()
    batch = standard()
    if batch is None:
        raise SystemExit("backward.py: the standard workload is not beside the repository (../shared/data).")
    torch.set_num_threads(1)
    leaves = {name: getattr(batch, name).clone().requires_grad_() for name in LEARNED}
    learned = batch.replace(**leaves)
    texels = (batch.assets.textures.texels.float() / 255).requires_grad_()
    results = {}
    for side in args.sizes:
        size = (side, side)
        cotangent = torch.ones(batch.images, 3, side, side)  # the loss's own work is not what is measured

        def forward(painted=None, at=size) -> None:
            with torch.no_grad():
                fs.render(learned, at, ("rgb", "instance_id", "triangle_id", "boxes_2d_tight"), texels=painted)

        def both(painted=None, at=size, cotangent=cotangent) -> None:
            rgb = fs.render(learned, at, ("rgb",), texels=painted).rgb
            torch.autograd.grad(rgb, [*leaves.values(), *([] if painted is None else [painted])], cotangent)

        results[str(side)] = alternate(
            {
                "forward and backward": lambda: rate(both, batch.images, args.seconds),
                "forward and backward, textures too": lambda: rate(lambda: both(texels), batch.images, args.seconds),
                "forward, textures too": lambda: rate(lambda: forward(texels), batch.images, args.seconds),
                "forward": lambda: rate(forward, batch.images, args.seconds),
            },
            args.rounds,
        )
        print(side, results[str(side)])
    print(save("backward", results))


if __name__ == "__main__":
    main()
