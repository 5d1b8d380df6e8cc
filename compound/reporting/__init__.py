"""Pages and figures, from what runs, searches and studies left on disk."""

from compound.reporting.gather import read_report, write_report, write_run_report

__all__ = ["read_report", "write_report", "write_run_report"]
