import errno
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.errors import StepError, UserError
from data import synthetic
from data.images import ImageSet
from data.stream import Stream
from models.registry import find_model
from models.state import read_state, write_state
from models.weights import Weights, find_weights
from tests.colours import COLOURS, write_photos
from tests.conftest import assert_refused
from tests.splits import write_split
from training import adapt
from training.backbone import load_backbone, recalibrate
from training.classifier_head import Fit, lift, open_head, require_finite, written_logits
from training.ridge import Classifier

SPEC = find_model("SqueezeNet1_1")


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos") / "colours", per_class=20)


class TestClasses:
    def images(self, counts, names=None) -> ImageSet:
        labels = [label for label, count in enumerate(counts) for _ in range(count)]
        return ImageSet("set", [Path("x.png")] * len(labels), labels, names)

    def test_counts_them(self):
        assert adapt.check_classes(self.images([10, 8, 2])) == 3

    @pytest.mark.parametrize(
        ("counts", "names", "words"),
        [
            ([30], None, "one class only"),
            ([30, 0, 20], None, r"1 of 3 classes .*: 1 \(0\)"),
            ([30, 20], ["cat", "dog", "eel"], r"eel \(0\)"),
            ([30, 1], ["cat", "dog"], r"dog \(1\)"),
            ([9, 9], None, "18 photos, at least 20"),
        ],
    )
    def test_refuses_too_little(self, counts, names, words):
        with pytest.raises(UserError, match=words):
            adapt.check_classes(self.images(counts, names))


