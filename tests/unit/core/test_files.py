"""Files appear whole or not at all: full disks, killed writers, power failures, missing rights."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scripts.lib.core import faults, files
from scripts.lib.core.console import UserError, run_main
from scripts.lib.core.files import (
    add_to_zip,
    part_file,
    reading_zip,
    replacing,
    scratch_folder,
    write_bytes,
    writing_zip,
)
from scripts.lib.photos.importing import import_photos
from scripts.lib.photos.options import ImportOptions
from scripts.lib.splat.gaussians import write_ply
from tests.conftest import ROOT
from tests.unit.splat_scene import make_gaussians


def said(capsys: pytest.CaptureFixture[str], error: Exception) -> str:
    """What a person sees when a script ends with `error`."""

    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as stopped:
        run_main(main)
    assert stopped.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_one_sentence_and_leaves_the_old_file(
    small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = small_disk / "splat.ply"
    write_bytes(target, b"old")
    with pytest.raises(OSError) as raised:
        write_bytes(target, bytes(2 << 20))
    assert target.read_bytes() == b"old" and [p.name for p in small_disk.iterdir()] == ["splat.ply"]
    told = said(capsys, raised.value)
    assert f"no space left for {target}" in told and f"MB are free in {small_disk}" in told


def test_a_library_that_speaks_of_other_things_on_a_full_disk(
    small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """numpy's `tofile` raises an OSError without a number, torch a RuntimeError."""
    gaussians = make_gaussians(20_000)
    with pytest.raises(OSError) as raised:
        write_ply(small_disk / "splat.ply", gaussians)
    assert "no space left" in said(capsys, raised.value)
    with pytest.raises(OSError) as other, replacing(small_disk / "a.zip") as part:
        part.write_bytes(bytes(part.stat().st_blksize))
        with part.open("ab") as handle, pytest.raises(OSError):
            while True:
                handle.write(bytes(1 << 16))
                handle.flush()
        raise RuntimeError("unexpected pos 64 vs 0")
    assert other.value.errno == errno.ENOSPC
    assert list(small_disk.iterdir()) == []


