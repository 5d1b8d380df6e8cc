"""Progressive training: images grow, and with them what keeps the network from learning them by heart.

Tan & Le 2021 (EfficientNetV2), Section 4.2 and Algorithm 1: of M stages of equal length, stage i has images of
S_0 + (S_e − S_0) · i / (M − 1) px, and every regularisation likewise, from φ_0 to φ_e (Table 6: RandAugment's
magnitude, mixup and dropout). The network, its optimiser and its rate go on through all stages.
"""

import numpy as np

from compound.data.chance import Purpose, uniforms
from compound.training.recipe import Recipe, Timeline


def grown_at(recipe: Recipe, step: int, steps_per_epoch: int, timeline: Timeline, seed: int) -> float:
    """How far the stage of a step, counted from 0, has grown: i / (M − 1), 0 to 1; 1 where nothing grows."""
    if recipe.grow_from == 1:
        return 1.0
    if recipe.grow_order == "random":
        there = float(uniforms(seed, 0, np.array([step]), Purpose.SIZE)[0, 0])
    else:
        there = 1 - timeline.left(step / steps_per_epoch)
    return min(int(there * recipe.grow_stages) / (recipe.grow_stages - 1), 1.0)


def between(start: float, grown: float) -> float:
    """The share of a quantity that begins with the share `start` of it."""
    return start + (1 - start) * grown
