"""Audits: what a scene really draws, counted, and what about it is off."""

from __future__ import annotations

from fastsynth.audit.result import Audit, Finding, Histogram
from fastsynth.audit.run import audit

__all__ = ["Audit", "Finding", "Histogram", "audit"]
