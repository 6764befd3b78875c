"""What torch's kernels for the CPU allocate beside their results, and the operators that only the CPU has."""
