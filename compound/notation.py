"""A network as YAML: one line a stage, a round trip exact.

    name: my-net
    resolution: 32
    stem: {block: conv, kernel: 3, channels: 16}
    stages:
    - {block: mbconv, kernel: 3, expand: 1, layers: 1, channels: 16}
    - {block: mbconv, kernel: 5, expand: 6, layers: 2, channels: 24, stride: 2}
    head: {channels: 320}

Fields left out have the defaults of `Network`, `Stage` and the block.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, field, fields, make_dataclass
from pathlib import Path
from typing import Any

from compound.blocks import Block, Style, all_blocks, block_name
from compound.bounds import bound
from compound.documents import damage, damaged, parse_yaml, read_yaml
from compound.errors import NetworkError
from compound.files import write_text
from compound.head import Head
from compound.mapping import LONGEST, check_names, from_mapping, nearest, plain_value, shown, to_mapping
from compound.network import Inputs, Network, Stage

STAGE_FIELDS = ("layers", "channels", "stride", "fixed")
PARTS = {"head": Head, "style": Style, "inputs": Inputs}
# The fields of a network that are single values, checked by type on their own.
PlainFields = make_dataclass(
    "PlainFields",
    [
        (f.name, f.type, f.default if f.default is not MISSING else field())
        for f in fields(Network)
        if f.name not in ("stem", "stages", *PARTS)
    ],
)


def dump_network(network: Network) -> str:
    """The network as YAML text."""
    plain: dict[str, Any] = {"name": network.name, "resolution": network.resolution}
    lines = [f"{name}: {_flow(value)}\n" for name, value in plain.items()]
    lines.append(f"stem: {_flow(row_mapping(network.stem))}\n")
    lines.append("stages:\n")
    lines += [f"- {_flow(row_mapping(stage))}\n" for stage in network.stages]
    for name, value in to_mapping(network).items():
        if name not in ("name", "resolution", "stem", "stages"):
            lines.append(f"{name}: {_flow(value)}\n")
    return "".join(lines)


def dump_architecture(network: Network) -> str:
    """The network as YAML text but for classes and channels, which its data says: what runs and searches compare."""
    usual = {f.name: f.default for f in fields(Network) if f.name in ("classes", "channels")}
    return dump_network(network.with_(**usual))


def load_run_network(folder: str | Path) -> Network:
    """The network in a run's or a search's folder; where run.yaml says classes and channels of the data, for those."""
    folder = Path(folder)
    network, file = load_network(folder / "network.yaml"), folder / "run.yaml"
    if not file.is_file():
        return network
    remedy = "check the path, or copy the folder again"
    given = read_yaml(file, remedy, error=NetworkError)
    with damaged(file, remedy, error=NetworkError):
        classes, channels = len(given["data"]["classes"]), int(given["data"]["channels"])
    try:
        return network.with_(classes=classes, channels=channels)
    except NetworkError as error:
        raise type(error)(f"{file}: {error}") from None


class Unsaid(NetworkError):
    """A weights file that is whole and says nothing of itself: another library's."""


def load_weights_network(path: str | Path) -> Network:
    """The network that a weights file says it holds, for its classes and channels; no weight is read.

    A safetensors file begins with the length of its header, 8 bytes, and the header, JSON with what the file says of
    itself under `__metadata__`. Raises `NetworkError` where the file is damaged, `Unsaid` for
    another library's.
    """
    remedy = "save or copy it again"
    try:
        with Path(path).open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > bound("COMPOUND_MAX_JSON"):
                raise damage(path, "its header is too long", remedy, "weights file", NetworkError)
            header = file.read(length)
    except OSError as wrong:
        raise NetworkError(f"cannot read {path}: {wrong.strerror}; check the path") from None
    try:
        said = json.loads(header)["__metadata__"]
        text, classes = said["network"], len(json.loads(said["classes"]))
        channels = int(json.loads(said["preprocessing"])["channels"])
    except (ValueError, KeyError, TypeError, RecursionError) as wrong:
        reason, kind = (
            "does not say which network it belongs to",
            Unsaid if isinstance(wrong, KeyError) else NetworkError,
        )
        raise kind(f"{path} {reason}; name the network, or give a file that compound saved") from None
    return parse_network(text, f"{path} (network)").with_(classes=classes, channels=channels)


