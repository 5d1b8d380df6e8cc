"""Strategies as Optuna samplers: random search, regularised evolution, an RNN controller trained by PPO."""
