"""What comes when: curricula, balanced and corrected choices, rare cases with their weights.

Everything here is a distribution, to be given to a randomizer. `Nested` and `Stratified` are functions of the image's
index alone; `Ledger` remembers what was seen.
"""

from __future__ import annotations

from fastsynth.schedule.ledger import Ledger
from fastsynth.schedule.nested import Nested, Scheduled
from fastsynth.schedule.rare import Rare
from fastsynth.schedule.stratified import Stratified
from fastsynth.schedule.views import area_linear, icosphere, views

__all__ = [
    "Ledger",
    "Nested",
    "Rare",
    "Scheduled",
    "Stratified",
    "area_linear",
    "icosphere",
    "views",
]
