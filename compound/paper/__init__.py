"""The paper's tables: what is printed beside what we count, and why the two part where they do."""

from compound.paper.tables import TABLES, Figure, PaperLine, PaperTable, table

__all__ = ["TABLES", "Figure", "PaperLine", "PaperTable", "table"]
