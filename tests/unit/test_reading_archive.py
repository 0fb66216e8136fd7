"""Archives and folders: what is in them is found; what would do harm is not opened."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path

import pytest

from kb.reading.archive import Expander, Found, folder_files
from kb.reading.limits import Limits
from kb.reading.port import Unreadable


def packed(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def expand(path: Path, spool: Path, limits: Limits | None = None) -> list[Found]:
    spool.mkdir(exist_ok=True)
    return list(Expander(spool, limits or Limits()).files(path.name, path))


def faults(found: list[Found]) -> list[tuple[str, str]]:
    return [(item.name, item.fault.fault if item.fault is not None else "") for item in found]


def test_an_archive_gives_its_files_by_their_place(tmp_path: Path) -> None:
    inner = packed(tmp_path / "inner.zip", {"b.txt": b"b"}).read_bytes()
    path = packed(
        tmp_path / "bank.zip", {"a.txt": b"a", "x/inner.zip": inner, "__MACOSX/a": b"-", ".hidden": b"-", "~$a.docx": b"-", "dir/": b""}
    )
    found = expand(path, tmp_path / "spool")
    assert faults(found) == [("bank/a.txt", ""), ("bank/x/inner/b.txt", "")]
    assert [item.path.read_bytes() for item in found] == [b"a", b"b"]


def test_names_written_by_chinese_windows(tmp_path: Path) -> None:
    path = packed(tmp_path / "bank.zip", {"XXXX.txt": b"a"})
    path.write_bytes(path.read_bytes().replace(b"XXXX", "年费".encode("gb18030")))
    assert [item.name for item in expand(path, tmp_path / "spool")] == ["bank/年费.txt"]


@pytest.mark.parametrize("name", ["../a.txt", "/etc/a.txt", "x/../../a.txt", "C:/a.txt", "..\\a.txt"])
def test_a_name_that_leads_outside_is_refused(tmp_path: Path, name: str) -> None:
    found = expand(packed(tmp_path / "bank.zip", {"good.txt": b"a", name: b"b"}), tmp_path / "spool")
    assert faults(found) == [("bank.zip", "archive_path")], "nothing of such an archive is taken"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bank.zip", "spool"]


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bank.zip", "w") as archive:
        link = zipfile.ZipInfo("a.txt")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert faults(expand(tmp_path / "bank.zip", tmp_path / "spool")) == [("bank.zip", "archive_path")]


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = packed(tmp_path / "bomb.zip", {f"{number}.txt": b"0" * (4 << 20) for number in range(10)})
    assert path.stat().st_size < 1 << 20
    assert faults(expand(path, tmp_path / "spool")) == [("bomb.zip", "archive_bomb")]
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_bomb_that_lies_about_its_size_gives_no_more_than_it_said(tmp_path: Path) -> None:
    path = packed(tmp_path / "bomb.zip", {"a.txt": b"0" * 5_000_000})
    data = path.read_bytes().replace((5_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    path.write_bytes(data)
    found = expand(path, tmp_path / "spool")
    assert faults(found) == [("bomb.zip", "damaged")]
    assert sum(file.stat().st_size for file in (tmp_path / "spool").iterdir()) <= 100


def test_archives_in_archives_end_somewhere(tmp_path: Path) -> None:
    data, name = b"text", "a.txt"
    for level in range(5):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(name, data)
        data, name = buffer.getvalue(), f"{level}.zip"
    (tmp_path / "top.zip").write_bytes(data)
    assert faults(expand(tmp_path / "top.zip", tmp_path / "spool")) == [("top/3/2/1.zip", "archive_nested")]


def test_what_all_archives_together_hold_is_bounded(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    expander = Expander(spool, Limits(total_bytes=1500, entries=4))
    found = [item for number in range(2) for item in expander.files("a.zip", packed(tmp_path / f"{number}.zip", {"a.txt": b"x" * 1000}))]
    assert faults(found) == [("a/a.txt", ""), ("a.zip", "archive_bomb")]
    one = packed(tmp_path / "one.zip", {"a.txt": b"x"})
    with pytest.raises(Unreadable, match="4 files"):
        [item for number in range(9) for item in expander.files(f"{number}.zip", one)]


def test_a_protected_or_damaged_archive(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"a.txt": b"some text " * 100})
    data = bytearray(path.read_bytes())
    start = data.index(b"PK\x01\x02")
    locked = bytearray(data)
    locked[6] |= 1
    locked[start + 8] |= 1
    path.write_bytes(locked)
    assert faults(expand(path, tmp_path / "spool")) == [("a.zip", "password")]
    path.write_bytes(data[:60])
    assert faults(expand(path, tmp_path / "spool")) == [("a.zip", "damaged")]


def test_a_folder_is_named_with_its_own_name(tmp_path: Path) -> None:
    folder = tmp_path / "manuals"
    (folder / "cards").mkdir(parents=True)
    (folder / ".git").mkdir()
    for name in ("cards/b.txt", "a.txt", ".git/config"):
        (folder / name).write_text("x")
    (folder / "link.txt").symlink_to("/etc/passwd")
    assert [name for name, _ in folder_files(folder)] == ["manuals/a.txt", "manuals/cards/b.txt"]
