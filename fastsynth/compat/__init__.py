"""Other libraries' interfaces on these operators: a script runs after one import is changed.

Written from their documentation. Visibility is that of :func:`fastsynth.ops.rasterize`; all else is differentiable
torch on gathered values, on the CPU and on CUDA, with no wait for the device and shapes that depend on no value.
"""
