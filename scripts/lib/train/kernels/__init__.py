"""What the trainer computes by kernels of its own: Adam on the CPU (numba), the fused step on a GPU (Triton)."""
