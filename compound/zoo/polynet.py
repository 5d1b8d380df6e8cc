"""Very Deep PolyNet (Zhang et al. 2017, Section 4 and Fig. 6): the Inception-ResNet-v2 design, 10–20–10 units.

Stage A has 2-way units; stages B and C alternate poly-3 and 2-way. Widths and the order of branches are those of the
PyTorch port of the published Caffe model (Cadene/pretrained-models.pytorch). That port multiplies unit i of 40 by
1 − 0.3 · i / 39 at inference; we read this as the paper's stochastic paths, so here it is `survival`, which scales
while training and leaves inference alone.
"""

from compound.blocks import Branch, Inception, InceptionResidual, Style
from compound.network import Inputs, Network, Stage
from compound.zoo.inception import BARE, CARRIED, CONV, FLAT, TALL, once, reduction

A = (Branch(((1, 32), (3, 48), (3, 64))), Branch(((1, 32), (3, 32))), Branch(((1, 32),)))
B = (Branch(((1, 128), (FLAT, 160), (TALL, 192))), Branch(((1, 192),)))
C = (Branch(((1, 192), ((1, 3), 224), ((3, 1), 256))), Branch(((1, 192),)))
TWO_WAY, POLY_3 = (2, 1), (1, 3)

POLYNET = Network(
    name="polynet",
    stem=once(BARE, 32, 2),
    stages=(
        once(BARE, 32),
        once(CONV, 64),
        once(Inception((CARRIED, Branch(((3, 0),))), valid=True), 160, 2),
        once(Inception((
            Branch(((1, 64), (3, 96))),
            Branch(((1, 64), (TALL, 64), (FLAT, 64), (3, 0))),
        ), valid=True), 192),
        once(Inception((CARRIED, Branch(((3, 0),))), valid=True), 384, 2),
        #     operator                                                               layers  channels
        Stage(InceptionResidual(A, norm=True, units=(TWO_WAY,)),                     10,      384),
        once(reduction(Branch(((1, 256), (3, 256), (3, 384))), Branch(((3, 0),))),           1152, 2),
        Stage(InceptionResidual(B, norm=True, units=(POLY_3, TWO_WAY)),              10,     1152),
        once(reduction(
            Branch(((1, 256), (3, 256), (3, 256))),
            Branch(((1, 256), (3, 256))),
            Branch(((1, 256), (3, 0))),
        ),                                                                                   2048, 2),
        Stage(InceptionResidual(C, norm=True, units=(POLY_3, TWO_WAY)),              5,      2048),
    ),
    resolution=331,
    dropout=0.2,
    survival=0.7,
    style=Style(activation="relu", norm_decay=0.9, norm_eps=1e-5),
    inputs=Inputs(margin=47),  # 378 px cut to 331, as the port
)  # fmt: skip

NETWORKS = (POLYNET,)
