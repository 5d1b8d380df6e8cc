"""Floor 8: pages and figures, from run directories only."""

from compound.report.run import write_run_report

__all__ = ["write_run_report"]
