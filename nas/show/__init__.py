"""For eyes: tables, machine-readable text, and the display of a run."""
