"""What a snapshot of CUDA memory shows of a failure, and what of it a traced step explains."""
