"""Trained networks behind HTTP, for programs and for people."""

from compound.serve.app import make_app
from compound.serve.batching import Batcher, Busy
from compound.serve.limits import Limits
from compound.serve.models import Loaded, ServedModel, load
from compound.serve.server import Address, check_address, serve
from compound.serve.watching import Watcher

__all__ = [
    "Address",
    "Batcher",
    "Busy",
    "Limits",
    "Loaded",
    "ServedModel",
    "Watcher",
    "check_address",
    "load",
    "make_app",
    "serve",
]
