"""Starting from weights, as a user does it: probe, --inherit, --weights auto, and a hold-out that says nothing."""

import hashlib
import shutil

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from compound import Scaling, load_network, save_network, scale
from compound.data import open_data
from compound.evaluation.folds import read_folds
from compound.nn import build, load_weights, save_weights
from compound.training import open_run
from compound.training.probe import PENALTIES, fit_path

NETWORK = """
name: my-net
resolution: 14
stem: {block: conv, channels: 8, stride: 2}
stages:
- {block: fused-mbconv, kernel: 3, expand: 2, layers: 1, channels: 16, stride: 2}
- {block: mbconv, kernel: 3, expand: 2, layers: 2, channels: 16}
head: {channels: 32}
inputs: {mean: [0.3], std: [0.35], margin: 0}
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory, write_photos):
    return write_photos(tmp_path_factory.mktemp("photos"), 30)


@pytest.fixture(autouse=True)
def few_penalties(monkeypatch):
    """Every ninth: that all are tried is tests/training's."""
    monkeypatch.setattr(fit_path, "__defaults__", (PENALTIES[::9],))


@pytest.fixture
def weights(tmp_path):
    """A network that has learned nothing, and its file."""
    (tmp_path / "my.yaml").write_text(NETWORK)
    model = build(load_network(tmp_path / "my.yaml").with_(classes=3, channels=1), seed=1)
    return save_weights(model, tmp_path / "weights.safetensors", ("boot", "shirt", "trouser"))


@pytest.mark.slow
def test_a_probe_by_folds_by_shots_and_as_a_network(cli, weights, photos, tmp_path):
    folds = cli.json("probe", weights, photos, "--folds", 3, "--workers", 0)
    assert folds["images"] == 90
    assert folds["majority"] == pytest.approx(1 / 3)
    assert len(folds["accuracies"]) == 3
    assert folds["accuracy"] > 0.6  # even of random features
    assert folds["accuracy"] == pytest.approx(sum(folds["accuracies"]) / 3)
    kept = tmp_path / "said.npz"
    grouped = cli.json(
        "probe", weights, photos, "--folds", 3, "--group", r"([0-9])\.png", "--predictions", kept, "--workers", 0
    )
    table = read_folds(kept)
    assert grouped["accuracy"] == pytest.approx(sum(table.accuracies()) / 3)
    assert grouped["interval"] == list(table.interval())
    for digit in range(10):  # the images whose names end in it
        of = [i for i, name in enumerate(table.names) if name.endswith(f"{digit}.png")]
        assert len(set(table.fold[of].tolist())) == 1
    code, err = cli.error("probe", weights, photos, "--group", "x")
    assert (code, "--group belongs to --folds" in err) == (2, True)
    shots = cli.json("probe", weights, photos, "--shots", 5, "--draws", 2, "--workers", 0)
    assert len(set(shots["accuracies"])) > 1
    written = cli.json("probe", weights, photos, "--workers", 0, "-o", tmp_path / "probed.safetensors")
    code, err = cli.error("evaluate", written["out"], photos, "--workers", 0)  # its classifier has seen them all
    assert (code, "trained on every image of" in err) == (2, True)
    assert cli.json("probe", tmp_path / "my.yaml", photos, "--weights", "random", "--folds", 3)["weights"] == "random"
    code, err = cli.error("probe", weights, photos, "--folds", 3, "--shots", 5)
    assert (code, "--folds and --shots are two ways to measure" in err) == (2, True)


