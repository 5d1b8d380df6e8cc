"""Which library trained the weights of a file, by the names of its tensors, and the ε and padding that follow.

A file of another library does not say them, and logits are wrong by as much as two images differ where they are.
Architectures that were TensorFlow's first are trained in PyTorch with its own ε and padding by some, and ported by
others; all others have one style everywhere.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from compound.network import Network
from compound.zoo import ZOO

# Trained in PyTorch with its ε of 1e-5 and symmetric padding, although the network was first TensorFlow's.
PYTORCH_TRAINED = {
    "torchvision": re.compile(r"efficientnet_b[0-4]|mnasnet"),
    "timm": re.compile(r"efficientnet|mnasnet|semnasnet|mobilenetv3|tinynet|mixnet"),
}
VARIED = re.compile(
    r"efficientnet|mnasnet|mobilenet-v3|tinynet|mixnet"
)  # networks of the zoo that have more than one style
ONLY_TIMM = re.compile(r"mnasnet|tinynet")  # of these timm has no ported weights
IN_TORCHVISION = re.compile(r"efficientnet-b[0-7]|efficientnetv2-[sml]|mnasnet-b1|mobilenet-v3")

# What the zoo computes otherwise than timm, on purpose, by timm's name.
DIFFERS = {
    "nasnetalarge": "strided average pooling leaves padding out of the mean here, as in TensorFlow, where the weights "
    "are from; timm counts it, so logits differ from timm's by about 1 %",
}


def library_of(names: Iterable[str]) -> str:
    """torchvision, timm or EfficientNet-PyTorch (lukemelas) by the names of an EfficientNet's or MobileNet's tensors;
    empty where they are another's."""
    given = set(names)
    if any(name.endswith("_depthwise_conv.weight") for name in given):
        return "EfficientNet-PyTorch"
    if "conv_stem.weight" in given and any(name.startswith("blocks.0.0.") for name in given):
        return "timm"
    efficient = any(re.match(r"features\.1\.(0\.)?block\.0\.0\.", name) for name in given)
    return "torchvision" if efficient or "layers.0.weight" in given else ""


def styled(network: Network, arch: str, library: str) -> Network:
    """`network` with the ε and padding that the weights of this architecture were trained with."""
    if not PYTORCH_TRAINED[library].match(arch):
        return network
    return network.with_(style=replace(network.style, norm_eps=1e-5, padding="symmetric"))


def recognised(network: Network, names: Iterable[str]) -> tuple[Network, str]:
    """`network` with the style of weights whose tensors have these `names`, and what cannot be told, in words.

    A style of one's own, in a network file or by timm's prefix `tf-`, stays.
    """
    zoo = ZOO.get(network.name)
    if zoo is None or zoo.style != network.style or not VARIED.match(network.name):
        return network, ""
    library = library_of(names)
    arch = network.name.replace("-v3", "v3").replace("-", "_")  # as timm and torchvision write it
    if library == "EfficientNet-PyTorch":
        return network.with_(style=replace(network.style, norm_eps=1e-3, padding="same")), ""
    if library == "torchvision" and IN_TORCHVISION.match(network.name):
        return styled(network, arch, library), ""
    if library == "timm":
        network = styled(network, arch, library)
        if ONLY_TIMM.match(network.name):
            return network, ""
        return network, f"if timm calls them tf_…, name the network tf-{network.name}"
    return network, "write the style they were trained with into a network file"
