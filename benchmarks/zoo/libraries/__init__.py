"""The architectures of each library, as `ARCHITECTURES`."""
