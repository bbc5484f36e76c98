"""Files that must stay together do, and every class gets its share."""

import numpy as np
import pytest
import torch

from dasha.data.groups import check_groups, draw_groups, group_function
from dasha.data.image_files import Draw, find_images, split_images
from dasha.data.moments import ChannelMoments
from dasha.data.names import read_list
from dasha.errors import InvalidArgumentError


def test_groups_stay_together_and_shares_are_met():
    rng = np.random.default_rng(0)
    groups = [f"g{number}" for number in rng.integers(0, 60, 600)]
    classes = [f"c{number}" for number in rng.integers(0, 4, 600)]
    places = draw_groups(groups, classes, shares=(0.7, 0.15), seed=0)
    assert sorted(place for own in places.values() for place in own) == list(range(600))
    held = {part: {groups[place] for place in own} for part, own in places.items()}
    check_groups({part: sorted(names) for part, names in held.items()})
    for part, share in {"train": 0.7, "val": 0.15, "test": 0.15}.items():
        own = [classes[place] for place in places[part]]
        for name in set(classes):
            assert own.count(name) / classes.count(name) == pytest.approx(share, abs=0.06)
    assert places == draw_groups(groups, classes, shares=(0.7, 0.15), seed=0)
    assert places != draw_groups(groups, classes, shares=(0.7, 0.15), seed=1)


def test_three_groups_of_unequal_size_fill_three_parts():
    places = draw_groups(["a"] * 50 + ["b"] * 2 + ["c"], ["x"] * 53, shares=(0.7, 0.15), seed=0)
    assert len(places["train"]) == 50
    assert sorted(len(own) for own in places.values()) == [1, 2, 50]
    with pytest.raises(InvalidArgumentError, match=r"there are 2 groups \(a, b\), but three parts need 3"):
        draw_groups(["a", "b"], ["x", "x"], shares=(0.7, 0.15), seed=0)


def test_groups_by_expression_and_by_table(tmp_path):
    assert group_function(r"([a-z]+)_(\d)_", tmp_path)("x/ab_1_2.tif") == "ab/1"
    assert group_function(r"s\d", tmp_path)("x/s1_2.tif") == "s1"
    table = tmp_path / "g.csv"
    table.write_text("x/a.tif,one\nb.tif,two\nc,three\n")
    group_of = group_function("g.csv", tmp_path)
    assert [group_of(name) for name in ("x/a.tif", "y/b.tif", "y/c.tif")] == ["one", "two", "three"]
    with pytest.raises(InvalidArgumentError, match=r"has no line for y/a\.png"):
        group_of("y/a.png")
    table.write_text("a,one\na,two\n")
    with pytest.raises(InvalidArgumentError, match="puts a into one and into two"):
        group_function("g.csv", tmp_path)
    table.write_text("a,one,two\n")
    with pytest.raises(InvalidArgumentError, match=r"line 1 of .* is 'a,one,two', not file,group"):
        group_function("g.csv", tmp_path)


def test_an_image_in_two_parts_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").touch()
    for part in ("train", "val"):
        (tmp_path / f"{part}.txt").write_text("a/1.png\n")
    with pytest.raises(InvalidArgumentError, match=r"images are in train and in val, but .* \(\S+1\.png\)"):
        split_images(tmp_path, [".png"])
    for name in ("Valid", "train", "validation"):
        (tmp_path / "folders" / name).mkdir(parents=True)
    with pytest.raises(InvalidArgumentError, match="has the folders Valid, validation, which mean the same"):
        split_images(tmp_path / "folders", [".png"])
    for part in ("train", "val"):  # lists are looked for first
        (tmp_path / "folders" / "train" / f"{part}.png").touch()
        (tmp_path / "folders" / f"{part}.txt").write_text(f"train/{part}.png\n")
    for name in ("Valid", "validation"):
        (tmp_path / "folders" / name / "1.png").touch()
    assert split_images(tmp_path / "folders", [".png"]).class_names == ("train",)


@pytest.mark.parametrize(
    "names", [("Train", "Validation", "Test"), ("training", "dev", "testing"), ("TRAIN", "VAL", "TEST")]
)
def test_folders_of_parts_by_their_usual_names(tmp_path, names):
    for part in names:
        for name in ("a", "b"):
            (tmp_path / part / name).mkdir(parents=True)
            (tmp_path / part / name / f"{part}.png").touch()
    files = split_images(tmp_path, [".png"])
    assert files.class_names == ("a", "b")
    assert files.rule == f"by the folders {', '.join(names)}"
    assert [path.stem for part in ("train", "val", "test") for path, _ in files.parts[part]] == [
        name for name in names for _ in range(2)
    ]


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_exact_names_of_parts_win(tmp_path):
    touch(tmp_path, "train/a/1.png", "val/a/2.png", "dev/a/3.png", "Train/a/4.png")
    files = split_images(tmp_path, [".png"])
    assert files.rule == "by the folders train, val, without Train, dev (2 images are in none of them)"
    assert {part: [path.stem for path, _ in own] for part, own in files.parts.items()} == {"train": ["1"], "val": ["2"]}


