"""Data from files: what is read, how it is split, and what is said to files that are broken."""

import os
import zipfile

import numpy as np
import pytest
from PIL import Image

import dasha
from dasha import TaskSpec, manager
from dasha.data.sources import read_again, read_data, read_source
from dasha.errors import InvalidArgumentError, OptionalDependencyError, PluginError, UnknownNameError
from dasha.types import SupervisedTask


def draw(path, *, size=(8, 6), mode="RGB", value=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value, 0, 0)).save(path)


@pytest.fixture
def classes(tmp_path):
    """Twenty images of each of two classes, every one in another shade."""
    for number in range(20):
        draw(tmp_path / "images" / "sea" / f"{number:02}.png", value=number)
        draw(tmp_path / "images" / "land" / f"{number:02}.PNG", value=100 + number)
    return tmp_path / "images"


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


def arrays(**others):
    x, y = np.zeros((4, 1, 5), np.float32), np.arange(4) % 2
    return {"x_train": x, "y_train": y, "x_val": x, "y_val": y, **others}


def test_arrays(tmp_path):
    x = np.ones((2, 1, 5))
    data = read_source(save(tmp_path / "a.npz", **arrays(x_test=x, y_test=np.zeros(2, int))))
    assert (data.train[0].shape, data.validation[1].tolist(), data.test[0].shape) == (
        (4, 1, 5),
        [0, 1, 0, 1],
        (2, 1, 5),
    )
    plain = save(tmp_path / "b.npz", **arrays())
    assert read_source(plain).test is None
    later = read_source(plain, test=save(tmp_path / "c.npz", x_test=x, y_test=np.zeros(2, int)))
    assert later.test[0].shape == (2, 1, 5)
    again = read_again(later.as_dict())
    assert again == later
    assert np.array_equal(again.test[0], later.test[0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"x_train": np.zeros(1)},
            r"has no y_train, x_val, y_val but x_train; save it with numpy.savez\(path, x_train=…",
        ),
        (arrays(x_test=np.zeros((1, 1, 5))), "has no y_test"),
        (arrays(y_val=np.array([None, {}], dtype=object)), "without objects"),
    ],
)
def test_arrays_that_are_missing_or_objects(tmp_path, content, message):
    with pytest.raises(InvalidArgumentError, match=message):
        read_source(save(tmp_path / "a.npz", **content))


def test_files_that_are_none(tmp_path):
    with pytest.raises(InvalidArgumentError, match="does not exist"):
        read_source(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("x,y\n")
    with pytest.raises(InvalidArgumentError, match=r"text\.npz is no \.npz file; save arrays with numpy\.savez"):
        read_source(tmp_path / "text.npz")
    np.save(tmp_path / "lone.npy", np.zeros(3))
    with pytest.raises(InvalidArgumentError, match=r"lone\.npy is no \.npz file"):
        read_source(tmp_path / "lone.npy")
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as file:
        file.writestr("x_train.npy", "none")
    with pytest.raises(InvalidArgumentError, match=r"other\.npz (has no|cannot be read as)"):
        read_source(tmp_path / "other.npz")


def test_images_are_drawn_within_every_class(classes):
    data = read_source(classes)
    assert data.class_names == ("land", "sea")
    assert data.rule.startswith("at random, 70 %")
    parts = [data.train, data.validation, data.test]
    assert [np.bincount(part[1]).tolist() for part in parts] == [[14, 14], [3, 3], [3, 3]]
    assert data.train[0].shape == (28, 3, 6, 8)
    assert data.train[0].dtype == np.uint8
    shades = np.concatenate([part[0][:, 0, 0, 0] for part in parts])
    assert sorted(shades) == [*range(20), *range(100, 120)]  # every image once
    assert np.array_equal(read_again(data.as_dict()).train[0], data.train[0])


def test_images_by_lists_and_by_folders(classes, tmp_path):
    (classes / "train.txt").write_text("sea/03.png\nland/04.PNG\n\n")
    with pytest.raises(InvalidArgumentError, match=r"nothing is for validation; add val.txt"):
        read_source(classes)
    (classes / "val.txt").write_text("land/05.PNG\n")
    listed = read_source(classes)
    assert listed.train[0][:, 0, 0, 0].tolist() == [3, 104]
    assert listed.train[1].tolist() == [1, 0]
    assert (listed.validation[1].tolist(), listed.test) == ([0], None)
    assert listed.rule == "by the lists train.txt, val.txt (37 images are in none of them)"
    (classes / "val.txt").write_text("land/99.PNG\n")
    with pytest.raises(InvalidArgumentError, match=r"lists images that do not exist \(land/99.PNG\)"):
        read_source(classes)
    for part in ("train", "valid", "test"):
        draw(tmp_path / "split" / part / "a" / "1.jpg")
        draw(tmp_path / "split" / part / "b" / "1.jpg", mode="L")
    data = read_source(tmp_path / "split")
    assert data.train[0].shape == (2, 3, 6, 8)
    assert data.test[1].tolist() == [0, 1]
    assert "folders train, valid, test" in data.rule
    draw(tmp_path / "more" / "c" / "1.png")
    with pytest.raises(InvalidArgumentError, match="images of class c, but none to train on"):
        read_source(tmp_path / "split", test=tmp_path / "more")


def test_grey_images_have_one_channel(tmp_path):
    for number in range(6):
        draw(tmp_path / "only" / "x" / f"{number}.png", mode="L")
    assert read_source(tmp_path / "only").train[0].shape == (4, 1, 6, 8)


def test_images_that_are_broken_are_named(classes, tmp_path):
    draw(classes / "sea" / "wide.png", size=(9, 6))
    with pytest.raises(InvalidArgumentError, match=r"unequal sizes: most 8 × 6, but \S+wide.png with 9 × 6; resize"):
        read_source(classes)
    (classes / "sea" / "wide.png").write_text("no image")
    with pytest.raises(InvalidArgumentError, match=r"1 images cannot be read \(\S+wide.png\)"):
        read_source(classes)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidArgumentError, match=r"has no folders with \.png"):
        read_source(tmp_path / "empty")


