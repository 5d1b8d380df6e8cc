"""How accurate a network is, or seems: evaluators for every amount of patience."""
