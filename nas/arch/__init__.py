"""One candidate in plain Python: its description, its cost, and what a training gave."""
