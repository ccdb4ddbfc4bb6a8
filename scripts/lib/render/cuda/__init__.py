"""CUDA C++ kernels: compiled where they run, kept on disk, launched on torch's stream."""
