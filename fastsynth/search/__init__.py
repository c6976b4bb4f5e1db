"""Search for the parameters of randomization: objectives, estimators of gradients, and drivers."""

from __future__ import annotations

from fastsynth.search.cross_entropy import Generation, cross_entropy_method
from fastsynth.search.estimators import enumerate_choice, score_function
from fastsynth.search.features import RandomFeatures
from fastsynth.search.history import History
from fastsynth.search.hypergradient import hypergradient
from fastsynth.search.identifiability import Identifiability, identifiability
from fastsynth.search.match import Match, picture
from fastsynth.search.minimize import minimize
from fastsynth.search.objectives import mmd, mmd_of_weights, sliced_wasserstein
from fastsynth.search.reweight import reweight
from fastsynth.search.study import Study
from fastsynth.search.widen import Boundary, widen

__all__ = [
    "Boundary",
    "Generation",
    "History",
    "Identifiability",
    "Match",
    "RandomFeatures",
    "Study",
    "cross_entropy_method",
    "enumerate_choice",
    "hypergradient",
    "identifiability",
    "minimize",
    "mmd",
    "mmd_of_weights",
    "picture",
    "reweight",
    "score_function",
    "sliced_wasserstein",
    "widen",
]
