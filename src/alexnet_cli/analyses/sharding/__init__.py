"""What one rank of a parallel run holds, what it sends, and the least time that its step takes."""
