"""What a dataset holds: statistics of its files, reports of them, and how two datasets differ."""
