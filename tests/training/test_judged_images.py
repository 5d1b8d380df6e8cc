"""No reported accuracy includes an image that was trained on, whatever came, went or was renamed since."""

import io
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from PIL import Image

import compound
import compound.inference
import compound.training.session
import compound.training.short
from compound import UsageError
from compound.data import DataSpec, open_data
from compound.data.identity import of_content, of_files
from compound.execution import Execution
from compound.nn import build, load_weights, save_weights
from compound.search.evaluators.shared import SharedWeights
from compound.search.evaluators.shared import _sources as shared_sources
from compound.search.supernet_file import seen_beside
from compound.studies.result import Variant
from compound.studies.training import WholeTraining
from compound.training import RECIPES, open_run, start_run, train
from compound.training.judging import AskedImages, data_of_run, images_to_judge, parts_as_in, unlearned
from compound.training.open import going_on
from compound.training.seen import all_learned, list_beside, read_seen, seen_in, write_seen
from compound.training.short import ShortTraining, opened
from compound.verbs.export import real_images
from compound.verbs.probe import apart_from
from tests.data.photos import drawn, write_pictures


def within(source) -> list[str]:
    return ["/".join(Path(source.path(i)).parts[-2:]) for i in range(len(source))]


@pytest.fixture
def photos(tmp_path) -> Path:
    return write_pictures(tmp_path / "photos", a=30, b=30)


@pytest.fixture
def recipe():
    return replace(RECIPES["small"], epochs=1, batch=16, precision="fp32")


@pytest.fixture
def run(photos, network, recipe, tmp_path):
    """A run of a network that was never trained, with the images it would have been trained on."""
    data = open_data(str(photos), channels=1)
    run = start_run(network, data, recipe, tmp_path / "run")
    save_weights(build(run.network, seed=1), run.weights, data.classes)
    return run.now("done")


def test_a_run_without_its_images_says_where_it_was_trained(run, photos) -> None:
    shutil.rmtree(photos)
    with pytest.raises(UsageError, match=r"run are not here: it was trained on .*photos; .* or name other images$"):
        images_to_judge(AskedImages(run.spec, ("a", "b")), run)
    with pytest.raises(UsageError, match="without labels, with --images DIR"):
        real_images(str(run.path), None, load_weights(run.weights)[1], every=False)


def five_that_sort_first(folder: Path) -> None:
    for number in range(30, 35):
        Image.fromarray(drawn(0, number)).save(folder / "a" / f"!{number}.png")


def one_renamed(folder: Path) -> None:
    (folder / "b" / "004.png").rename(folder / "a" / "004b.png")
    (folder / "a" / "004b.png").rename(folder / "b" / "zzz.png")


def all_renamed(folder: Path) -> None:
    for path in sorted(folder.glob("*/*.png")):
        path.rename(path.with_name(f"{crc32(path.name.encode()) % 97:02}-{path.name}"))


def some_gone(folder: Path) -> None:
    for number in range(0, 30, 4):
        (folder / "a" / f"{number:03}.png").unlink()


def all_written_again(folder: Path) -> None:
    for path in folder.glob("*/*.png"):
        Image.open(path).save(path.with_suffix(".png"), compress_level=1)


def copied(folder: Path) -> None:
    for path in sorted(folder.glob("*/*.png")):
        shutil.copy(path, path.with_name(f"copy of {path.name}"))


CHANGES: dict[str, Callable[[Path], None]] = {
    "as it was": lambda folder: None,
    "five that sort first": five_that_sort_first,
    "one renamed": one_renamed,
    "all renamed": all_renamed,
    "some gone": some_gone,
    "all written again": all_written_again,
    "copied": copied,
}


@pytest.fixture
def pixels() -> Callable[[str], bytes]:
    return lambda path: np.asarray(Image.open(path).convert("RGB")).tobytes()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_an_export_is_judged_and_calibrated_by_what_it_may(run, photos, pixels, change):
    """Of the images that an export is checked on, only labels of held-out ones count; it is calibrated on trained ones."""
    data = open_data(str(photos))
    trained, tested = ({pixels(path) for path in part.paths()} for part in (data.train, data.test))
    change(photos)
    _, described = load_weights(run.path)
    for every in (False, True):
        judged, calibration, labelled = real_images(str(run.path), None, described, every)
        shown = [pixels(judged.path(i)) for i in np.flatnonzero(judged.labels >= 0)]
        assert labelled
        assert shown
        assert not (trained | tested) & set(shown)
        assert not tested & {pixels(path) for path in calibration.paths()}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("named", [False, True], ids=["its own", "elsewhere"])
