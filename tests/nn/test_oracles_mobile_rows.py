"""timm as oracle of MixNet, FBNet-C, HardCoRe-NAS and GhostNet: parameters and logits."""

import pytest
from test_oracles import same_logits

from compound import ZOO

pytestmark = pytest.mark.oracle

TIMM = {
    **{f"mixnet-{size}": f"mixnet_{size}" for size in ("s", "m", "l", "xl")},
    **{f"tf-mixnet-{size}": f"tf_mixnet_{size}" for size in "sml"},
    **{f"hardcorenas-{letter}": f"hardcorenas_{letter}" for letter in "abcdef"},
    "fbnet-c": "fbnetc_100",
    "ghostnet-x0.5": "ghostnet_050",
    "ghostnet": "ghostnet_100",
    "ghostnet-x1.3": "ghostnet_130",
}


@pytest.mark.parametrize("name", TIMM)
def test_logits(name):
    same_logits(name, pytest.importorskip("timm").create_model(TIMM[name]))
    assert ZOO[TIMM[name]].stages == ZOO[name].stages
