"""Trials that any number of processes share: a problem, a strategy, a budget, and a study that survives its workers."""
