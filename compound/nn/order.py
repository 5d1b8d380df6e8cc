"""The order of definition of state dicts whose names were sorted by alphabet, as safetensors files have them.

Weights are aligned by order (see `foreign.py`), so the order is restored from the names. Names of one parent that are
alike but for a number count by it: `blocks.2` before `blocks.10`. All others must be in a line below, and in one order.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from torch import Tensor

# A line lists the children of one parent in the order they are made, or run where that differs. `?` behind a word: it
# may be missing; `#` is any number and `*` any word, one or several in the order of their numbers.
LINES = """
conv_stem bn1 blocks conv_head? bn2? classifier             | timm: EfficientNet and all MobileNets
conv_stem bn1 blocks conv_head norm_head classifier         | timm: MobileNetV4
primary_conv cheap_operation                                | timm: GhostNet
ghost1 conv_dw? bn_dw? se? ghost2 shortcut?
dw_start? pw_exp dw_mid? pw_proj
conv_dw bn1 se? conv_pw bn2
conv_pw bn1 conv_dw bn2 se? conv_pwl bn3
conv_exp bn1 se? conv_pwl bn2
conv bn
conv bn1
conv_reduce conv_expand
conv1 bn1 maxpool? layer# fc                                         | torchvision, timm: ResNet
conv1 bn1 conv2 bn2 se? downsample?
conv1 bn1 conv2 bn2 conv3 bn3 se? downsample?
stem stages final_conv head                                 | timm: NFNet
downsample? conv1 conv2 conv2b conv3 attn_last
features pre_logits head                                    | timm: VGG
features classifier
features last_linear
layers classifier                                           | torchvision: MnasNet
stem stages norm_pre? head                                  | timm: ConvNeXt
downsample? blocks
identity? conv_kxk conv_1x1 attn?                           | timm: RepVGG
identity? conv_kxk conv_scale? attn?                        | timm: MobileOne
conv_dw norm mlp
fc1 grn? fc2
norm fc
patch_embed stages conv_head classifier                     | timm: FasterNet, which makes them in another order
proj norm
reduction norm
spatial_mixing mlp
pre_block spatial_downsample channel_downsample ffn         | timm: RepViT
token_mixer se? channel_mixer
stem features head                                          | timm: ReXNet
conv_exp? conv_dw se? conv_pwl
fc1 bn fc2
stem stages norm head                                       | timm: StarNet
dwconv f1 f2 g dwconv2
conv conv1 bn
c bn
bn l
stem s# head                                                | timm: RegNet
conv1 conv2 se? conv3 downsample?
stem trunk_output fc                                        | torchvision: RegNet
proj f
a b se? c
conv0 norm0 denseblock1 transition1 denseblock2 transition2 denseblock3 transition3 denseblock4 norm5 | DenseNet
norm1 conv1 norm2 conv2
norm conv
squeeze expand1x1 expand3x3                                 | torchvision: SqueezeNet
conv1 stage# conv5 fc                                       | torchvision: ShuffleNet
conv1 conv2 conv3 inception3* inception4* inception5* fc    | torchvision: GoogLeNet
Conv2d_* Mixed_* fc                                         | Inception v3
branch1x1 branch5x5_* branch3x3dbl_* branch_pool
branch3x3 branch3x3dbl_*
branch3x3_* branch7x7x3_*
branch1x1 branch7x7_* branch7x7dbl_* branch_pool
branch1x1 branch3x3_* branch3x3dbl_* branch_pool
conv2d_1a conv2d_2a conv2d_2b conv2d_3b conv2d_4a mixed_5b repeat mixed_6a repeat_1 \
mixed_7a repeat_2 block8 conv2d_7b classif                  | Inception-ResNet v2
branch# conv2d?
branch0 branch1_* branch2_* branch3                         | Inception v4
conv1 bn1 conv2 bn2 block# conv3 bn3 conv4 bn4 fc           | timm: Xception
skip? skipbn? rep
conv1 pointwise
conv0 cell_stem_# cell_0 cell_1 cell_2 cell_3 cell_4 cell_5 reduction_cell_0 cell_6 cell_7 \
cell_8 cell_9 cell_10 cell_11 reduction_cell_1 cell_12 cell_13 cell_14 cell_15 cell_16 cell_17 last_linear
conv_0 cell_stem_# cell_# last_linear                       | timm: PNASNet
conv_prev_1x1? conv_1x1 path_1? path_2? final_path_bn? comb_iter_*
path_1 path_2 final_path_bn
separable_1 bn_sep_1 separable_2 bn_sep_2
depthwise_conv2d pointwise_conv2d
_conv_stem _bn0 _blocks _conv_head _bn1 _fc                 | EfficientNet-PyTorch
_expand_conv? _bn0? _depthwise_conv _bn1 _se_reduce? _se_expand? _project_conv _bn2
"""


class UnknownOrder(ValueError):
    """Names whose order of definition is not known; the message lists them."""


def defined_order(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`state` in the order of definition. Raises `UnknownOrder` where the names do not decide it."""
    children: dict[str, dict[str, None]] = {}
    for key in state:
        path = key.split(".")[:-1]
        for depth, child in enumerate(path):
            children.setdefault(".".join(path[:depth]), {})[child] = None
    places = {parent: ranks(tuple(names)) for parent, names in children.items()}

    def place(key: str) -> list[int]:
        path = key.split(".")[:-1]
        return [places[".".join(path[:depth])][child] for depth, child in enumerate(path)]

    return {key: state[key] for key in sorted(state, key=place)}


@lru_cache(maxsize=256)
def ranks(names: tuple[str, ...]) -> Mapping[str, int]:
    """The place of each of `names`, the children of one parent."""
    if len({re.sub(r"\d+", "#", name) for name in names}) == 1:
        return {name: place for place, name in enumerate(sorted(names, key=numbers))}
    orders = {tuple(order) for line in _patterns() if (order := _ordered(names, line))}
    if len(orders) != 1:
        raise UnknownOrder(", ".join(sorted(names, key=numbers)[:8]))
    return {name: place for place, name in enumerate(orders.pop())}


def _ordered(names: tuple[str, ...], line: list[tuple[re.Pattern[str], bool]]) -> list[str]:
    """`names` in the order of `line`; empty where one is not in it, or a word that is needed is missing."""
    found = {name: next((i for i, (one, _) in enumerate(line) if one.fullmatch(name)), -1) for name in names}
    if -1 in found.values() or any(needed and i not in found.values() for i, (_, needed) in enumerate(line)):
        return []
    return sorted(names, key=lambda name: (found[name], numbers(name)))


def numbers(name: str) -> list[tuple[int, str]]:
    """A key under which `b2` comes before `b10`."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


@lru_cache
def _patterns() -> list[list[tuple[re.Pattern[str], bool]]]:
    """Each line's words as patterns, and whether they are needed."""
    lines = [line.partition("|")[0].split() for line in LINES.strip().splitlines()]
    return [
        [(re.compile(w.rstrip("?").replace("#", r"\d+").replace("*", r"\w+")), not w.endswith("?")) for w in line]
        for line in lines
    ]