@pytest.mark.slow
def test_a_wider_network_starts_as_the_narrow_one_ended(cli, weights, photos, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("base: small\nbatch: 16\nepochs: 12\nrate: 0.2\nprecision: fp32\nwarmup_epochs: 0\n")
    common = ("--channels", 1, "--workers", 0, "--recipe", recipe)
    small = cli.json("train", tmp_path / "my.yaml", photos, *common, "-o", tmp_path / "small")
    save_network(scale(load_network(tmp_path / "my.yaml"), Scaling(1, 2, 1)), tmp_path / "wide.yaml")
    still = ("--epochs", 1, "--rate", 1e-9, "--norm", "eval", "--inherit", tmp_path / "small")
    wide = cli.json("train", tmp_path / "wide.yaml", photos, *common, *still, "-o", tmp_path / "wide")
    assert wide["params"] > 2 * small["params"]
    assert wide["top1"] == small["top1"] > 0.5
    assert wide["loss"] == pytest.approx(small["loss"], abs=1e-3)
    code, err = cli.error("train", tmp_path / "wide.yaml", photos, *common, *still, "--weights", weights)
    assert (code, "--weights and --inherit both say what to start from" in err) == (2, True)


@pytest.mark.slow
def test_weights_meet_a_budget_by_resolution_and_where_that_cannot_by_inheriting(cli, weights, photos, tmp_path):
    """Resolution changes no weight; parameters do not depend on it, so there the channels with the largest filters
    stay. A file of another library needs the name of its network."""
    whole, _ = load_weights(weights)
    theirs = tmp_path / "theirs.pth"
    torch.save(whole.state_dict(), theirs)
    still = ("--epochs", 1, "--rate", 1e-9, "--norm", "frozen", "--workers", 0, "--batch", 16, "--channels", 1)
    foreign = ("--weights", theirs, "--baseline", tmp_path / "my.yaml")
    smaller = cli.json("fit", photos, *foreign, *still, "--macs", "50k", "-o", tmp_path / "smaller")
    run = open_run(tmp_path / "smaller")
    assert run.network.stages == whole.network.stages
    assert run.network.resolution < whole.network.resolution
    assert smaller["macs"] <= 50e3
    kept, _ = load_weights(run.path)
    assert torch.allclose(kept.stem[0].weight, whole.stem[0].weight, atol=1e-6)
    narrow = cli.json("fit", photos, *foreign, *still, "--params", "4k", "-o", tmp_path / "narrow")
    assert narrow["params"] <= 4e3
    again = cli.json("repeat", tmp_path / "narrow")  # the file knows nothing of its network, but the run does
    assert again["report"] == f"{tmp_path / 'narrow-again'}/report.html"
    first, second = (load_file(f"{folder}/model.safetensors") for folder in (tmp_path / "narrow", again["out"]))
    assert all(torch.equal(first[name], second[name]) for name in first)
    theirs.write_bytes(theirs.read_bytes() + b"\0")
    code, err = cli.error("repeat", tmp_path / "narrow")
    assert (code, "theirs.pth is not what" in err, "started from (SHA-256" in err) == (2, True, True)
    cut, _ = load_weights(tmp_path / "narrow")
    rows = {tuple(row.flatten().tolist()) for row in whole.stem[0].weight.detach().round(decimals=4)}
    assert {tuple(row.flatten().tolist()) for row in cut.stem[0].weight.detach().round(decimals=4)} <= rows
    code, err = cli.error("fit", photos, "--weights", tmp_path / "theirs.pth", "--macs", "80k")
    assert (code, "theirs.pth does not say which network it belongs to; name it: --baseline" in err) == (2, True)


@pytest.mark.long
def test_auto_takes_the_published_weights_of_the_network(cli, photos, tmp_path, monkeypatch):
    from torchvision.models import squeezenet1_1

    peer = squeezenet1_1()
    torch.save(peer.state_dict(), tmp_path / "peer.pth")
    digest = hashlib.sha256((tmp_path / "peer.pth").read_bytes()).hexdigest()
    cached = tmp_path / f"squeezenet1_1-{digest[:8]}.pth"
    monkeypatch.setattr("compound.nn.fetching.cached", lambda url: cached)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    words = ("train", "squeezenet-1.1", photos, "--weights", "auto", "--resolution", 32, "--train", "head")
    words = (*words, "--epochs", 1, "--batch", 16, "--workers", 0, "-o", tmp_path / "run")
    code, err = cli.error(*words)
    assert code != 0
    assert "of squeezenet-1.1 none can be had here; torchvision/squeezenet1_1.IMAGENET1K_V1 would be taken" in err
    shutil.copy(tmp_path / "peer.pth", cached)
    cli.json(*words)
    state = load_weights(tmp_path / "run")[0].state_dict()
    assert torch.equal(next(iter(state.values())), peer.features[0].weight)
    recipe = open_run(tmp_path / "run").recipe
    assert (recipe.name, recipe.transfer.train, recipe.transfer.probe_first) == ("transfer", "head", True)


def test_a_temperature_at_its_bound_is_said(cli, weights, photos, tmp_path):
    model, _ = load_weights(weights)
    with torch.no_grad():  # the same sharp answer for every image: the best temperature is without end
        for parameter in model.classifier.parameters():
            parameter.zero_()
        model.classifier.linear.bias.copy_(torch.tensor([0.0, 900.0, 0.0]))
    save_weights(model, tmp_path / "sure.safetensors", ("boot", "shirt", "trouser"))
    code, _, err = cli("evaluate", tmp_path / "sure.safetensors", photos, "--calibrate", "--workers", 0)
    assert code == 0
    assert "warning: temperature 20 is the highest that is tried" in err


@pytest.mark.slow
def test_source_images_count_as_the_target_would_draw_them(cli, photos, tmp_path):
    """Domain-adaptive transfer (Ngiam et al. 2018): the target is shirts and boots, and the source learns those."""
    (tmp_path / "my.yaml").write_text(NETWORK)
    target = tmp_path / "target"
    for label, name in ((0, "tops"), (9, "shoes")):
        (target / name).mkdir(parents=True)
        train = open_data("fashion6k").train
        for index in (train.labels == label).nonzero()[0][40:60]:
            Image.fromarray(train.load(int(index))[0].numpy()).save(target / name / f"{index}.png")
    common = (photos, "--channels", 1, "--workers", 0, "--batch", 16)
    source = (tmp_path / "my.yaml", *common)
    cli.json("train", *source, "--rate", 0.2, "--epochs", 12, "-o", tmp_path / "source")
    words = ("--weights", tmp_path / "source", "--class-weights", f"target:{target}", "--epochs", 1)
    cli.json("train", *source, *words, "-o", tmp_path / "adapted")
    boot, shirt, trouser = open_run(tmp_path / "adapted").recipe.class_weights
    assert trouser < min(boot, shirt) / 2
    # Equally many of each class in the source: the weights are three times the mean probabilities of the target.
    from compound.evaluation import evaluate

    model, described = load_weights(tmp_path / "source")
    seen = evaluate(model, open_data(str(target), channels=1).train, described.classes).probabilities.mean(0)
    assert (boot, shirt, trouser) == pytest.approx((3 * seen).tolist(), rel=1e-4)
    tuned = cli.json(
        "train", tmp_path / "my.yaml", target, *common[1:], "--weights", tmp_path / "adapted", "--epochs", 1,
        "-o", tmp_path / "tuned",
    )  # fmt: skip
    assert tuned["top1"] > 0.6
    code, err = cli.error("train", *source, *words[2:], "-o", tmp_path / "other")
    assert (code, "needs --weights that know the classes of photos" in err) == (2, True)
