"""Runs the compiled CUDA kernels on a machine without a GPU: a small interpreter of PTX, for the tests.

``parse`` reads what nvcc emitted, ``translate`` turns its basic blocks into numpy, ``machine`` runs blocks of
threads over them, ``memory`` watches every access, ``record`` has the library's own operators launch into it.
"""
