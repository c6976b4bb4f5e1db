"""What happens to pictures after they were drawn."""

from fastsynth.effects.effect import Effect

__all__ = ["Effect"]
