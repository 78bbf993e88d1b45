"""Files that appear whole or not at all, and locks, where no model is needed to see it."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys

import pytest
from helpers import REPO

from lc_music_vae.errors import InputError
from lc_music_vae.system import files


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "not" / "yet")


@pytest.mark.parametrize("way", [files.replacing, files.creating])
def test_a_file_is_there_when_it_is_whole(way, folder):
    path = os.path.join(folder, "song.mid")
    with way(path) as temporary:
        assert os.path.dirname(os.path.dirname(temporary)) == folder
        assert [files._SCRATCH.match(name) is None for name in os.listdir(folder)] == [False]
        write(temporary, "whole")
        files.tidy(folder)  # another process does, while this one lives
        assert not os.path.exists(path)
    assert os.listdir(folder) == ["song.mid"]
    assert open(path).read() == "whole"  # noqa: SIM115

    def fails():
        with way(path) as temporary:
            write(temporary, "half")
            raise ZeroDivisionError

    pytest.raises(ZeroDivisionError, fails)
    assert os.listdir(folder) == ["song.mid"]
    assert open(path).read() == "whole"  # noqa: SIM115


def test_scratch_can_neither_be_foreseen_nor_led_elsewhere(folder, tmp_path):
    """Whoever may write to the folder, too, cannot have a link of theirs followed."""
    path = os.path.join(folder, "index.json")
    names, modes = set(), set()
    for _ in range(20):
        with files.replacing(path) as temporary:
            names.add(os.path.dirname(temporary))
            modes.add(os.stat(os.path.dirname(temporary)).st_mode & 0o777)
            assert not os.path.lexists(temporary)
            write(temporary, "")
    assert len(names) == 20
    assert modes == {0o700}
    (tmp_path / "target").write_text("precious")
    os.remove(path)
    os.symlink(str(tmp_path / "target"), path)  # a link at the place itself is replaced, not written through
    with files.replacing(path) as temporary:
        write(temporary, "new")
    assert (tmp_path / "target").read_text() == "precious"
    assert not os.path.islink(path)


def test_what_is_written_is_on_the_disk_before_it_has_its_name(folder, monkeypatch):
    path = os.path.join(folder, "run.json")
    seen = []
    fsync = os.fsync

    def watching(descriptor):
        seen.append((os.readlink("/proc/self/fd/%d" % descriptor), os.path.exists(path)))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watching)
    with files.replacing(path) as temporary:
        write(temporary, "")
    assert seen == [(temporary, False), (folder, True)]

    def fails(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(InputError, match=r"run.json cannot be written \(Input/output error\)"):
        files.write_json(path, 1)
    monkeypatch.undo()
    assert open(path).read() == ""  # noqa: SIM115


@pytest.mark.parametrize("said", [errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_hard_links(said, folder, monkeypatch):
    def refuses(source, target):
        raise OSError(said, "no links here", source, None, target)

    monkeypatch.setattr(os, "link", refuses)
    path = os.path.join(folder, "song.mid")
    with files.creating(path) as temporary:
        write(temporary, "first")
    with pytest.raises(FileExistsError), files.creating(path) as temporary:
        write(temporary, "second")
    assert os.listdir(folder) == ["song.mid"]
    assert open(path).read() == "first"  # noqa: SIM115


def test_one_takes_the_place_of_a_file_and_one_does_not(folder):
    path = os.path.join(folder, "song.mid")
    for text, way in (("first", files.creating), ("second", files.replacing)):
        with way(path) as temporary:
            write(temporary, text)
    with pytest.raises(FileExistsError), files.creating(path) as temporary:
        write(temporary, "third")
    assert os.listdir(folder) == ["song.mid"]
    assert open(path).read() == "second"  # noqa: SIM115


def test_the_folder_it_is_in_may_be_this_one(folder, monkeypatch):
    os.makedirs(folder)
    monkeypatch.chdir(folder)
    with files.replacing("song.mid") as temporary:
        assert os.path.dirname(os.path.dirname(temporary)) == folder
        write(temporary, "")
    assert os.listdir(folder) == ["song.mid"]


def test_what_cannot_be_written_is_named_and_what_cannot_be_read_is_not_taken_for_it(folder, tmp_path):
    path = os.path.join(folder, "song.mid")
    advice = "when it can be, give the same command again"
    with pytest.raises(InputError) as e, files.replacing(path) as temporary:
        raise OSError(errno.ENOSPC, "No space left on device", temporary)
    assert str(e.value) == "%s cannot be written (No space left on device); %s" % (path, advice)
    with pytest.raises(InputError) as e, files.replacing(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert str(e.value).startswith(path)
    (tmp_path / "file").write_text("")
    for below in ("file/song.mid", "file/folder/song.mid"):
        with pytest.raises(InputError, match=r"/%s cannot be written \(.+\)" % below):
            files.replacing(str(tmp_path / below)).__enter__()
    with pytest.raises(FileNotFoundError), files.replacing(path):
        open(str(tmp_path / "other"))  # noqa: SIM115


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError(errno.EACCES, "Permission denied"), "Permission denied"),
        (ValueError("a; b; the reason\nmore"), "the reason"),
        (ValueError(), "ValueError"),
    ],
)
def test_why_something_cannot_be_written(error, why):
    expected = "x.mid cannot be written (%s); when it can be, give the same command again" % why
    assert str(files.cannot_write("x.mid", error)) == expected


def test_why_tensorflow_could_not_write():
    import tensorflow.compat.v1 as tf

    error = tf.errors.ResourceExhaustedError(None, None, "dir/x.data; No space left on device")
    assert "(No space left on device)" in str(files.cannot_write("x", error))


def test_all_or_none(tmp_path):
    paths = [str(tmp_path / name) for name in "abc"]

    def interrupted():
        with files.all_or_none() as created:
            for path in paths[:2]:
                write(path, "")
            created.extend(paths)  # the last was not made
            write(str(tmp_path / "not ours"), "")
            raise KeyboardInterrupt

    pytest.raises(KeyboardInterrupt, interrupted)
    assert os.listdir(str(tmp_path)) == ["not ours"]
    with files.all_or_none() as created:
        write(paths[0], "")
        created.append(paths[0])
    assert sorted(os.listdir(str(tmp_path))) == ["a", "not ours"]


LEAVES = """
import os, signal, sys
from lc_music_vae.system import files
with files.replacing(os.path.join(sys.argv[1], "run.json")) as temporary:
    open(temporary, "w").write("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path):
    """Names as shells, editors and backups give them, in a home folder, and names that look like ours."""
    ours = subprocess.call([sys.executable, "-c", LEAVES, str(tmp_path)], cwd=REPO)
    assert ours == -signal.SIGKILL
    (left,) = os.listdir(str(tmp_path))
    kept = [
        ".zcompdump-vm-5.8",
        ".bash_history.1",
        ".viminfo.2024",
        ".backup.20240101",
        ".run.json.123",
        "x.tmp0123456789abcdef0123456789abcdef",
        "x.tempstate1",
        ".lock",
        left + ".1",
        left[:-1],
        ".lc_music_vae-scratch-mine_1_2",
    ]
    folders = [".cache.1", ".lc_music_vae-scratch", ".lc_music_vae-scratch-by_hand"]
    for name in kept:
        write(str(tmp_path / name), "")
    for name in folders:
        (tmp_path / name).mkdir()
        write(str(tmp_path / name / "file"), "")
    (tmp_path / "elsewhere").mkdir()
    write(str(tmp_path / "elsewhere" / "file"), "")
    link = ".lc_music_vae-scratch-12345678"
    os.symlink("elsewhere", str(tmp_path / link))
    files.tidy(str(tmp_path))
    assert sorted(os.listdir(str(tmp_path))) == sorted(kept + folders + ["elsewhere", link])
    for name in folders + ["elsewhere"]:
        assert os.listdir(str(tmp_path / name)) == ["file"]
    files.tidy(str(tmp_path / "none"))
    files.tidy(str(tmp_path / ".lock"))


def test_a_lock_holds_until_its_file_is_closed(tmp_path):
    path = str(tmp_path / "lock")
    write(path, "")
    first, second = os.open(path, os.O_RDWR), os.open(path, os.O_RDWR)
    assert files.lock(first, wait=False) is True
    assert files.lock(second, wait=False) is False
    os.close(first)
    assert files.lock(second) is True
    os.close(second)


def test_another_process_waits_for_a_locked_folder(tmp_path):
    waits = "import sys; from lc_music_vae.system import files\nwith files.locked(sys.argv[1]): print('in')"
    with files.locked(str(tmp_path)):
        other = subprocess.Popen([sys.executable, "-c", waits, str(tmp_path)], stdout=subprocess.PIPE, cwd=REPO)
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(1)
    assert other.communicate(timeout=30)[0] == b"in\n"
    assert other.returncode == 0
    with pytest.raises(ZeroDivisionError), files.locked(str(tmp_path)):
        raise ZeroDivisionError
    with files.locked(str(tmp_path)):  # it was closed all the same
        pass


def test_json_comes_back_and_is_written_for_people_in_one_order(tmp_path):
    path = str(tmp_path / "x.json")
    files.write_json(path, {"b": [1.5, None], "a": "é"})
    with open(path, encoding="utf-8") as f:
        text = f.read()
    assert text == '{\n  "a": "\\u00e9",\n  "b": [\n    1.5,\n    null\n  ]\n}\n'
    assert files.read_json(path) == {"a": "é", "b": [1.5, None]}
    write(path, "{")
    with pytest.raises(json.JSONDecodeError):
        files.read_json(path)
    assert files.read_json(str(tmp_path / "none")) is None
    assert files.read_json(os.path.join(path, "below")) is None


def test_only_plain_files_are_opened_and_nobody_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    os.mkfifo("pipe")
    socket.socket(socket.AF_UNIX).bind("socket")
    os.mkdir("folder")
    os.symlink("/dev/zero", "endless")
    os.symlink("loop", "loop")
    for name in ("pipe", "socket", "folder", "endless", "loop"):
        with pytest.raises(OSError, match=name) as e:
            files.opened(name)
        assert e.value.strerror
        pytest.raises(OSError, files.sha256, name)
    write("plain", "{}")
    os.symlink("plain", "link")
    with files.opened("link") as f:
        assert f.read() == b"{}"
    with pytest.raises(ValueError, match="more than 0 MiB"):
        files.read_json("plain", max_bytes=1)
    write("deep", "[" * 100000)
    with pytest.raises(ValueError, match="nested too deep"):
        files.read_json("deep")


def test_sha256(tmp_path):
    """Of "abc", as FIPS 180-2 gives it, and of a million of "a", which are read in one piece, or two."""
    path = str(tmp_path / "x")
    for text, digest in (
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("a" * 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ):
        write(path, text)
        assert files.sha256(path) == digest
    write(path, "a" * 3000000)
    assert files.sha256(path) == subprocess.check_output(["sha256sum", path]).decode().split()[0]
