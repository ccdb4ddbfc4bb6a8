"""How CPU kernels are compiled, shared out to threads and vectorised. Needs numba."""
