"""Runs everything that is shown of `fastsynth.search`, one after another, about an hour on one CPU thread.

    python benchmarks/search.py            # into benchmarks/results/search_*.json, see each script's own text

Arguments go to each of them: ``--seeds 1 --dry`` for a look. What they found is drawn by ``docs/make_plots.py``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPTS = ("search_hidden", "search_shape", "search_mixture", "search_detector")

if __name__ == "__main__":
    for script in SCRIPTS:
        subprocess.run([sys.executable, str(Path(__file__).with_name(f"{script}.py")), *sys.argv[1:]], check=True)