def test_zips_beyond_four_gigabytes_and_65535_members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With both limits of the old format lowered instead of files as large."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1000)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 5)
    members = {f"{number}.jpg": bytes([number]) * 300 for number in range(8)}
    with writing_zip(tmp_path / "photos.zip") as archive:
        for name, data in members.items():
            add_to_zip(archive, name, data)
    assert b"PK\x06\x06" in (tmp_path / "photos.zip").read_bytes()  # the end record of zip64
    monkeypatch.undo()
    with reading_zip(tmp_path / "photos.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == members


def test_a_full_disk_while_a_zip_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same without a small disk: everywhere."""
    write_bytes(tmp_path / "a.zip", b"old")
    monkeypatch.setattr(files.os, "fsync", full)  # where network file systems tell it
    with pytest.raises(OSError) as raised, writing_zip(tmp_path / "a.zip") as archive:
        files.add_to_zip(archive, "a", b"a")
    assert raised.value.filename == str(tmp_path / "a.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
    assert (tmp_path / "a.zip").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no space left for out/splat.ply"),
        (errno.EDQUOT, "no space left for out/splat.ply"),
        (errno.EROFS, "its file system is read-only"),
        (errno.EACCES, "permission denied; check its owner and permissions"),
        (errno.EFBIG, "larger than its file system"),
        (errno.EMFILE, "ulimit -n"),
        (errno.EIO, "the disk or network share failed"),
        (errno.ESTALE, "the disk or network share failed"),
    ],
)
def test_faults_of_the_machine_are_sentences(
    number: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error = OSError(number, os.strerror(number), "out/splat.ply")
    assert words in said(capsys, error)
    assert faults.sentence(OSError(number, os.strerror(number))) is not None


def test_a_mistake_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(FileNotFoundError):
        run_main(lambda: Path("/nowhere/at/all").open().close())


def torch_fails() -> None:
    torch.empty(2**62, dtype=torch.uint8)


def numpy_fails() -> None:
    np.empty(2**61, np.uint8)


def cuda_fails() -> None:
    raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")


def python_fails() -> None:
    raise MemoryError


@pytest.mark.parametrize(
    ("fail", "words"),
    [
        (torch_fails, "out of memory .*allocate.*; give the job more"),
        (numpy_fails, "out of memory .Unable to allocate .*; give the job more"),
        (python_fails, "out of memory; give the job more"),
        (cuda_fails, "out of GPU memory; close what else"),
    ],
)
def test_memory_that_does_not_suffice_ends_as_if_killed(
    fail: Callable[[], None], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run_main(fail)
    assert stopped.value.code == 137
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(f"Error: {words}", line)


def test_other_runtime_errors_keep_their_traceback() -> None:
    def fail() -> None:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        run_main(fail)


def test_content_is_no_fault_of_the_machine() -> None:
    """Pillow and gzip raise OSError without a number, zipfile EINVAL, for damaged content."""
    assert not faults.is_fault(OSError("image file is truncated"))
    assert not faults.is_fault(OSError(errno.EINVAL, "Invalid argument"))
    assert faults.is_fault(OSError(errno.EIO, "x")) and not faults.is_fault(RuntimeError())


def test_bytes_are_on_the_disk_before_the_name_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After a power failure there is the old file or the new one, never an empty one of that name."""
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(
        files.os,
        "fsync",
        lambda fd: (done.append(str(Path(f"/proc/self/fd/{fd}").readlink())), fsync(fd)),
    )
    monkeypatch.setattr(files.os, "replace", lambda a, b: (done.append("rename"), replace(a, b)))
    write_bytes(tmp_path / "a.json", b"{}")
    written, renamed, folder = done
    assert written.endswith(".part.json") and renamed == "rename" and folder == str(tmp_path)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_file_systems_that_cannot_sync(
    number: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, "fsync", refuse)
    write_bytes(tmp_path / "a", b"a")
    assert (tmp_path / "a").read_bytes() == b"a"


def test_two_writers_never_share_a_temporary_name(tmp_path: Path) -> None:
    """Containers on one network share have the same process ids."""
    with replacing(tmp_path / "a.json") as one, replacing(tmp_path / "a.json") as other:
        assert one != other
        one.write_text("1")
        other.write_text("2")
    assert (tmp_path / "a.json").read_text() == "1"  # who ends last
    assert len(list(tmp_path.iterdir())) == 1


def test_what_a_killed_process_left_is_removed_and_what_is_in_use_is_not(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from scripts.lib.core.files import replacing, scratch_folder\n"
        f"here = Path({str(tmp_path)!r})\n"
        "with replacing(here / 'a.json') as part, scratch_folder(here, 'import') as folder:\n"
        "    part.write_text('half'); (folder / 'photo.jpg').write_text('x')\n"
        "    print('ready', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    theirs = set(tmp_path.iterdir())
    assert len(theirs) == 2
    with scratch_folder(tmp_path, "import"):
        write_bytes(tmp_path / "a.json", b"{}")
        assert theirs < set(tmp_path.iterdir()), "another process is still at work on these"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    write_bytes(tmp_path / "a.json", b"{}")
    with scratch_folder(tmp_path, "import") as folder:
        assert {path.name for path in tmp_path.iterdir()} == {"a.json", folder.name}


def test_a_file_system_without_locks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing can be known of other processes there, so nothing of theirs is removed."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", refuse)
    other = tmp_path / ".a.01234567.part.json"
    other.write_text("half")
    write_bytes(tmp_path / "a.json", b"{}")
    with part_file(tmp_path, "b"), scratch_folder(tmp_path, "c"):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", other.name}


def test_names_as_long_as_a_file_system_takes(tmp_path: Path) -> None:
    name = "n" * 254
    write_bytes(tmp_path / name, b"1")
    assert (tmp_path / name).read_bytes() == b"1"


def test_a_folder_without_rights_names_the_file_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not the temporary one, whose name says nothing to anybody."""

    def refuse(path: Path, *_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(files.os, "open", refuse)
    with pytest.raises(PermissionError) as raised:
        write_bytes(tmp_path / "a.json", b"{}")
    assert said(capsys, raised.value).startswith(f"Error: {tmp_path / 'a.json'} cannot be used")


def test_errors_of_our_own_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="bad photo"), replacing(tmp_path / "a"):
        raise UserError("bad photo")
    with pytest.raises(ValueError, match="a bug"), replacing(tmp_path / "a"):
        raise ValueError("a bug")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_in_the_middle_of_an_import(
    small_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Photos go to a scratch folder beside the archive; the sentence names that disk."""
    source = tmp_path / "source"
    source.mkdir()
    for number in range(4):
        noise = np.random.default_rng(number).integers(0, 256, (800, 800, 3), np.uint8)
        Image.fromarray(noise).save(source / f"{number}.jpg", quality=95)
    with pytest.raises(OSError) as raised:
        import_photos(str(source), ImportOptions(), small_disk / "photos.zip")
    capsys.readouterr()
    told = said(capsys, raised.value)
    assert "no space left for " in told and f"MB are free in {small_disk}" in told
    assert ".part" not in told and list(small_disk.iterdir()) == []


def test_what_sqlite_keeps_beside_a_database_goes_with_it(tmp_path: Path) -> None:
    """COLMAP ends the process when its database meets a full disk; the next run cleans up."""
    for companion in ("", "-wal", "-shm", "-journal"):
        (tmp_path / f".features.01234567.part.db{companion}").write_bytes(b"left")
    with pytest.raises(UserError, match="x"), replacing(tmp_path / "features.db") as part:
        assert [path for path in tmp_path.iterdir() if path != part] == []
        part.with_name(f"{part.name}-wal").write_bytes(b"open")
        raise UserError("x")
    assert list(tmp_path.iterdir()) == []