def test_no_image_that_was_trained_on_is_judged(run, photos, tmp_path, pixels, change, named):
    """Told by the pixels of every file, not by what the code under test calls an image."""
    data = open_data(str(photos))
    trained = {pixels(path) for part in (data.train, data.holdout) for path in part.paths()}
    tested = {pixels(path) for path in data.test.paths()}
    if named and change is all_written_again:
        pytest.skip("other bytes in another place are another image")
    place = Path(shutil.copytree(photos, tmp_path / "elsewhere")) if named else photos
    change(place)
    judged = images_to_judge(AskedImages(DataSpec(str(place), 1), data.classes, again=True), run)
    shown = [pixels(path) for path in judged.source.paths()]
    assert shown
    assert not trained & set(shown)
    assert tested & set(shown)
    if not named and change not in (some_gone, five_that_sort_first):
        assert sorted(shown) == sorted(tested)


def test_what_came_and_went_is_named(run, photos):
    data = open_data(str(photos))
    five_that_sort_first(photos)
    (photos / "a" / "002.png").unlink()
    (photos / "b" / "004.png").rename(photos / "b" / "zzz.png")
    Image.fromarray(drawn(2, 5)).save(photos / "a" / "006.png")
    judged = images_to_judge(AskedImages(DataSpec(str(photos), 1), data.classes), run)
    came = [name for name in within(judged.source) if name.startswith("a/!")]
    assert judged.own
    assert judged.said == (
        "the test images of the run's split; since the training 5 images (a/!30.png, a/!31.png, a/!32.png, …) came, "
        f"of which {len(came)} {'is' if len(came) == 1 else 'are'} judged; 1 image (a/002.png) went; "
        "1 image (b/004.png) has another name or place; 1 image (a/006.png) has other bytes"
    )


def test_a_set_named_for_evaluation_is_judged_whole(run, tmp_path):
    """All of it, only its test part where it has one, and some of the classes; an unknown one is named."""
    other = write_pictures(tmp_path / "other", first=100, b=7)
    asked = AskedImages(DataSpec(str(other), 1), ("a", "b"))
    judged = images_to_judge(asked, run)
    assert (len(judged.source), set(judged.source.labels.tolist()), judged.said) == (7, {1}, "all of it")
    for part, count in (("train", 6), ("test", 4)):
        write_pictures(tmp_path / "parts" / part, first=count * 50, a=count, b=count)
    judged = images_to_judge(replace(asked, spec=DataSpec(str(tmp_path / "parts"), 1)), run)
    assert (len(judged.source), judged.said) == (8, "its test part")
    shutil.rmtree(tmp_path / "parts" / "train")
    judged = images_to_judge(replace(asked, spec=DataSpec(str(tmp_path / "parts"), 1)), run)
    assert (len(judged.source), judged.said) == (8, "its test part")
    write_pictures(tmp_path / "other", first=100, b=0, boat=1)
    with pytest.raises(UsageError, match="other has boat, which the network does not know, of its 2 classes a, b"):
        images_to_judge(asked, run)


def test_test_parts_alone_in_every_form_are_judged_and_not_trained_on(run, tmp_path):
    pictures = np.stack([drawn(0, n) for n in range(100, 104)])
    np.savez(tmp_path / "t.npz", test_images=pictures, test_labels=[0, 1, 1, 0], classes=["a", "b"])
    folder = write_pictures(tmp_path / "t" / "test", first=100, a=2, b=2)
    rows = [f"{path},{path.parent.name},test" for path in sorted(folder.glob("*/*.png"))]
    (tmp_path / "t.csv").write_text("\n".join(["path,label,split", *rows]))
    for where in ("t.npz", "t", "t.csv"):
        spec = DataSpec(str(tmp_path / where))
        assert len(images_to_judge(AskedImages(spec, ("a", "b")), run).source) == 4
        with pytest.raises(UsageError, match=r"to train on|train_images|training images"):
            spec.open()


def test_the_run_s_images_named_again_are_judged_by_its_split(run, photos, tmp_path):
    """By any name: the folder, a link to it, its parent's view of it, a list of its files."""
    own = set(within(open_data(str(photos)).test))
    (tmp_path / "link").symlink_to(photos)
    rows = [f"{path},{path.parent.name}" for path in sorted(photos.glob("*/*.png"))]
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *rows]))
    for where in (photos, tmp_path / "link", tmp_path / "list.csv", f"{photos}/"):
        for parts in (False, True):
            judged = images_to_judge(AskedImages(DataSpec(str(where), 1), ("a", "b"), parts=parts), run)
            found = set(within(judged.source))
            assert found <= own
            assert parts or found == own
    assert judged.data.holdout.paths()


