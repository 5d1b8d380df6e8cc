"""Faults on purpose: kills, damaged checkpoints, full disks, mutated images. `python -m benchmarks.faults`."""
