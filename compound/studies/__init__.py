"""Studies of scaling, several networks trained with several seeds, and what their results say."""

from compound.studies.result import SeedRun, Study, Variant, read_study, write_study

__all__ = ["SeedRun", "Study", "Variant", "read_study", "write_study"]