def test_calibration_uses_no_image_that_was_trained_on(run, photos, tmp_path, pixels):
    data = open_data(str(photos))
    trained = {pixels(path) for path in data.train.paths()}
    place = Path(shutil.copytree(photos, tmp_path / "elsewhere"))
    for where in (photos, place):
        five_that_sort_first(where)
        one_renamed(where)
        judged = images_to_judge(AskedImages(DataSpec(str(where), 1, seed=7), ("a", "b"), parts=True), run)
        for source in (judged.data.holdout, judged.source):
            assert not trained & {pixels(path) for path in source.paths()}


@pytest.fixture
def judged_by(monkeypatch) -> Iterator[dict[str, set[str]]]:
    """The pixels' paths that pass through loaders: those a training learns from, and those it is judged by."""
    found: dict[str, set[str]] = {"learned": set(), "judged": set()}

    def recording(make):
        def call(source, *arguments, **options):
            found["learned" if options.get("shuffle") else "judged"] |= set(source.paths())
            return make(source, *arguments, **options)

        return call

    for module in (compound.inference, compound.training.session):
        monkeypatch.setattr(module, "make_loader", recording(module.make_loader))
    return found


@pytest.mark.parametrize("change", [five_that_sort_first, all_renamed, copied], ids=lambda change: change.__name__)
def test_two_runs_are_compared_on_what_neither_was_trained_on(
    run, photos, network, recipe, tmp_path, pixels, judged_by, change
):
    """Through the verb, with runs that divide the same images differently."""
    data = open_data(str(photos), channels=1, seed=1)
    other = start_run(network, data, recipe, tmp_path / "other", seed=1)
    save_weights(build(other.network, seed=2), other.weights, data.classes)
    other.now("done")
    trained = {pixels(path) for each in (open_data(str(photos)), data) for path in each.train.paths()}
    change(photos)
    compound.compare(run.path, other.path, photos, execution=Execution("cpu", workers=0))
    assert judged_by["judged"]
    assert not trained & {pixels(path) for path in judged_by["judged"]}


@pytest.mark.parametrize("elsewhere", [False, True])
def test_an_evaluation_with_a_temperature_reads_no_image_that_was_trained_on(
    run, photos, tmp_path, pixels, judged_by, elsewhere
):
    """Through the verb, with all that it is judged by and calibrated on."""
    trained = {pixels(path) for path in open_data(str(photos)).train.paths()}
    place = Path(shutil.copytree(photos, tmp_path / "elsewhere")) if elsewhere else photos
    five_that_sort_first(place)
    one_renamed(place)
    asked = DataSpec(str(place), 1, seed=7)  # a seed that would draw other parts
    found = compound.evaluate(run.path, asked, calibrate=True, execution=Execution("cpu", workers=0))
    assert found.temperature
    assert 0 < found.result.images < len(judged_by["judged"])
    assert not trained & {pixels(path) for path in judged_by["judged"]}


@pytest.mark.long
def test_a_training_goes_on_with_the_images_it_began_with(run, photos, judged_by, pixels, capsys):
    before = {part: {pixels(path) for path in source.paths()} for part, source in parts(open_data(str(photos)))}
    run.now("training")
    all_renamed(photos)
    five_that_sort_first(photos)
    data = open_data(str(photos), channels=1)
    resumed = start_run(run.network, data, run.recipe, run.path, resume=True)
    resumed, result = train(resumed, data, quiet=True)
    assert {pixels(path) for path in judged_by["learned"]} == before["train"]
    assert {pixels(path) for path in judged_by["judged"]} == before["holdout"] | before["test"]
    assert result.images == len(before["test"])
    said = capsys.readouterr().err
    assert (
        "since the training 5 images (a/!30.png, a/!31.png, a/!32.png, …) came, which it does not use; 60 images"
        in said
    )


def parts(data):
    return [(part, getattr(data, part)) for part in ("train", "holdout", "test")]


