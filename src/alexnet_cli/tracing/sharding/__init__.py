"""One rank of a parallel run, by torch's own engines over a process group that sends nothing."""
