"""A folder appears complete or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dasha.errors import InvalidArgumentError
from dasha.runs import atomic_folder, write_whole

MARKER = "done.json"


def write(target: Path, text: str = "new") -> None:
    with atomic_folder(target) as folder:
        (folder / MARKER).write_text(text)
        (folder / "more").mkdir()


def leftovers(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir() if entry.name.startswith(".")]


def test_makes_the_folder_and_its_parents(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b"
    write(target)
    assert (target / MARKER).read_text() == "new"
    assert (target / "more").is_dir()
    assert not leftovers(target.parent)


def test_nothing_is_there_before_the_end(tmp_path: Path) -> None:
    target = tmp_path / "run"
    with atomic_folder(target) as folder:
        (folder / MARKER).write_text("half")
        assert not target.exists()
    assert target.exists()


def test_a_folder_of_the_same_kind_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "run"
    write(target, "old")
    write(target)
    assert (target / MARKER).read_text() == "new"
    assert not leftovers(tmp_path)


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    write(tmp_path)
    assert (tmp_path / MARKER).exists()


def test_an_error_leaves_everything_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "run"
    write(target, "old")

    def write_half() -> None:
        with atomic_folder(target) as folder:
            (folder / MARKER).write_text("half")
            raise KeyError("the power went")

    with pytest.raises(KeyError, match="the power went"):
        write_half()
    assert (target / MARKER).read_text() == "old"
    assert not leftovers(tmp_path)


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    (tmp_path / MARKER).write_text("{}")  # a name we use proves nothing
    with pytest.raises(InvalidArgumentError, match=r"holds other files \(done.json, thesis.tex\) and is left alone"):
        write(tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [MARKER, "thesis.tex"]


def test_notes_added_to_our_own_folder_are_kept(tmp_path: Path) -> None:
    target = tmp_path / "run"
    write(target, "old")
    (target / "notes.txt").write_text("mine")
    with pytest.raises(InvalidArgumentError, match=r"holds other files \(notes.txt\)"):
        write(target)
    assert (target / MARKER).read_text() == "old"
    assert (target / "notes.txt").read_text() == "mine"


def test_a_link_stands_for_its_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / MARKER).read_text() == "new"


def test_a_mount_point_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_mount", lambda self: self.name == "mnt")
    (tmp_path / "mnt").mkdir()
    with pytest.raises(InvalidArgumentError, match="is a mount point"):
        write(tmp_path / "mnt")


def test_something_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "run"
    target.write_text("")
    with pytest.raises(InvalidArgumentError, match="exists and is not a folder"):
        write(target)


def test_a_parent_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidArgumentError, match=r"cannot write .*choose another folder"):
        write(tmp_path / "file" / "run")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_parent_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InvalidArgumentError, match=r"cannot write .*choose another folder"):
        write(tmp_path / "run")
    tmp_path.chmod(0o700)


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "run")
        assert os.umask(0o027) == 0o027  # and the umask itself is as it was
    finally:
        os.umask(before)
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o750


def test_a_failing_swap_puts_the_old_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "run"
    write(target, "old")
    replace = os.replace

    def fail_on_the_new_one(source: Path, destination: Path) -> None:
        if Path(destination) == target and Path(source).name != "old":
            raise OSError("disk full")
        replace(source, destination)

    monkeypatch.setattr(os, "replace", fail_on_the_new_one)
    with pytest.raises(OSError, match="disk full"):
        write(target)
    assert (target / MARKER).read_text() == "old"
    assert not leftovers(tmp_path)


def test_a_file_is_written_whole_or_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "card.md"
    write_whole(target, "é\n")
    assert target.read_bytes() == "é\n".encode()
    plain = tmp_path / "plain"
    plain.write_text("")
    assert target.stat().st_mode == plain.stat().st_mode

    def killed(self: Path, other: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_whole(target, "new")
    assert target.read_text(encoding="utf-8") == "é\n"
    assert {entry.name for entry in tmp_path.iterdir()} == {"card.md", "plain"}