def test_a_training_whose_images_went_does_not_go_on(run, photos):
    run.now("training")
    (photos / "a" / "002.png").unlink()
    Image.fromarray(drawn(2, 5)).save(photos / "a" / "006.png")
    data = open_data(str(photos), channels=1)
    said = r"run cannot go on: since the training 1 image \(a/002.png\) went; 1 image \(a/006.png\) has other bytes; restore"
    with pytest.raises(UsageError, match=said):
        start_run(run.network, data, run.recipe, run.path, resume=True)
    with pytest.raises(UsageError, match=said):
        train(open_run(run.path), data, quiet=True)


def test_shards_of_a_runs_images_are_judged_without_what_it_learned(run, photos, tmp_path):
    """They are told apart by name, and the images of the run by their content."""
    with tarfile.open(tmp_path / "same.tar", "w") as tar:
        for number, path in enumerate(sorted(photos.glob("*/*.png"))):
            for ending, data in (("png", path.read_bytes()), ("cls", path.parent.name.encode())):
                member = tarfile.TarInfo(f"{number:04}.{ending}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    spec = DataSpec(str(tmp_path / "same.tar"), 1, root=tmp_path / "kept")
    judged = images_to_judge(AskedImages(spec, ("a", "b")), run)
    assert len(judged.source) == len(run.spec.open().test)
    assert "trained on or held out" in judged.said


def test_large_members_of_shards_are_what_their_files_are(tmp_path):
    data = np.random.default_rng(0).bytes(100_000)
    (tmp_path / "large").write_bytes(data)
    assert of_files([str(tmp_path / "large")])[0] == of_content(data)


def test_arrays_of_images_that_a_run_knows_as_files_are_doubted(run, tmp_path):
    np.savez(tmp_path / "set.npz", images=np.zeros((4, 32, 32), np.uint8), labels=[0, 1, 0, 1], classes=["a", "b"])
    judged = images_to_judge(AskedImages(DataSpec(str(tmp_path / "set.npz")), ("a", "b")), run)
    assert judged.said.endswith("trained on cannot be told, for it knows its images by the content of their files")


def test_weights_that_left_their_run_bring_the_list_of_what_they_learned(run, photos, tmp_path):
    alone = tmp_path / "alone.safetensors"
    shutil.copy(run.weights, alone)
    asked = AskedImages(DataSpec(str(photos), 1), ("a", "b"))
    assert images_to_judge(asked, None, alone).said.endswith("is not known, as no run stands beside it")
    shutil.copy(run.images, list_beside(alone))
    data = open_data(str(photos), channels=1)
    assert within(images_to_judge(asked, None, alone).source) == sorted(within(data.test))
    write_seen(list_beside(alone), all_learned(seen_in(data), None))
    with pytest.raises(UsageError, match="trained on every image of photos"):
        images_to_judge(asked, None, alone)


def test_the_parts_of_a_run_are_kept_where_its_weights_are_trained_on(run, photos):
    """Another seed would test on four of five images that the weights have learned."""
    other = open_data(str(photos), channels=1, seed=5)
    learned = set(within(open_data(str(photos)).train))
    assert learned & set(within(other.test))
    data, said = parts_as_in([None, run.path], other)
    assert within(data.test) == within(open_data(str(photos)).test)
    assert said == [f"the parts are those of {run.path}, which trained on some of the images"]
    assert parts_as_in([run.weights], data) == (data, [])
    assert not learned & set(within(unlearned(run.path, other.train)))


def test_a_probe_is_judged_by_what_its_network_never_saw(run, photos):
    learned = set(within(open_data(str(photos)).train))
    for whole in (False, True):
        images, sources = apart_from(str(run.path), open_data(str(photos), channels=1, seed=5), whole)
        judged = sources if whole else sources[1:]
        assert not learned & {name for source in judged for name in within(source)}
        assert within(images.test) == within(open_data(str(photos)).test)
    assert sum(map(len, apart_from("b0.pth", images, whole=True)[1])) == 60


def test_shared_weights_are_judged_by_what_they_were_not_trained_on(run, photos, tmp_path):
    """A class loses the one image that was held out: another, which was trained on, would be held out instead."""
    spec = DataSpec(str(photos), 1, holdout=0.001)
    data = spec.open()
    write_seen(seen_beside(tmp_path / "shared.safetensors"), seen_in(data))
    learned = set(within(data.train))
    (photos / within(data.holdout)[0]).unlink()
    assert learned & set(within(spec.open().holdout))
    opened.cache_clear()
    training, held = shared_sources(SharedWeights(tmp_path / "shared.safetensors", spec))
    assert within(held) == within(data.holdout)[1:]
    assert set(within(training)) == learned


def test_a_list_of_images_is_read_as_it_was_written(run, photos):
    data = data_of_run(run)[0]
    written, read = seen_in(data), read_seen(run.images)
    assert (written.names, written.counts) == (read.names, read.counts)
    assert np.array_equal(written.identities, read.identities)
    assert read.counts == {"train": len(data.train), "holdout": len(data.holdout), "test": len(data.test)}
    run.images.write_text("part,identity,name\ntrain,xyz,a\n")
    with pytest.raises(UsageError, match=r"images.csv is damaged: .*; without it nobody knows what was trained on"):
        going_on(run, data)


def test_a_run_of_an_older_version_says_what_it_does_not_know(run, photos, tmp_path):
    run.images.unlink()
    place = Path(shutil.copytree(photos, tmp_path / "elsewhere"))
    judged = images_to_judge(AskedImages(DataSpec(str(place), 1), ("a", "b")), run)
    assert judged.said.endswith("trained on is not known, as it is a run of an older version")
    five_that_sort_first(photos)
    with pytest.raises(UsageError, match="does not know which of them it trained on; restore them, or name other data"):
        images_to_judge(AskedImages(DataSpec(str(photos), 1), ("a", "b")), run)


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_test_images_are_looked_at_once_whether_the_data_is_named_or_not(run, photos, tmp_path, named, elsewhere):
    place = Path(shutil.copytree(photos, tmp_path / "elsewhere")) if elsewhere else photos
    spec = DataSpec(str(place), 1) if named or elsewhere else run.spec
    run.evaluation.write_text('{"final": true, "top1": 0.5}')
    with pytest.raises(UsageError, match="was evaluated on its test images already"):
        images_to_judge(AskedImages(spec, ("a", "b")), run)
    assert len(images_to_judge(AskedImages(spec, ("a", "b"), again=True), run).source)
    run.evaluation.unlink()
    run.held_out.write_text("{}")
    with pytest.raises(UsageError, match="keeps its test images for the end"):
        images_to_judge(AskedImages(spec, ("a", "b")), run)


@pytest.fixture
def loaders(monkeypatch):
    """The pixels that every loader of a search or a study gives: what is learned from, and all else."""
    found: dict[str, set[str]] = {"learned": set(), "judged": set()}

    def recording(make):
        def call(source, *arguments, **options):
            names = {f"{path} {Path(path).stat().st_ino}" for path in source.paths()}
            found["learned" if options.get("shuffle") else "judged"] |= names
            return make(source, *arguments, **options)

        return call

    for module in (compound.inference, compound.training.session, compound.training.short):
        monkeypatch.setattr(module, "make_loader", recording(module.make_loader))
    return found


def test_a_search_judges_by_what_it_did_not_train_on(photos, network, recipe, loaders):
    one_renamed(photos)
    opened.cache_clear()
    evaluator = ShortTraining(DataSpec(str(photos), 1, holdout=0.2), recipe, Execution("cpu", workers=0))
    evaluator(network, 0, lambda epoch, accuracy: None)
    assert loaders["learned"]
    assert loaders["judged"]
    assert not loaders["learned"] & loaders["judged"]


def test_a_run_of_a_study_goes_on_with_its_own_images(photos, network, recipe, loaders, tmp_path):
    """Its worker died, a class lost the one image that was held out, and another worker goes on."""
    spec = DataSpec(str(photos), 1, holdout=0.001)
    training = WholeTraining(spec, recipe, tmp_path / "study", Execution("cpu", workers=0))
    variant = Variant("tiny", "baseline", "", "", 1.0, 1.0, 1.0, 12, 0, 0)
    opened.cache_clear()
    first = start_run(network, opened(spec), recipe, tmp_path / "study" / "tiny-seed-0").now("training")
    five_that_sort_first(photos)
    (photos / "b" / "004.png").rename(photos / "b" / "zzz.png")
    opened.cache_clear()
    done = training(variant, network, 0, lambda epoch, accuracy: None)
    assert not loaders["learned"] & loaders["judged"]
    assert (done.images, len(loaders["learned"])) == (read_seen(first.images).counts["test"], 50)
    first.now("training")
    data = opened(spec)
    Path(data.holdout.path(0)).unlink()
    opened.cache_clear()
    with pytest.raises(UsageError, match=r"cannot go on: since the training 5 images .* 1 image .* went"):
        training(variant, network, 0, lambda epoch, accuracy: None)
