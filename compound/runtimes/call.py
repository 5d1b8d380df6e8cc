"""How one call of a network is computed, said once: `measure`, device tables and `doctor` ask for it."""

from dataclasses import dataclass

import torch

from compound.bounds import check_call

PROCESSOR = torch.device("cpu")


@dataclass(frozen=True)
class Call:
    """`batch` images at once, on `device`, by so many `threads` of the processor.

    Raises `UsageError` for numbers that are out of range.
    """

    batch: int = 1
    threads: int = 1
    device: torch.device = PROCESSOR

    def __post_init__(self) -> None:
        check_call(self.batch, self.threads)
