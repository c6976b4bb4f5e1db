"""nvdiffrast's own samples on these operators, on the CPU: what they print, and the pictures that they save.

python benchmarks/nvdiffrast_samples.py CHECKOUT     # a clone of github.com/NVlabs/nvdiffrast; writes
                                                     # benchmarks/results/nvdiffrast_samples.json
The samples are read where they are. In a copy that lives as long as this runs, the import is exchanged and "cuda"
becomes "cpu"; nothing else is. Random numbers are seeded; films become their last picture; where the globe's data is
missing, one of ours stands in. Fewer iterations than the samples' own are drawn where a CPU would take hours.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from globe import save_globe
from timing import RESULTS, save

HERE = Path(__file__).parent

#: Textual changes to a sample; the first must be found in it.
CHANGES = (
    ("import nvdiffrast.torch as dr", "import fastsynth.compat.nvdiffrast as dr"),
    ("device='cuda'", "device='cpu'"),
    (".cuda()", ""),
)

#: Seeds the samples' random numbers, which they do not.
START = """
import runpy, sys
import numpy, torch
numpy.random.seed(int(sys.argv[1]))
torch.manual_seed(int(sys.argv[1]))
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""

#: Name: sample and its arguments. `pose` prints each 100th iteration, `envphong` too.
RUNS = {
    "triangle": ("triangle.py",),
    **{
        f"cube, {side} x {side} pixels{', discontinuous' if apart else ''}": (
            *("cube.py", "--resolution", str(side), "--max-iter", "1000"),
            *(("--discontinuous",) if apart else ()),
        )
        for side in (4, 8, 16)
        for apart in (False, True)
    },
    "pose": ("pose.py", "--max-iter", "1000"),
    "envphong": ("envphong.py", "--max-iter", "100"),
    "earth, no mip maps": ("earth.py", "--max-iter", "50"),
    "earth, mip maps": ("earth.py", "--max-iter", "50", "--mip"),
}


def copy_samples(checkout: Path, to: Path) -> bool:
    """Samples that run here, from a user's checkout; returns whether the globe is ours."""
    samples, data = to / "torch", to / "data"
    samples.mkdir(parents=True)
    for path in sorted((checkout / "samples" / "torch").glob("*.py")):
        text = path.read_text()
        if path.name != "util.py" and CHANGES[0][0] not in text:
            raise SystemExit(f"nvdiffrast_samples.py: {path} does not import nvdiffrast as it did.")
        for old, new in CHANGES:
            text = text.replace(old, new)
        (samples / path.name).write_text(text)
    shutil.copy(HERE / "shims" / "imageio.py", samples)
    shutil.copytree(checkout / "samples" / "data", data)
    if missing := not (data / "earth.npz").is_file():
        save_globe(data / "earth.npz")
    return missing


def figures(printed: str) -> list[dict[str, float]]:
    """Lines such as "iter=10,err=0.5" as numbers."""
    lines = [re.findall(r"(\w+)=([-+.\deE]+)", line) for line in printed.splitlines() if "iter=" in line]
    return [{name: float(value) for name, value in line} for line in lines]


def run(name: str, samples: Path, pictures: Path, seed: int) -> dict[str, object]:
    """Runs a sample; what it printed at the first and the last time."""
    sample, *arguments = RUNS[name]
    out = pictures / re.sub(r"\W+", "_", name)
    out.mkdir(parents=True, exist_ok=True)
    if arguments:
        arguments += ["--outdir", str(out)]
    path = os.pathsep.join([str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", START, str(seed), sample, *arguments],
        cwd=samples,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(f"nvdiffrast_samples.py: {name} failed:\n{done.stdout}{done.stderr}")
    for picture in samples.glob("*.png"):  # the triangle has no --outdir
        shutil.move(picture, out / picture.name)
    printed = figures(done.stdout)
    starts = [number for number, line in enumerate(printed) if line["iter"] == 0]  # one for each repeat
    ends = [printed[after - 1] for after in [*starts[1:], len(printed)] if printed]
    return {"seconds": round(seconds, 1), "first": [printed[number] for number in starts], "last": ends}


def main() -> None:
    """Runs and writes down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--only", help="runs whose name begins so; what is known of others stays")
    parser.add_argument("--pictures", type=Path, default=Path("nvdiffrast_pictures"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not (args.checkout / "samples" / "torch").is_dir():
        raise SystemExit(f"nvdiffrast_samples.py: {args.checkout} has no samples/torch.")
    path = RESULTS / "nvdiffrast_samples.json"
    with tempfile.TemporaryDirectory() as folder:
        ours = copy_samples(args.checkout, Path(folder) / "samples")
        for name in RUNS:
            if args.only is None or name.startswith(args.only):
                found = run(name, Path(folder) / "samples" / "torch", args.pictures.resolve(), args.seed)
                print(name, found, flush=True)
                results = json.loads(path.read_text())["results"] if path.is_file() else {}
                save(path.stem, {**results, "globe of ours": ours, name: found})
    print(path)


if __name__ == "__main__":
    main()
