"""Imported first by processes of the command that begin with none of its modules: they spare what it spares."""

from compound.imports import spare_imports

spare_imports()
