"""Pieces of a graph in words, for those that no block is."""

from compound.nn.reading.graph import NO_PADS, Node, TraceGraph

LONGEST = 400  # characters


def arrangement(graph: TraceGraph, start: int, end: int) -> str:
    """What leads from one value to another: `conv 3×3 to 8, norm, sum of (conv 1×1 to 8) and (itself)`."""
    forks = {start: start}
    for value in range(start + 1, end + 1):
        forks[value] = fork(forks, graph.nodes[value - 1].inputs, start)
    text = chain(graph, forks, start, end, {})
    return text if len(text) <= LONGEST else f"{text[:LONGEST].rpartition(' ')[0]} …"


def fork(forks: dict[int, int], inputs: tuple[int, ...], start: int) -> int:
    """The last value that everything passes which leads to all of `inputs`."""
    ends = [max(i, start) for i in inputs]
    while len(set(ends)) > 1:
        ends[ends.index(max(ends))] = forks[max(ends)]
    return ends[0]


def chain(graph: TraceGraph, forks: dict[int, int], start: int, end: int, known: dict[tuple[int, int], str]) -> str:
    """What leads from `start` to `end`, no longer than is shown: branches of branches would be told over and over."""
    if (start, end) in known:
        return known[start, end]
    words: list[str] = []
    value = end
    while value > start:
        node = graph.nodes[value - 1]
        if len(node.inputs) == 1:
            words.append(said(node))
            value = max(node.inputs[0], start)
            continue
        branches = [f"({chain(graph, forks, forks[value], max(i, start), known)})" for i in node.inputs]
        kind = {"add": "sum", "multiply": "product"}.get(node.kind, node.kind)
        words.append(f"{kind} of {' and '.join(branches)}")
        value = forks[value]
    known[start, end] = (", ".join(reversed(words)) or "itself")[: LONGEST + 1]
    return known[start, end]


def said(node: Node) -> str:
    """A node in words: `conv 3×3 to 64 in 32 groups`."""
    if node.kind == "conv":
        channels, (rows, columns), stride, groups, bias, pads, dilation, standardise = node.facts
        words = [f"conv {rows}×{columns} to {channels}", f"/{stride[0]}" if stride != (1, 1) else ""]
        words += [f"in {groups} groups" if groups > 1 else "", "with bias" if bias else ""]
        words += [f"dilated by {dilation[0]}" if dilation != (1, 1) else ""]
        words += ["of standardised weights" if standardise is not None else ""]
        words += ["unpadded" if pads == NO_PADS and rows > 1 else ""]
        return " ".join(filter(None, words))
    if node.kind == "pool":
        kind, (rows, columns), stride, *_ = node.facts
        return f"{kind} pool {rows}×{columns}" + (f" /{stride[0]}" if stride != (1, 1) else "")
    if node.kind == "linear":
        return f"linear to {node.facts[1]}"
    if node.kind == "slice":
        return "channels {}–{}".format(*node.facts)
    return f"act {node.facts[0]}" if node.kind == "act" else node.kind.replace("_", " ")
