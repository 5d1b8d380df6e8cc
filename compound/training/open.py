"""The run directory of a training: a fresh one, or the one to go on with."""

from dataclasses import replace
from pathlib import Path

from compound.data import DataSet
from compound.data.readable import refuse_unreadable
from compound.errors import UsageError
from compound.execution import Execution
from compound.files import make_folder
from compound.network import Network
from compound.notation import load_network, save_network
from compound.notes import note
from compound.parallel import World, from_first, is_first, join
from compound.training.changes import described, differences
from compound.training.memory import Crew
from compound.training.pace import settle
from compound.training.pipelined import in_parts, pipeline_split
from compound.training.recipe import Recipe
from compound.training.run import Run, data_fields, open_run, resume_command
from compound.training.seen import read_seen, recalled, seen_in, write_seen
from compound.training.teacher import find_teacher


def start_run(
    network: Network,
    data: DataSet,
    recipe: Recipe,
    out: str | Path,
    execution: Execution = Execution(),
    *,
    seed: int = 0,
    resume: bool = False,
) -> Run:
    """A fresh run directory, or the one to go on with.

    An existing run is never overwritten: without `resume` it is refused, with it network, data, recipe and seed must be
    the same. What the recipe leaves to the machine is settled once, when the run is fresh (see `settle`); a network
    that the execution divides among the processes needs less memory.
    """
    world = join(execution.where)
    if execution.shard:
        refuse_undivided(recipe, world)
    if execution.pipeline:
        recipe = in_parts(recipe, world.size)
        pipeline_split(network, recipe, world)

    def begin() -> Run:
        refuse_single(recipe, data)
        whole = replace(recipe, batch=min(recipe.batch, len(data.train)))
        asked = Run(Path(out), network.for_data(data), whole, data_fields(data), seed)
        existing = open_run(out) if (asked.path / "run.yaml").exists() else None
        if existing is None or existing.state == "created":  # never trained a step: nothing to lose
            if resume and existing is None:
                raise UsageError(f"{out} holds no run to resume; leave --resume out to start one")
            if existing is None and not is_free(asked.path, asked.network):
                raise UsageError(f"{out} exists and is not an empty folder; choose another --out")
            return fresh(asked, data, execution, Crew(world.size, execution.shard))
        if not resume:
            raise UsageError(f"{out} already holds a run; go on with: {resume_command(out)}; or choose another --out")
        data_now = going_on(existing, data)
        refuse_changes(existing, replace(asked, data=data_fields(data_now)), data_now)
        refuse_unreadable(data_now, execution.damaged_limit)
        return existing

    return from_first(begin)


def fresh(asked: Run, data: DataSet, execution: Execution, crew: Crew) -> Run:
    """The run as asked, with all settled that its recipe leaves to the machine, saved."""
    refuse_unreadable(data, execution.damaged_limit)
    find_teacher(asked.recipe, data)  # one that cannot be used is said before anything is written
    make_folder(asked.path)  # before the measurement: an unwritable place is said at once
    run = replace(asked, recipe=settle(asked.network, data, asked.recipe, execution, crew))
    if is_first():
        save_network(run.network, run.folder / "network.yaml")  # first: by it a start that was killed is known
        write_seen(run.images, seen_in(data))
    return run.save()


def going_on(run: Run, data: DataSet, say: bool = False) -> DataSet:
    """`data` as `run` began with it: its images in their parts and order, and no other.

    Raises `UsageError` where some went or are no more what they were; `say` tells of other changes.
    """
    if data.asked and data.asked.by != run.spec.by:  # an older run's parts were drawn otherwise
        data = replace(data.asked, by=run.spec.by).open()
    seen = read_seen(run.images)
    if seen is None:
        return data
    data, changes = recalled(seen, data)
    if changes.went or changes.edited:
        raise UsageError(f"{run.path} cannot go on: {changes}; restore them, or choose another --out")
    if say and str(changes) and is_first():
        note(f"{run.path}: {changes}")
    return data


def refuse_changes(existing: Run, asked: Run, data: DataSet) -> None:
    """Raise `UsageError` where a run is to go on with other settings than it was started with."""
    if "split_by" not in existing.data:  # of an older version
        asked = replace(asked, data=asked.data | {"fingerprint": data.fingerprint_of_labels()})
    recipe = replace(asked.recipe, **{name: getattr(existing.recipe, name) for name in asked.recipe.settled})
    if recipe.find == () and recipe.minutes is None:  # what was measured then may be written out now
        recipe = replace(recipe, find=existing.recipe.find, minutes=existing.recipe.minutes)
    then = existing.data | existing.spec.to_mapping()  # an older version's file says less
    if "split_seed" not in existing.data:  # the labels of its parts tell
        then["split_seed"] = asked.data["split_seed"]
    changed = differences(
        described(existing.network, then, existing.recipe, existing.seed),
        described(asked.network, asked.data, recipe, asked.seed),
    )
    if changed:
        raise UsageError(
            f"{asked.path} was started with other settings (then → now): {'; '.join(changed)}; "
            "resume with the same, or choose another --out"
        )


def refuse_single(recipe: Recipe, data: DataSet) -> None:
    """What makes no sense where an image has several labels."""
    if data.several and recipe.loss != "bce":
        raise UsageError(
            f"{data.name} has several labels an image, and recipe {recipe.name} one; write loss: bce in it"
        )
    for field in ("teacher", "class_weights"):
        if data.several and getattr(recipe, field):
            raise UsageError(f"{data.name} has several labels an image, and {field} is made for one; leave it out")


def refuse_undivided(recipe: Recipe, world: World) -> None:
    """What a network divided among processes cannot do."""
    if world.size == 1:
        raise UsageError("--shard divides a network among processes, and here is one; start several with torchrun")
    if recipe.compile in ("always", "graphs"):
        raise UsageError(f"--shard does not go with compile {recipe.compile}; leave one of them out")
    if recipe.transfer.unfreeze:
        raise UsageError("--shard does not go with --unfreeze: what learns is settled when weights are divided")


def refuse_taken(out: Path, resume: bool) -> None:
    """Raise `UsageError` where `out` cannot become a run, or holds none to `resume`; what is in it is not read."""
    held = (out / "run.yaml").is_file()
    if resume and not held:
        raise UsageError(f"{out} holds no run to resume; leave --resume out to start one")
    if resume or not is_taken(out):
        return
    if held:
        raise UsageError(f"{out} already holds a run; go on with: {resume_command(out)}; or choose another --out")
    raise UsageError(f"{out} exists and is not an empty folder; choose another --out")


def is_taken(out: Path) -> bool:
    """Whether a run that has trained, or anything that is no run, is at `out`."""
    file = out / "run.yaml"
    if file.is_file():
        try:
            return open_run(out).state != "created"
        except UsageError:  # a damaged one is not overwritten either
            return True
    return out.exists() and not is_free(out)


def is_free(out: Path, network: Network | None = None) -> bool:
    """Whether nothing is at `out` but an empty folder, or one whose start, with `network`, was killed half-way."""
    if not out.is_dir():
        return not out.exists()
    names = {path.name for path in out.iterdir() if not path.match(".*.tmp")}
    begun = "network.yaml" in names and names <= {"network.yaml", "images.csv"}
    return not names or (begun and network in (None, load_network(out / "network.yaml")))