def test_what_macos_puts_into_archives_is_no_class(classes):
    expected = read_source(classes)
    (classes / "__MACOSX" / "sea").mkdir(parents=True)
    (classes / "__MACOSX" / "sea" / "._03.png").write_bytes(b"\x00\x05\x16\x07")
    draw(classes / "sea" / "__MACOSX" / "03.png")
    data = read_source(classes)
    assert (data.class_names, data.rule) == (("land", "sea"), expected.rule)
    assert np.array_equal(data.train[0], expected.train[0])


def test_classes_whose_names_no_page_could_show_are_refused(classes):
    try:
        (classes / "sea").rename(os.fsdecode(os.fsencode(classes) + b"/\xc4hre"))
    except OSError:
        pytest.skip("the file system has names in UTF-8 alone")
    with pytest.raises(InvalidArgumentError, match=r"images has .* names are no UTF-8 \('\\udcc4hre'\); rename them"):
        read_source(classes)


def test_digits(monkeypatch, tmp_path):
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    data = read_data("digits")
    assert [len(part[0]) for part in (data.train, data.validation, data.test)] == [1000, 300, 497]
    assert data.spec == TaskSpec("multiclass", 1, 10)
    assert np.array_equal(read_again(data.as_dict()).train[1], data.train[1])
    later = save(tmp_path / "later.npz", x_test=np.zeros((2, 1, 8, 8)), y_test=np.zeros(2, int))
    assert len(read_again(read_data("digits", test=later).as_dict()).test[0]) == 2
    monkeypatch.setitem(__import__("sys").modules, "sklearn", None)
    with pytest.raises(OptionalDependencyError, match="pip install 'scikit-learn'"):
        read_data("digits")


@pytest.fixture
def tasks(monkeypatch, plugin_of):
    """Replace the manager of the process by one that also has the given tasks."""

    def offer(**factories):
        def register_tasks(register):
            for name, factory in factories.items():
                register(name, factory)

        made = dasha.PluginManager(found=[]).load()
        made.register(plugin_of(register_tasks=dasha.hookimpl(register_tasks)), name="handmade")
        monkeypatch.setattr(manager, "_default", made)

    return offer


def test_a_file_or_folder_comes_before_a_task_of_its_name(classes, tasks, monkeypatch):
    pair = np.zeros((4, 1, 5)), np.arange(4) % 2
    tasks(images=lambda: SupervisedTask(TaskSpec("binary", 1, 1), pair, pair, source="none"))
    data = read_data("images")
    assert (data.path, data.rule, data.test) == ("images", "none", None)
    monkeypatch.chdir(classes.parent)
    assert read_data("images").path == str(classes)
    # What was begun with the task goes on with the task.
    assert read_again(data.as_dict()).path == "images"


def test_what_names_no_data(tasks):
    tasks(broken=lambda: {"train": []})
    with pytest.raises(InvalidArgumentError, match=r"'brokn' is no file, folder or registered task; did you mean 'bro"):
        read_data("brokn")
    with pytest.raises(InvalidArgumentError, match=r"none\.npz does not exist"):
        read_data("none.npz")
    with pytest.raises(InvalidArgumentError, match="some/folder does not exist"):
        read_data("some/folder")
    with pytest.raises(
        PluginError, match=r"task 'broken' of plugin 'handmade' is dict, but must be a dasha\.types\.Sup"
    ):
        read_data("broken")
    with pytest.raises(UnknownNameError, match="'gone' is not among the tasks"):
        read_again({"path": "gone", "test_path": None, "rule": "", "is_registered": True})