def save_network(network: Network, path: str | Path) -> Path:
    return write_text(path, dump_network(network))


def load_network(path: str | Path) -> Network:
    """Read a network file; errors name the file."""
    return _network(read_yaml(path, "check the path", "network file", NetworkError), str(path))


def parse_network(text: str, where: str = "network") -> Network:
    """A network from YAML text; `where` begins every error."""
    return _network(parse_yaml(text, where, NetworkError), where)


def _network(given: Any, where: str) -> Network:
    if not isinstance(given, Mapping):
        raise NetworkError(f"{where}: not a network; write fields such as name, resolution, stem, stages, head")
    return network_of(given, where)


def network_of(given: Mapping[str, Any], where: str = "network") -> Network:
    """A network from the plain values that YAML holds; `where` begins every error."""
    check_names(given, [f.name for f in fields(Network)], where, NetworkError)
    if not isinstance(given.get("stages"), list) or not given["stages"]:
        row = "{block: mbconv, layers: 1, channels: 16}"
        raise NetworkError(f"{where}: stages is missing or empty; list at least one, e.g. - {row}")
    if "stem" not in given:
        raise NetworkError(f"{where}: stem is missing; write e.g. stem: {{block: conv, channels: 32, stride: 2}}")
    rest = {name: value for name, value in given.items() if name not in ("stem", "stages", *PARTS)}
    rest.setdefault("name", Path(where).stem[:LONGEST])
    plain: Any = from_mapping(PlainFields, rest, where, NetworkError)
    if len(plain.name) > LONGEST:
        raise NetworkError(f"{where}: name {shown(plain.name)} is longer than {LONGEST} characters; shorten it")
    parts: dict[str, Any] = {
        name: from_mapping(cls, given[name], f"{where}: {name}", NetworkError)
        for name, cls in PARTS.items()
        if name in given
    }
    stem = _stage(given["stem"], f"{where}: stem", layers=1)
    stages = tuple(_stage(row, f"{where}: stage {i}") for i, row in enumerate(given["stages"], 1))
    try:
        return Network(stem=stem, stages=stages, **vars(plain), **parts)
    except NetworkError as error:
        raise type(error)(f"{where}: {error}") from None


def block_class(name: str, where: str) -> type[Block]:
    """The block class of that name, a user's own included once its class is defined."""
    classes = {block_name(cls): cls for cls in all_blocks()}
    wanted = str(name).lower().replace("_", "-")
    if wanted not in classes:
        hint = nearest(wanted, classes, "blocks")
        raise NetworkError(f"{where}: there is no block {shown(name)}; {hint}")
    return classes[wanted]


def _stage(given: Any, where: str, **defaults: int) -> Stage:
    if not isinstance(given, Mapping) or "block" not in given:
        raise NetworkError(f"{where}: no block is named; write e.g. {{block: mbconv, layers: 1, channels: 16}}")
    cls = block_class(given["block"], where)
    own = [f.name for f in fields(cls)]
    check_names(given, ["block", *STAGE_FIELDS, *own], where, NetworkError)
    block = from_mapping(cls, {n: v for n, v in given.items() if n in own}, where, NetworkError)
    rest = {name: value for name, value in given.items() if name in STAGE_FIELDS}
    return from_mapping(Stage, {"block": block, **defaults, **rest}, where, NetworkError)


def row_mapping(stage: Stage) -> dict[str, Any]:
    """A row as the plain values that a network file has for it, with every field."""
    block = {name: plain_value(value) for name, value in vars(stage.block).items()}
    rows = {"layers": stage.layers, "channels": stage.channels, "stride": stage.stride}
    fixed = {"fixed": list(stage.fixed)} if stage.fixed else {}
    return {"block": block_name(type(stage.block)), **block, **rows, **fixed}


def _flow(value: Any) -> str:
    import yaml  # only reading or writing a file needs it

    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True)
    return text.removesuffix("...\n").strip()
