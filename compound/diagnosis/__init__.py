"""What this machine is and can do, and how well it computes the layers of a network."""

from compound.diagnosis.machine import Machine, look

__all__ = ["Machine", "look"]
