"""What others import and no verb uses, left out where a process is the command's own.

`import torchvision` brings torch's compiler for one flag of `roi_align`; `import torchmetrics` brings SciPy's signals
and Matplotlib's pyplot for metrics of sound and for drawings; Lightning's summary of a model brings Triton; and the
first optimiser brings the compiler again, to tell it to keep out. Together they take as long as torch itself. While the
importing modules are read, empty modules stand in for these; afterwards whoever imports them gets the real ones. And
where no compiler is loaded, nothing has to be kept from it.
"""

import sys
from collections.abc import Callable, Sequence
from functools import update_wrapper
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"
LEFT_OUT = {
    "torchvision": (COMPILER, f"{COMPILER}.utils"),
    "torchvision.tv_tensors": (COMPILER, f"{COMPILER}.utils"),
    "lightning_fabric": (COMPILER, f"{COMPILER}.utils"),
    "pytorch_lightning": (COMPILER, f"{COMPILER}.utils"),
    "pytorch_lightning.utilities.model_summary.model_summary": ("torch.utils.flop_counter",),
    "torchmetrics": (
        *("scipy", "scipy.signal", "scipy.signal.windows", "scipy.optimize"),
        *("matplotlib", "matplotlib.axes", "matplotlib.colors", "matplotlib.pyplot"),
    ),
}


class _Anything(type):
    """Has every attribute, itself."""

    def __getattr__(cls, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return cls


class Nothing(metaclass=_Anything):
    """Stands for a class in an annotation and for a decorator that changes nothing."""

    def __init__(self, *_: object) -> None:
        pass

    def __call__(self, decorated: object) -> object:
        return decorated


def _unchanged(function: object, *_: object, **__: object) -> object:
    return function


class _StandIn(ModuleType):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__ = []
        self.__spec__ = ModuleSpec(name, None)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "disable":  # the compiler's decorator for what it must not see
            return _unchanged
        return sys.modules.get(f"{self.__name__}.{name}", Nothing)


def _no_compiler() -> bool:
    return isinstance(sys.modules.get(COMPILER), _StandIn | None)


def _kept_from_the_compiler(compiling: ModuleType) -> None:
    """In `torch._compile`: what the compiler must not see is called as it is where there is no compiler."""
    keep_out = compiling._disable_dynamo

    def disable(function: Callable[..., Any] | None = None, recursive: bool = True) -> Any:
        if function is None:
            return lambda later: disable(later, recursive)
        kept = keep_out(function, recursive)

        def call(*arguments: Any, **named: Any) -> Any:
            return (function if _no_compiler() else kept)(*arguments, **named)

        return update_wrapper(call, function)

    compiling._disable_dynamo = disable  # type: ignore[attr-defined]  # a module is a namespace


def _step_in_one_piece(optimizers: ModuleType) -> None:
    """In `torch.optim.optimizer`: a step asks a compiler to begin and end there, and needs none for that."""
    import torch

    in_pieces = optimizers._use_grad_for_differentiable

    def decorate(step: Callable[..., Any]) -> Callable[..., Any]:
        compiled = in_pieces(step)

        def call(self: Any, *arguments: Any, **named: Any) -> Any:
            if not _no_compiler():
                return compiled(self, *arguments, **named)
            with torch.set_grad_enabled(self.defaults["differentiable"]):
                return step(self, *arguments, **named)

        return update_wrapper(call, step)

    optimizers._use_grad_for_differentiable = decorate  # type: ignore[attr-defined]  # a module is a namespace


CHANGED = {"torch._compile": _kept_from_the_compiler, "torch.optim.optimizer": _step_in_one_piece}


def left_out_of(name: str) -> list[str]:
    """What the module `name` is read without: nothing of a package that somebody has imported already."""
    names = [each for each in LEFT_OUT.get(name, ()) if each not in sys.modules]
    packages = {each.partition(".")[0] for each in LEFT_OUT.get(name, ())} - {"torch"}
    loaded = {package for package in packages if package in sys.modules}
    return [each for each in names if each.partition(".")[0] not in loaded]


class _Sparing(Loader):
    """Runs a module while stand-ins take the place of what it is to do without, and changes what has no such place."""

    def __init__(self, name: str, loader: Loader) -> None:
        self.name, self.loader = name, loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        stand_ins = {name: _StandIn(name) for name in left_out_of(self.name)}
        sys.modules.update(stand_ins)
        try:
            self.loader.exec_module(module)
        finally:
            for name in stand_ins:
                del sys.modules[name]
        if change := CHANGED.get(self.name):
            change(module)


class _Finder(MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in LEFT_OUT and name not in CHANGED:
            return None
        sys.meta_path.remove(self)
        try:
            spec = find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        if spec and spec.loader:
            spec.loader = _Sparing(name, spec.loader)
        return spec


def spare_imports() -> None:
    """From now on torch, torchvision, torchmetrics and Lightning are imported without `LEFT_OUT`."""
    if not are_spared():
        sys.meta_path.insert(0, _Finder())


def are_spared() -> bool:
    return any(isinstance(finder, _Finder) for finder in sys.meta_path)
