"""Searches over networks, as one Optuna study that any number of processes share."""
