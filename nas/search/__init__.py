"""Choosing what to try: projection onto the budget, samplers, pruning, and the mirror into Optuna's tables."""
