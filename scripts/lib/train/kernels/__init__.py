"""What the trainer computes by kernels of its own: Adam on the CPU, the fused step on a GPU."""
