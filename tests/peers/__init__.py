"""Other renderers, driven with the same scenes."""
