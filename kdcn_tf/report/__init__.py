"""The report of a comparison: runs in, numbers with intervals, a page to read. It trains nothing."""