def test_classes_with_names_of_parts(tmp_path):
    touch(tmp_path, *(f"{name}/{number}.png" for name in ("Bus", "Car", "Train", "Training") for number in range(3)))
    assert split_images(tmp_path, [".png"]).class_names == ("Bus", "Car", "Train", "Training")


@pytest.mark.parametrize("parts", [("test",), ("Testing", "val"), ("train_old", "dev")])
def test_parts_without_train_are_no_classes(tmp_path, parts):
    touch(tmp_path, *(f"{part}/{name}/{number}.png" for part in parts for name in "ab" for number in range(3)))
    named = ", ".join(part for part in parts if part != "train_old")
    with pytest.raises(InvalidArgumentError, match=rf"has {named} with folders inside, which are parts .*; add these"):
        split_images(tmp_path, [".png"])


def test_images_in_linked_folders(tmp_path):
    touch(tmp_path, *(f"images/{name}/{number}.png" for name in "ab" for number in range(3)), "far/in/4.png")
    for link, place in {"a/more": "far", "a/back": "images", "b/self": "images/b", "c": "far"}.items():
        (tmp_path / "images" / link).symlink_to(tmp_path / place)
    (tmp_path / "far" / "in" / "loop").symlink_to(tmp_path / "far")
    found = find_images(tmp_path / "images", [".png"])
    counts = {name: sum(own == name for _, own in found) for name in "abc"}
    assert counts == {"a": 4, "b": 3, "c": 1}
    assert (tmp_path / "images" / "a" / "more" / "in" / "4.png", "a") in found


def test_a_long_list(tmp_path):
    (tmp_path / "train.txt").write_text("".join(f"a/{number}.png\n" for number in range(30_000)))
    assert len(read_list(tmp_path / "train.txt", form="class/file", parts=2)) == 30_000


def test_a_line_that_is_there_twice(tmp_path):
    (tmp_path / "train.txt").write_text("a/1.png\na/2.png\na//1.png\n")
    with pytest.raises(InvalidArgumentError, match=r"train.txt lists a//1.png more than once"):
        read_list(tmp_path / "train.txt", form="class/file", parts=2)


def test_a_list_that_is_no_utf_8_is_named(tmp_path):
    (tmp_path / "train.txt").write_bytes("a/Köln.png\n".encode("latin-1"))
    with pytest.raises(InvalidArgumentError, match=r"train.txt is no text in UTF-8 \(.*\); save it as UTF-8"):
        read_list(tmp_path / "train.txt", form="class/file", parts=2)


def test_images_that_are_left_out_are_counted(tmp_path):
    for name in ("a/1.png", "a/2.png", "a/3.png", "b/1.png", "b/2.png", "b/3.png", "b/4.JP2", "b/5.bmp", "a/.6.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    drawn = split_images(tmp_path, [".png"])
    assert drawn.rule.endswith("(a fixed draw) (2 files are not read: .bmp, .jp2)")
    for part, number in {"train": 1, "val": 2}.items():
        (tmp_path / f"{part}.txt").write_text(f"a/{number}.png\nb/{number}.png\n")
    told = "(2 images are in none of them) (2 files are not read: .bmp, .jp2)"
    assert split_images(tmp_path, [".png"]).rule == f"by the lists train.txt, val.txt {told}"
    (tmp_path / "c").mkdir()
    with pytest.raises(InvalidArgumentError, match=r"1 folder has no images that are read \(\S+c\), .*or delete"):
        split_images(tmp_path, [".png"])
    (tmp_path / "train.txt").unlink()
    (tmp_path / "c" / "1.webp").touch()
    with pytest.raises(InvalidArgumentError, match=r"1 folder has no images that are read \(\S+c\), .*convert some"):
        split_images(tmp_path, [".png"])
    (tmp_path / "c" / "1.webp").rename(tmp_path / "c" / "1.npy")
    with pytest.raises(InvalidArgumentError, match=r"1 folder has no images that are read \(\S+c\), .*or move or"):
        split_images(tmp_path, [".png"])


def test_shares_that_are_not_allowed():
    assert Draw.of_fractions(0.15, 0.15, 0) == Draw()
    message = r"val_fraction=0.2 and test_fraction=0.0 must be above 0 and together below 1; without test data, give"
    with pytest.raises(InvalidArgumentError, match=message):
        Draw.of_fractions(0.2, 0.0, 0)
    with pytest.raises(InvalidArgumentError, match="must be above 0 and together below 1"):
        Draw((0.0, 0.2))


def test_moments_of_parts_with_gaps_equal_those_of_all():
    values = 1e4 + torch.randn(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    moments = ChannelMoments(2)
    moments.add(values[:20])
    for rows in (values[20:30], values[30:]):
        count = torch.tensor([len(rows), 0], dtype=torch.float64)
        moments.merge(count, rows.mean(0) * torch.tensor([1, torch.nan]), rows.var(0, correction=0))
    torch.testing.assert_close(moments.mean, torch.stack([values[:, 0].mean(), values[:20, 1].mean()]))
    torch.testing.assert_close(moments.std[0], values[:, 0].std(correction=0), rtol=1e-9, atol=0)
