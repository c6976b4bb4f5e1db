"""What became of each file that was loaded."""

from __future__ import annotations

from dataclasses import dataclass, field


class AssetError(ValueError):
    """A file, or all of them, cannot be used; the message says why."""


@dataclass
class FileReport:
    """One file: what was repaired, or why it was left out."""

    path: str
    error: str | None = None
    repairs: list[str] = field(default_factory=list)

    @property
    def status(self) -> str:
        """One of ok, repaired and failed."""
        return "failed" if self.error else "repaired" if self.repairs else "ok"

    def repair(self, message: str) -> None:
        """Notes a repair once."""
        if message not in self.repairs:
            self.repairs.append(message)


@dataclass
class LoadReport:
    """All files of one call; printing it gives a line for each that is not simply fine."""

    files: list[FileReport] = field(default_factory=list)

    def by_status(self, status: str) -> list[FileReport]:
        """The files that are "ok", "repaired" or "failed"."""
        return [file for file in self.files if file.status == status]

    def __str__(self) -> str:
        counts = ", ".join(f"{len(self.by_status(status))} {status}" for status in ("ok", "repaired", "failed"))
        lines = [f"{len(self.files)} files: {counts}"]
        for file in self.files:
            lines += [f"  {file.path}: {message}" for message in ([file.error] if file.error else file.repairs)]
        return "\n".join(lines)
