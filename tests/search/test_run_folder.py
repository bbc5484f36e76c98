import math
import pickle
import subprocess
import sys

import pytest
import torch

from dasha.errors import InvalidArgumentError, StateFileError
from dasha.search.run_folder import RunFolder


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def test_what_is_written_is_read(folder):
    folder.write_json("a.json", {"x": (1, 2), "nan": math.nan, "inner": {"y": math.inf}})
    folder.write_tensors("t.safetensors", {"w": torch.arange(3.0)}, metadata={})
    folder.save_state("deep/s.pt", {"w": torch.ones(2), "n": 3, "text": ["a"]})
    assert folder.read_json("a.json") == {"x": [1, 2], "nan": None, "inner": {"y": None}}
    assert folder.read_tensors("t.safetensors")["w"].tolist() == [0, 1, 2]
    assert folder.load_state("deep/s.pt")["n"] == 3
    assert folder.load_state("none.pt") is None
    folder.remove("a.json")
    folder.remove("a.json")
    assert not folder.has("a.json")


def test_a_failed_write_leaves_the_old_file(folder):
    folder.save_state("s.pt", {"n": 1})
    with pytest.raises(Exception, match="pickle"):
        folder.save_state("s.pt", {"n": lambda: None})
    assert folder.load_state("s.pt") == {"n": 1}
    assert [file.name for file in folder.path.iterdir()] == ["s.pt"]


def test_foreign_folders_and_files_are_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidArgumentError, match=r"holds other files \(notes.txt\)"):
        RunFolder(tmp_path)
    with pytest.raises(InvalidArgumentError, match="is a file"):
        RunFolder(tmp_path / "notes.txt")
    with pytest.raises(InvalidArgumentError, match="cannot be made"):
        RunFolder(tmp_path / "notes.txt" / "run")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_what_a_killed_process_left_is_no_foreign_file_and_goes(folder):
    (folder.path / ".config.json-123.dasha-tmp").write_text("{")
    (folder.path / "tune").mkdir()
    (folder.path / "tune" / ".trial.pt-123.dasha-tmp").write_text("")
    (folder.path / "tune").rename(folder.path / "kept")
    folder.write_json("config.json", {})
    with RunFolder(folder.path).locked():
        assert sorted(file.name for file in folder.path.iterdir()) == [".lock", "config.json", "kept"]
        assert not list((folder.path / "kept").iterdir())


def test_a_first_write_that_was_killed_does_not_close_the_folder(folder):
    (folder.path / ".config.json-123.dasha-tmp").write_text("{")
    (folder.path / ".lock").write_text("")
    RunFolder(folder.path)


def test_the_lock_keeps_others_out_and_is_given_back(folder):
    with (
        folder.locked(),
        pytest.raises(InvalidArgumentError, match="another process works in"),
        RunFolder(folder.path).locked(),
    ):
        pass
    with folder.locked():
        pass


def test_a_folder_that_cannot_be_written_to_is_named(folder, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("dasha.search.run_folder.FileLock.acquire", refuse)
    with (
        pytest.raises(
            InvalidArgumentError, match=r"cannot be written to: Read-only .* open a finished run by Dasha.re"
        ),
        folder.locked(),
    ):
        pass


def test_the_lock_keeps_another_process_out(folder):
    code = (
        "import sys; from filelock import FileLock, Timeout\n"
        "try: FileLock(sys.argv[1]).acquire(timeout=0)\nexcept Timeout: sys.exit(7)"
    )
    with folder.locked():
        lock = str(folder.path / ".lock")
        assert subprocess.run([sys.executable, "-c", code, lock], check=False).returncode == 7


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe"])
def test_damaged_json_is_named(folder, content):
    (folder.path / "a.json").write_bytes(content)
    with pytest.raises(StateFileError, match=r"a\.json"):
        folder.read_json("a.json")


def test_missing_files_are_named(folder):
    with pytest.raises(StateFileError, match=r"a\.json"):
        folder.read_json("a.json")
    with pytest.raises(StateFileError, match=r"t\.safetensors"):
        folder.read_tensors("t.safetensors")


def test_damaged_checkpoints_and_tensors_are_named(folder):
    folder.save_state("s.pt", {"w": torch.ones(100)})
    whole = (folder.path / "s.pt").read_bytes()
    for content in (b"", whole[: len(whole) // 2], pickle.dumps([1], protocol=2)):
        (folder.path / "s.pt").write_bytes(content)
        with pytest.raises(StateFileError, match=r"s\.pt"):
            folder.load_state("s.pt")
        with pytest.raises(StateFileError, match=r"s\.pt"):
            folder.read_tensors("s.pt")


class Bomb:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return exec, (f"open({str(self.target)!r}, 'w')",)


def test_a_checkpoint_executes_nothing(folder, tmp_path):
    torch.save({"bomb": Bomb(tmp_path / "went-off")}, folder.path / "s.pt")
    with pytest.raises(StateFileError, match=r"s\.pt"):
        folder.load_state("s.pt")
    assert not (tmp_path / "went-off").exists()


def test_a_torn_line_of_the_log_stays_a_line_of_its_own(folder):
    folder.log("one", x=math.nan)
    with (folder.path / "log.jsonl").open("a") as file:
        file.write('{"time": 1')
    folder.log("two")
    first, torn, second = (folder.path / "log.jsonl").read_text().splitlines()
    assert '"x": null' in first
    assert torn == '{"time": 1'
    assert '"event": "two"' in second