class TestClaim:
    @pytest.fixture
    def out(self, tmp_path) -> Path:
        return tmp_path / "new" / "net.pdparams"

    def leave(self, out: Path, origin: dict) -> None:
        from common import files

        write_state(out, {"a.weight": np.zeros((2, 2), np.float32)})
        files.write_json(out.with_name("net.json"), {"origin": origin, "sha256": files.sha256(out)})
        out.with_name("net.classes.txt").write_text("cat\ndog\n")
        write_split(out, [])

    def test_a_free_name_is_taken_and_its_folder_made(self, out):
        assert adapt.claim(out, {"seed": 0}) is None
        assert out.parent.is_dir()

    def test_its_own_work_of_the_same_inputs_is_there_already(self, out):
        self.leave(out, {"seed": 0})
        assert adapt.claim(out, {"seed": 0})["origin"] == {"seed": 0}

    @pytest.mark.parametrize("name", ["net.pdparams", "net.classes.txt", "net.split.json"])
    def test_its_own_work_is_made_again_where_a_part_of_it_is_missing(self, out, name):
        self.leave(out, {"seed": 0})
        out.with_name(name).unlink()
        assert adapt.claim(out, {"seed": 0}) is None

    def test_its_own_work_with_other_code_is_made_again(self, out):
        self.leave(out, {"seed": 0, "code": "old"})
        assert adapt.claim(out, {"seed": 0, "code": "new"}) is None
        write_state(out, {"a.weight": np.ones((2, 2), np.float32)})  # now the user's
        with pytest.raises(UserError, match="there already"):
            adapt.claim(out, {"seed": 0, "code": "new"})

    def test_other_inputs_are_refused(self, out):
        self.leave(out, {"seed": 0})
        with pytest.raises(UserError, match="there already"):
            adapt.claim(out, {"seed": 1})

    def test_a_file_changed_since_is_refused(self, out):
        self.leave(out, {"seed": 0})
        write_state(out, {"a.weight": np.ones((2, 2), np.float32)})
        with pytest.raises(UserError, match="there already"):
            adapt.claim(out, {"seed": 0})

    @pytest.mark.parametrize(
        "name", ["net.pdparams", "net.json", "net.classes.txt", "net.split.json"]
    )
    def test_nothing_of_the_users_is_overwritten(self, out, name):
        out.parent.mkdir()
        out.with_name(name).write_text("mine")
        with pytest.raises(UserError, match=name):
            adapt.claim(out, {"seed": 0})

    def test_another_suffix_is_refused(self, tmp_path):
        with pytest.raises(UserError, match=r"pdparams or \.safetensors"):
            adapt.claim(tmp_path / "net.onnx", {})

    def test_a_file_in_the_way_of_the_folder_is_named(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(UserError, match="not a folder"):
            adapt.claim(tmp_path / "file" / "net.pdparams", {})


class TestSqueezeNet:
    """Its classifier is a convolution whose outputs are cut at zero before they are averaged."""

    @pytest.fixture(scope="class")
    def made(self, photos):
        network = load_backbone(SPEC, find_weights(SPEC, "random"), 3)
        stream = Stream(ImageSet.open(photos, None).spread(12), SPEC.preprocess)
        with open_head(network, SPEC.input_shape) as head:
            yield head, stream

    @pytest.fixture(scope="class")
    def fitted(self, made) -> Classifier:
        """One with outputs on both sides of zero, at every place."""
        weight = np.random.default_rng(0).standard_normal((made[0].width, 3)) / 10
        return Classifier(weight, np.array([-0.2, 0.0, 0.2]))

    def written(self, made, fitted, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Logits of the network once it is written, and its features."""
        rows = np.arange(12)
        batches = made[1].batches(rows, "test")
        features = np.concatenate([made[0].features(batch) for _, batch in batches])
        write_state(path, made[0].state(fitted))
        fit = Fit(fitted, 0.0, 1.0, rows, features)
        _, logits = written_logits(SPEC, path, made[1], fit, rows)
        return logits, features.astype(np.float64)

    def test_lifted_relu_cuts_nothing_and_no_probability_changes(self, made, fitted, tmp_path):
        lifted = lift(*made, fitted)
        logits, features = self.written(made, lifted, tmp_path / "net.pdparams")
        added = logits - fitted.logits(features)
        assert np.ptp(added, axis=1).max() < 1e-4  # the same for every class of a photo
        # No higher than by the row of weights alone that leaves none negative, for any photo.
        alone = fitted.lifted(-fitted.weight.min(1), -fitted.bias.min()).logits(features)
        assert added.mean() < (alone - fitted.logits(features)).mean()

    @pytest.mark.parametrize(
        ("size", "bias"),
        [(1e-3, [0.5, 0.5]), (1e-3, [-0.5, -0.5]), (0.3, [2.0, -1.0]), (0.0, [0.0, 0.0])],
        ids=["all above zero", "all below zero", "both", "all the same"],
    )
    def test_lifting_holds_wherever_the_outputs_of_two_classes_lie(
        self, photos, tmp_path, size, bias
    ):
        """As weights that ridge regression holds back make them, all on one side of zero."""
        network = load_backbone(SPEC, find_weights(SPEC, "random"), 2)
        stream = Stream(ImageSet.open(photos, None).spread(12), SPEC.preprocess)
        with open_head(network, SPEC.input_shape) as head:
            side = size * np.random.default_rng(1).standard_normal(head.width)
            fitted = Classifier(np.stack([side, -side], 1), np.array(bias))
            lifted = lift(head, stream, fitted)
            for _, batch in stream.batches(range(12), "test"):
                maps = head.features.places(batch)
                outputs = lifted.weight.T @ maps + lifted.bias[:, None]
                assert outputs.min() >= -1e-6 * np.abs(lifted.bias).max()
        added = lifted.logits(np.ones((1, head.width))) - fitted.logits(np.ones((1, head.width)))
        assert np.ptp(added) < 1e-9

    def test_where_relu_cuts_the_check_of_the_written_file_says_so(self, made, fitted, tmp_path):
        with pytest.raises(StepError, match="differ by"):
            self.written(made, fitted, tmp_path / "net.pdparams")

    def test_what_comes_before_is_never_negative(self, made):
        noise = np.random.default_rng(0).standard_normal((4, *SPEC.input_shape))
        assert made[0].features(noise.astype(np.float32)).min() >= 0


class TestBackbone:
    def test_brings_a_classifier_of_any_number_of_classes(self, tmp_path):
        network = SPEC.build(class_num=7)
        state = {name: value.numpy() for name, value in network.state_dict().items()}
        write_state(tmp_path / "net.pdparams", state)
        weights = find_weights(SPEC, str(tmp_path / "net.pdparams"))
        adapted = load_backbone(SPEC, weights, 3).state_dict()
        np.testing.assert_array_equal(adapted["_conv.weight"].numpy(), state["_conv.weight"])
        assert adapted["_conv9.weight"].shape == [3, 512, 1, 1]

    def test_of_another_network_is_refused(self, tmp_path):
        write_state(tmp_path / "net.pdparams", {
            "fc.weight": np.zeros((4, 2), np.float32), "fc.bias": np.zeros(2, np.float32),
        })  # fmt: skip
        with pytest.raises(UserError, match="another network"):
            load_backbone(SPEC, Weights(SPEC.name, "file", tmp_path / "net.pdparams", ""), 3)

    def test_made_up_batch_norms_are_settled_on_the_photos(self, photos):
        spec = find_model("RegNetX_4GF")
        network = load_backbone(spec, find_weights(spec, "random"), 3)
        before = {name: value.numpy() for name, value in network.state_dict().items()}
        stream = Stream(ImageSet.open(photos, None).spread(6), spec.preprocess)
        recalibrate(network, stream, np.arange(6))
        changed = {
            name.rsplit(".", 1)[1]
            for name, value in network.state_dict().items()
            if not np.array_equal(value.numpy(), before[name])
        }
        assert changed == {"_mean", "_variance"}

    def test_what_files_are_checked_on_excites_a_settled_backbone_no_more_than_photos(
        self, tmp_path
    ):
        spec = find_model("ResNeSt50_fast_1s1x64d")
        for number in range(20):  # as smooth as photos can be
            plain = np.full((64, 64, 3), 10 * number, np.uint8)
            folder = tmp_path / str(number % 2)
            folder.mkdir(exist_ok=True)
            Image.fromarray(plain).save(folder / f"{number}.png")
        network = load_backbone(spec, find_weights(spec, "random"), 2)
        stream = Stream(ImageSet.open(tmp_path, None).spread(4), spec.preprocess)
        recalibrate(network, stream, np.arange(4))
        [(_, crops)] = stream.batches(range(4), "photos")
        with open_head(network, spec.input_shape) as head:
            usual = np.abs(head.features(crops)).max()
            assert np.abs(head.features(synthetic.images(spec.input_shape))).max() < 20 * usual

    def test_features_that_are_not_finite_name_the_photo(self):
        features = np.array([[0.0, 1.0], [np.nan, 0.0]], np.float32)
        with pytest.raises(UserError, match=r"b\.png"):
            require_finite(features, [Path("a.png"), Path("b.png")])


class TestAdapt:
    @pytest.fixture
    def disk_fills_up(self, monkeypatch):
        def fill_the_disk(path, state):
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(adapt, "write_state", fill_the_disk)

    def test_a_failed_run_leaves_nothing(self, photos, tmp_path, disk_fills_up):
        division, weights = adapt.open_photos(str(photos), 24), find_weights(SPEC, "random")
        with pytest.raises(OSError, match="No space"):
            adapt.adapt(SPEC, division, weights, tmp_path / "net.pdparams")
        assert not list(tmp_path.iterdir())

    def test_what_is_there_from_the_same_inputs_is_not_made_again(
        self, photos, tmp_path, monkeypatch, capsys
    ):
        division, weights = adapt.open_photos(str(photos), 24), find_weights(SPEC, "random")
        out = tmp_path / "net.pdparams"
        facts = adapt.adapt(SPEC, division, weights, out)
        assert {path.name for path in tmp_path.iterdir()} == {
            *("net.pdparams", "net.json", "net.classes.txt", "net.split.json")
        }
        capsys.readouterr()
        monkeypatch.setattr(adapt, "load_backbone", None)
        assert adapt.adapt(SPEC, division, weights, out) == json.loads(json.dumps(facts))
        assert "is there already, from the same inputs" in capsys.readouterr().err

    def test_no_readable_photo_is_said_even_if_bad_ones_may_be_skipped(self, tmp_path):
        root = write_photos(tmp_path / "colours", 8)
        for path in root.glob("*/*.png"):
            path.write_text(f"no photo {path}")
        with pytest.raises(UserError, match="too few photos are left"):
            adapt.adapt(
                *(SPEC, adapt.open_photos(str(root)), find_weights(SPEC, "random")),
                tmp_path / "net.pdparams",
                skip_bad=True,
            )


class TestCommand:
    def test_photos_to_a_checkpoint_that_exports(self, command, photos, tmp_path):
        done = command(
            *("training/adapt.py", "--model", SPEC.name, "--data", photos, "--init", "random"),
            WEIGHTS_DIR=tmp_path / "weights",
        )
        assert done.returncode == 0, done.stderr
        path = tmp_path / "weights" / f"{SPEC.name}_colours.pdparams"
        assert "held-out top-1 100.0%" in done.stdout
        assert f"next: make calibrate MODEL={SPEC.name}" in done.stdout
        assert path.with_name(f"{path.stem}.classes.txt").read_text().split() == list(COLOURS)
        facts = json.loads(path.with_name(f"{path.stem}.json").read_text())
        assert facts["backbone"]["weights"] == "random"
        assert facts["held_out"]["right"] == facts["held_out"]["photos"] == 6
        assert read_state(path)["_conv9.weight"].shape == (3, 512, 1, 1)

        exported = command(
            "convert/export.py", "--model", SPEC.name, "--weights", path, "--classes", 3
        )
        assert exported.returncode == 0, exported.stderr

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("--model", "SqueezNet1_1", "--data", "x"), ("SqueezeNet1_1",)),
            (("--model", SPEC.name, "--data", "/nowhere"), ("/nowhere", "no such folder")),
            (("--model", SPEC.name), ("--data",)),
            (("--model", SPEC.name, "--data", "x", "--photos", "0"), ("at least 1",)),
        ],
    )
    def test_bad_input_is_one_line(self, command, arguments, words):
        assert_refused(command("training/adapt.py", *arguments), *words)

    def test_no_weights_is_one_line(self, command, photos, tmp_path):
        done = command(
            "training/adapt.py", "--model", "VGG16", "--data", photos, WEIGHTS_DIR=tmp_path / "none"
        )
        assert_refused(done, "no weights for VGG16")
