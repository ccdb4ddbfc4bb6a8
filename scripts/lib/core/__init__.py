"""What every room uses: the console, files, options, threads, positions on the Earth, compiled kernels."""
