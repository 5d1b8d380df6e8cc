"""The options of every verb that trains, each said once, and what such a verb does with them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from compound.cli.options import renamed, with_options
from compound.cli.options.execution import DamagedLimit, Device, Workers
from compound.errors import UsageError
from compound.mapping import from_mapping, to_mapping
from compound.notes import note
from compound.quantity import interval, quantity

if TYPE_CHECKING:
    from compound.data import DataSet, DataSpec
    from compound.data.folds import Folds
    from compound.execution import Execution
    from compound.network import Network
    from compound.training import Recipe, Setup

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA", help="fashion6k, a folder of class folders, a CSV, an .npz, tar shards, or e.g. cifar10."
    ),
]
RecipeName = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        help="paper, modern, transfer, kornblith, small, few, fast, progressive, or a file; default small, of few "
        "images few, with --weights transfer.",
    ),
]
BatchSize = Annotated[
    str | None,
    typer.Option(
        "--batch", "--batch-size", help="Images per step, instead of the recipe's; auto: the largest worth its size."
    ),
]
Rate = Annotated[
    str | None,
    typer.Option(
        "--rate", "--lr", help="Peak learning rate per 256 images, instead of the recipe's; auto: by a sweep."
    ),
]
ImageChannels = Annotated[
    int | None, typer.Option("--channels", help="1 or 3, in an .npz any number; default what the images have.")
]
Devices = Annotated[
    list[str],
    typer.Option(help="Where to train (auto, cpu, cuda, …), and a device's table FILE.json for latency; repeatable."),
]
ANYWHERE: list[str] = ["auto"]  # the usual devices; Typer takes lists and no tuples
Group = Annotated[
    str | None,
    typer.Option(
        help="What --folds must not divide: a column of a CSV, or a regular expression such as '(patient[0-9]+)_'."
    ),
]
Root = Annotated[Path | None, typer.Option(help="Where torchvision's data sets lie.")]
Download = Annotated[bool, typer.Option("--download", help="Let torchvision fetch the data set.")]


def folds_of(count: int | None, group: str | None, predictions: Path | None = None) -> "Folds | None":
    """What the options of folds ask for."""
    from compound.data.folds import Folds

    if count is None:
        for option, value in {"--group": group, "--predictions": predictions}.items():
            if value is not None:
                raise UsageError(f"{option} belongs to --folds; add e.g. --folds 5")
        return None
    return Folds(count, group, predictions)


def which_devices(given: Sequence[str]) -> tuple[str, tuple[Path, ...]]:
    """Where to train, and the tables that latency is predicted with, which are JSON files."""
    tables = tuple(Path(one) for one in given if one.endswith(".json"))
    places = [one for one in given if not one.endswith(".json")]
    if len(places) > 1:
        raise UsageError(f"--device {' '.join(places)}: give one device to train on")
    return places[0] if places else "auto", tables


def one_table(tables: Sequence[Path]) -> Path | None:
    """Of a verb whose networks run on one device."""
    if len(tables) > 1:
        raise UsageError(
            f"--device {' '.join(map(str, tables))}: give one table at the most; plan and fit take several"
        )
    return tables[0] if tables else None


@dataclass(frozen=True)
class TrainingOptions:
    """How to train; a verb with a parameter of this type has all of these as options (see `with_training`)."""

    recipe: RecipeName = None
    out: Annotated[Path | None, typer.Option("-o", "--out", help="The run directory; default runs/NETWORK-DATA.")] = (
        None
    )
    epochs: Annotated[int | None, typer.Option(help="Epochs, instead of the recipe's.")] = None
    minutes: Annotated[float | None, typer.Option(help="As many epochs as fit, by a short measurement.")] = None
    batch: BatchSize = None
    rate: Rate = None
    weight_decay: Annotated[float | None, typer.Option(min=0, help="Weight decay, instead of the recipe's.")] = None
    accumulate: Annotated[
        int | None, typer.Option(help="Gradient accumulation: parts of a step's images; norms see one at a time.")
    ] = None
    training_memory: Annotated[
        str | None, typer.Option(help="Bytes a step may take, e.g. 8G, by activation checkpointing and accumulation.")
    ] = None
    memory: Annotated[str | None, typer.Option("--memory", hidden=True)] = None  # the old name of --training-memory
    compile: Annotated[
        Literal["auto", "never", "always", "graphs"] | None,
        typer.Option(
            help="Compile steps; default never; auto: where it pays back within the run; graphs: as CUDA graphs."
        ),
    ] = None
    precision: Annotated[
        Literal["auto", "fp32", "bf16"] | None,
        typer.Option(
            help="What steps compute in (mixed precision); default auto: bf16 where it is clearly faster here."
        ),
    ] = None
    teacher: Annotated[
        str | None, typer.Option(help="Knowledge distillation: a run or .safetensors file whose answers are learned.")
    ] = None
    elastic: Annotated[
        str | None,
        typer.Option(help="Train smaller sizes with the network, e.g. φ=-2..0; export --phi or --macs cuts them out."),
    ] = None
    integers: Annotated[
        bool, typer.Option("--integers", help="Each step computes as export --int8 will: quantisation-aware training.")
    ] = False
    patience: Annotated[int | None, typer.Option(help="Early stopping: epochs without a better holdout.")] = None
    holdout: Annotated[
        float | None, typer.Option(help="Images held out of training to choose by: a share, or from 1 on a number.")
    ] = None
    final: Annotated[
        bool | None,
        typer.Option(
            "--final/--no-final",
            help="The epoch that is best on the held-out images, once on the test images; or not yet on these.",
        ),
    ] = None
    channels: ImageChannels = None
    weights: Annotated[
        str | None,
        typer.Option(
            help="Start from a run, a file, a published name (torchvision/resnet50, timm/resnet50.a1_in1k), or auto."
        ),
    ] = None
    inherit: Annotated[
        str | None, typer.Option(help="Start from a run (or weights) of the network this one was scaled from.")
    ] = None
    train: Annotated[str | None, typer.Option(help="What learns, the rest is frozen: all, head, or last:K stages.")] = (
        None
    )
    norm: Annotated[str | None, typer.Option(help="Batch norm in what learns: train, eval or frozen.")] = None
    depth_decay: Annotated[
        float | None,
        typer.Option(help="Layer-wise decay: each part's learning rate as a share of that of the part above it."),
    ] = None
    unfreeze: Annotated[
        float | None,
        typer.Option(help="Gradual unfreezing: epochs after which each next part joins in, from the head down."),
    ] = None
    probe_first: Annotated[
        bool,
        typer.Option(
            "--probe-first", help="Linear probing: start from the best linear classifier on the frozen features."
        ),
    ] = False
    class_weights: Annotated[
        str | None,
        typer.Option(
            help="Class imbalance: weights in the loss: balanced, a JSON file of shares, or target:DATA by --weights."
        ),
    ] = None
    folds: Annotated[
        int | None, typer.Option(min=2, help="Also cross-validate: so many trainings, each judged by its own fold.")
    ] = None
    group: Group = None
    relabel: Annotated[
        Path | None, typer.Option(help="A CSV of images and the labels they shall have, as compound data audit writes.")
    ] = None
    drop: Annotated[Path | None, typer.Option(help="A CSV of images to leave out of training.")] = None
    log: Annotated[
        list[str],
        typer.Option(help="Also tell mlflow or wandb, repeatable; tensorboard is always told, within the run."),
    ] = ()  # type: ignore[assignment]  # Typer knows lists alone, and a dataclass takes none
    seed: Annotated[int, typer.Option(help="Seed of weights, order and augmentation.")] = 0
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Say what it will take (epochs, time, memory), and stop.")
    ] = False
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False
    save_every: Annotated[
        str, typer.Option(help="Save within epochs too: a time such as 10m or 30s, or a number of steps.")
    ] = "10m"
    on_nan: Annotated[
        Literal["stop", "retry", "go-on"],
        typer.Option(
            help="When loss or gradients are NaN or infinite, or the loss explodes: stop; go back and halve the rate; "
            "or warn and go on while they are finite."
        ),
    ] = "stop"
    sync_norm: Annotated[
        bool, typer.Option("--sync-norm", help="Batch norm over the images of all processes (GPUs).")
    ] = False
    shard: Annotated[
        bool, typer.Option("--shard", help="Divide weights and what goes with them among the processes (FSDP).")
    ] = False
    pipeline: Annotated[
        bool,
        typer.Option(
            "--pipeline", help="Give each process consecutive blocks (GPipe); steps go through in --accumulate parts."
        ),
    ] = False
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="On a GPU: only algorithms that give the same bits every time.")
    ] = False
    workers: Workers = None
    device: Device = "auto"
    damaged_limit: DamagedLimit = 0.01
    root: Root = None
    download: Download = False

    def spec(self, where: str, most: int | None = None) -> "DataSpec":
        """The question that opens the data set of `where`, divided and converted as the options have it.

        Where they say nothing of a holdout, it is the usual share, and `most` images at most.
        """
        from compound.data import DataSpec
        from compound.data.spec import HELD

        held = HELD if self.holdout is None else self.holdout
        return DataSpec(
            where, self.channels, held, self.seed, self.root, self.download, relabel=self.relabel, drop=self.drop,
            most=most if self.holdout is None else None,
        )  # fmt: skip

    def execution(self) -> "Execution":
        from compound.execution import Execution

        return Execution(
            self.device, self.workers, damaged_limit=self.damaged_limit, shard=self.shard, sync_norm=self.sync_norm,
            deterministic=self.deterministic, pipeline=self.pipeline,
        )  # fmt: skip

    def opened(self, where: str, network: "Network | None" = None) -> "tuple[DataSet, Recipe]":
        """The data set of `where`, and the recipe to train by; a fault that no image is needed for is said first."""
        from compound.training.recipes import MINIVAL, usual_recipe
        from compound.verbs.early import refuse_early
        from compound.verbs.train import find_data

        recipe = self.find_recipe()
        refuse_early(self.setup(progress=False), recipe, self.out, network)
        images = find_data(self.spec(where, MINIVAL.get(recipe.name)))
        usual = usual_recipe(bool(self.weights), images, self.rate is not None)
        if self.recipe is None and usual != usual_recipe(bool(self.weights), images):
            note("--rate is taken for a rate of SGD: recipe small, not few as for few images; --recipe names another")
        if self.recipe is None and usual != recipe.name:
            memory = self.training_memory or self.memory
            recipe = replace(self, recipe=usual, memory=None, training_memory=memory).find_recipe()
        return images, recipe

    def find_recipe(self) -> "Recipe":
        """A preset or a YAML file, with the options on top."""
        from compound.training import find_recipe
        from compound.training.recipes import usual_recipe

        recipe = find_recipe(self.recipe or usual_recipe(bool(self.weights)))
        given: dict[str, Any] = {
            name: getattr(self, name)
            for name in (
                "epochs",
                "minutes",
                "weight_decay",
                "accumulate",
                "compile",
                "precision",
                "teacher",
                "patience",
            )
            if getattr(self, name) is not None
        }
        transfer = {name: getattr(self, name) for name in ("train", "norm", "depth_decay", "unfreeze")}
        transfer["probe_first"] = self.probe_first or None
        changed = to_mapping(recipe.transfer) | {name: value for name, value in transfer.items() if value is not None}
        given["transfer"] = from_mapping(type(recipe.transfer), changed, "transfer")
        find: set[Any] = set(recipe.find)
        for name, kind in (("batch", int), ("rate", float)):
            value = getattr(self, name)
            if value is not None:
                find = find | {name} if value == "auto" else find - {name}
                given |= {} if value == "auto" else {name: _number(value, name, kind)}
        if self.integers:
            given["integers"] = True
        if self.elastic is not None:
            given["elastic"] = smallest_phi(self.elastic)
        if self.final is not None:
            given["select"] = "best"
        memory = renamed("--memory", "--training-memory", self.memory, self.training_memory)
        if memory is not None:
            given["training_memory"] = quantity(memory, "--training-memory")
        return replace(recipe, find=tuple(sorted(find)), **given)

    def setup(self, progress: bool) -> "Setup":
        """All of it that is neither network, data nor recipe."""
        from compound.training import Safeguards, Setup, Start

        safeguards = Safeguards(interval(self.save_every, "--save-every"), self.on_nan)
        return Setup(
            Start(self.weights, self.inherit), self.execution(), safeguards, self.class_weights, self.seed, self.final,
            self.resume, progress, tuple(self.log),
        )  # fmt: skip


with_training = with_options(TrainingOptions)


def smallest_phi(text: str) -> float:
    """The φ below 0 of `φ=-2..0`, `-2..0` or `-2`."""
    low, dots, high = text.strip().removeprefix("φ=").removeprefix("phi=").partition("..")
    try:
        if (float(high) if dots else 0.0) == 0 and math.isfinite(float(low)):
            return float(low)
    except ValueError:
        pass
    raise UsageError(f"--elastic {text!r} is no range of φ that ends at 0, the network itself; use e.g. φ=-2..0")


def _number(value: str, name: str, kind: type[int] | type[float]) -> float:
    try:
        return kind(value)
    except ValueError:
        example = "64" if kind is int else "0.1"
        raise UsageError(f"--{name} {value!r} is neither a number nor auto; use e.g. {example}") from None
