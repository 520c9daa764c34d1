"""Lists of photos as people have them: in other encodings, with other separators and paths."""

import os
import unicodedata
from pathlib import Path

import pytest

from common.console import say_once
from common.errors import UserError
from data.images import ImageSet
from data.photo_folders import AS_FOUND, EITHER, UNLABELLED


@pytest.fixture(autouse=True)
def unsaid():
    """What a command says once, each test may say."""
    say_once.cache_clear()


@pytest.fixture
def listing(tmp_path):
    """Makes empty photos in a folder `set`, and a list there."""

    def make(text: str | bytes, *photos: str, name: str = "list.txt") -> Path:
        folder = tmp_path / "set"
        folder.mkdir(exist_ok=True)
        for photo in photos:
            (folder / photo).parent.mkdir(parents=True, exist_ok=True)
            (folder / photo).touch()
        path = folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return make


def names(images: ImageSet, folder: Path) -> list[str]:
    return [os.path.relpath(path, folder) for path in images.paths]


def complaint(source, **options) -> str:
    with pytest.raises(UserError) as caught:
        ImageSet.open(source, **options)
    said = str(caught.value)
    assert said.isprintable(), said
    return said


# ---- how lines are written ----


@pytest.mark.parametrize(
    ("text", "understood"),
    [
        ("a/1.jpg,0\nb/2.jpg,3\n", "commas between path and label"),
        ("a/1.jpg;0\r\nb/2.jpg;3\r\n", "semicolons between path and label"),
        ("a/1.jpg|0\nb/2.jpg|3\n", "bars between path and label"),
        ("path,label\na/1.jpg,0\nb/2.jpg,3\n", "commas between path and label"),
        (",filename,class\n0,a/1.jpg,0\n1,b/2.jpg,3\n", "commas between path and label"),
        ("class,width,file\n0,9,a/1.jpg\n3,9,b/2.jpg\n", "commas between path and label"),
        ('"a/1.jpg", "0"\n"b/2.jpg", "3"\n', "commas between path and label"),
        ("0 a/1.jpg\n3 b/2.jpg\n", "labels before paths"),
        ("0,a/1.jpg\n3,b/2.jpg\n", "commas between path and label"),
        ("a\\1.jpg 0\r\nb\\2.jpg 3\r\n", "backslashes as slashes"),
        (".\\a\\1.jpg\t0\r\nb/2.jpg\t3\r\n", "backslashes as slashes"),
        ("A/1.JPG 0\nB/2.JPG 3\n", "names but for capitals or accents"),
        ("D:\\my set\\a\\1.jpg 0\nD:\\my set\\b\\2.jpg 3\n", "paths without 'D:/my set/'"),
        ("/home/ann/set/a/1.jpg 0\n/home/ann/set/b/2.jpg 3\n", "paths without '/home/ann/set/'"),
        ("set/a/1.jpg 0\nset/b/2.jpg 3\n", "paths from "),
        ("\ufeff;Filename;Class\r\n0;a/1.jpg;0\r\n1;b/2.jpg;3\r\n", "semicolons between"),
    ],
)
def test_other_forms_are_understood_and_said(listing, capsys, text, understood):
    path = listing(text, "a/1.jpg", "b/2.jpg")
    images = ImageSet.open(path)
    assert names(images, path.parent) == ["a/1.jpg", "b/2.jpg"]
    assert images.labels == [0, 3]
    said = capsys.readouterr().err
    assert said.startswith("  list.txt: 2 photos of 2 classes (")
    assert understood in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "text",
    [
        "a/1.jpg 0\n'b/2.jpg' 3\n",
        '"a/1.jpg" 0\n"b/2.jpg"\t3\n',
        "a/1.jpg 0 tench\nb/2.jpg 3 tiger shark, Galeocerdo\n",
        "a/1.jpg 0 # tench\nb/2.jpg 3\n",
        "image label\na/1.jpg 0.0\nb/2.jpg 3.0\n",
        "# path label\na/1.jpg 0\n\n# b\nb/2.jpg 3\n",
        "a/1.jpg 0\rb/2.jpg 3\r",
        "a/1.jpg 0\r\nb/2.jpg 3\r\n\x1a",
    ],
    ids=[
        "quotes",
        "double quotes",
        "a name",
        "a remark",
        "as floats",
        "comments",
        "old Mac",
        "DOS",
    ],
)
def test_spellings_of_the_projects_own_form(listing, capsys, text):
    images = ImageSet.open(listing(text, "a/1.jpg", "b/2.jpg"))
    assert images.labels == [0, 3]
    assert [path.name for path in images.paths] == ["1.jpg", "2.jpg"]
    assert capsys.readouterr().err == ""  # nothing had to be understood


def test_one_line_that_is_written_otherwise_among_many(listing):
    photos = [f"{number}.jpg" for number in range(300)]
    lines = [f"{photo} 1" for photo in photos]
    lines[7] = "sub\\7.jpg 1"
    images = ImageSet.open(listing("\n".join(lines), "sub/7.jpg", *photos))
    assert images.paths[7].parts[-2:] == ("sub", "7.jpg")


def test_a_list_that_starts_from_the_working_folder(listing, tmp_path, monkeypatch, capsys):
    path = listing("a.jpg 5\n")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jpg").touch()
    assert ImageSet.open(path).paths == [tmp_path / "a.jpg"]
    assert "paths from the working folder" in capsys.readouterr().err


def test_excels_unicode_text(listing):
    text = "path\tlabel\r\nmy a\\1.jpg\t5\r\n".encode("utf-16-le")
    assert ImageSet.open(listing(text, "my a/1.jpg")).labels == [5]


def test_a_link_to_a_list_that_lies_beside_its_photos(listing, tmp_path, capsys):
    path = listing("1.jpg 5\n", "1.jpg")
    (tmp_path / "link.txt").symlink_to(path)
    assert len(ImageSet.open(tmp_path / "link.txt")) == 1
    assert f"paths from {path.parent}" in capsys.readouterr().err


def test_addresses_of_files(listing):
    path = listing("", "my 1.jpg")
    path.write_text(f"file://{path.parent}/my%201.jpg 5\n")
    assert ImageSet.open(path).paths == [path.parent / "my 1.jpg"]


def test_a_list_that_is_a_pipe_is_called_so(tmp_path):
    os.mkfifo(tmp_path / "list.txt")
    assert "list.txt: neither a folder nor a file (what is in a pipe" in complaint(
        tmp_path / "list.txt"
    )


def test_accents_that_a_mac_took_apart(listing):
    apart, together = (unicodedata.normalize(form, "café.jpg") for form in ("NFD", "NFC"))
    images = ImageSet.open(listing(f"{together} 1\n", apart))
    assert images.paths[0].name == apart


def test_names_alike_but_for_capitals_are_not_guessed(listing):
    said = complaint(listing("PHOTO.JPG 1\n", "photo.jpg", "Photo.jpg"))
    assert "1 of 1 photos are absent" in said


def test_folders_are_never_dropped_where_they_tell_photos_apart(listing):
    said = complaint(listing("cat/1.jpg 0\ndog/1.jpg 1\n", "1.jpg"))
    assert "2 of 2 photos are absent" in said


# ---- encodings ----


@pytest.mark.parametrize(
    ("encoding", "called"),
    [
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-32", "UTF-32"),
        ("gbk", "GBK"),
        ("gb18030", "GBK"),
        ("big5", "Big5"),
        ("utf-8-sig", ""),
    ],
)
def test_a_chinese_path_in_another_encoding(listing, capsys, encoding, called):
    name = "貓/花園.jpg"
    path = listing(f"{name} 7\r\n".encode(encoding), name)
    images = ImageSet.open(path)
    assert names(images, path.parent) == [name]
    assert images.labels == [7]
    assert called in capsys.readouterr().err


def test_a_western_name_in_windows_encoding(listing, capsys):
    images = ImageSet.open(listing("Müller\\Grün.jpg 1".encode("cp1252"), "Müller/Grün.jpg"))
    assert images.paths[0].name == "Grün.jpg"
    assert "Windows-1252; backslashes as slashes" in capsys.readouterr().err


def test_names_on_the_disk_may_be_in_gbk_themselves(listing):
    """As unzip leaves those of an archive that Windows made."""
    raw = os.fsdecode("狗图.jpg".encode("gbk"))
    for text in ("狗图.jpg 1".encode("gbk"), "狗图.jpg 1".encode()):
        assert ImageSet.open(listing(text, raw)).paths[0].name == raw


# ---- names for labels ----


@pytest.mark.parametrize("text", ["cat\ndog\n", "0 cat\n1 dog\n", "0,cat\r\n1,dog\r\n"])
@pytest.mark.parametrize("name", ["classes.txt", "labels.txt", "label_list.txt"])
def test_names_of_classes_beside_the_list(listing, name, text):
    path = listing("1.jpg 1\n2.jpg 0\n", "1.jpg", "2.jpg")
    path.with_name(name).write_bytes(text.encode())
    assert ImageSet.open(path, class_num=2).class_names == ["cat", "dog"]


@pytest.mark.parametrize("encoding", ["utf-16", "gbk", "utf-8-sig"])
def test_chinese_names_of_classes(listing, encoding):
    path = listing("1.jpg 1\n", "1.jpg")
    path.with_name("labels.txt").write_bytes("猫\n狗\n".encode(encoding))
    assert ImageSet.open(path, class_num=2).class_names == ["猫", "狗"]


def test_names_in_an_unknown_encoding_are_no_guess(listing):
    path = listing("1.jpg 1\n", "1.jpg")
    path.with_name("classes.txt").write_bytes("Größe\nMüll\n".encode("latin-1"))
    assert "classes.txt: its encoding cannot be known" in complaint(path, class_num=2)


@pytest.mark.parametrize("text", ["1.jpg dog\n2.jpg cat\n", "1.jpg,dog\n2.jpg,cat\n"])
@pytest.mark.parametrize("class_num", [2, None])
def test_names_for_labels(listing, capsys, text, class_num):
    images = ImageSet.open(listing(text, "1.jpg", "2.jpg"), class_num)
    assert (images.labels, images.class_names) == ([1, 0], ["cat", "dog"])
    assert "names for labels, in the order of the alphabet" in capsys.readouterr().err


def test_another_file_called_labels_txt_is_none_of_ours(listing):
    path = listing("1.jpg 1\n", "1.jpg")
    path.with_name("labels.txt").write_bytes(bytes(range(256)))
    assert ImageSet.open(path, class_num=2).class_names is None


def test_names_for_labels_in_the_order_of_a_list(listing):
    path = listing("1.jpg dog\n2.jpg big cat\n", "1.jpg", "2.jpg")
    path.with_name("labels.txt").write_text("dog\nfox\nbig cat\n")
    assert ImageSet.open(path, 3).labels == [0, 2]
    said = complaint(path, class_num=7)
    assert "its labels are 2 names" in said
    assert "classes.txt beside the list" in said
    path.with_name("labels.txt").write_text("dog\nfox\ncat\n")
    assert "line 2: no class 'big cat'" in complaint(path, class_num=3)


# ---- no labels ----


@pytest.mark.parametrize("text", ["1.jpg\nmy 2\n", '"1.jpg"\n"my 2"\n', "set/1.jpg\nset/my 2\n"])
def test_a_text_file_of_paths(listing, capsys, text):
    path = listing(text, "1.jpg", "my 2")
    images = ImageSet.open(path, labels=AS_FOUND)
    assert names(images, path.parent) == ["1.jpg", "my 2"]
    assert images.labels is None
    assert "list.txt: 2 photos without labels" in capsys.readouterr().err
    assert "2 photos have no labels, which this needs" in complaint(path)


def test_labels_that_some_lines_lack_are_named(listing):
    path = listing("1.jpg 0\n2.jpg\n3.jpg 1\n4.jpg\n", *(f"{n}.jpg" for n in range(1, 5)))
    said = complaint(path, labels=AS_FOUND)
    assert "2 of 4 photos have no label: line 2 (2.jpg), line 4 (4.jpg)" in said
    assert "LABELS=none" in said
    assert "LABELS" not in complaint(path)
    for labels in (UNLABELLED, EITHER):
        images = ImageSet.open(path, labels=labels)
        assert (len(images), images.labels) == (4, None)


def test_labels_are_not_looked_at_where_none_are_needed(listing):
    path = listing("1.jpg 70000\n2.jpg cat\n", "1.jpg", "2.jpg")
    assert ImageSet.open(path, 10, labels=UNLABELLED).labels is None


# ---- what is no list ----


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PK\x03\x04\x14\0\0\0\x08\0", "an archive or a spreadsheet"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xed", "an archive"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "a PDF"),
        (b"\x89HDF\r\n\x1a\n\0\0", "an HDF5 file"),
        (bytes(range(256)), "no text"),
        (b"\xff\xfe\x00", "no text"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "a photo (HEIC)"),
    ],
)
def test_what_is_no_text_is_never_printed(listing, data, what):
    assert f"list.txt: {what}, where a list of photos or names is a text file" in complaint(
        listing(data)
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"images": [{"file_name": "1.jpg"}]}\n', "JSON, XML and HTML are not read"),
        ("cat\ndog\n", "a list of class names? give the list of photos"),
        ("1.jpg 0,1,0\n", "line 1: several numbers behind the path ('0,1,0')"),
        ("1.jpg 10,20,30,40,0\n", "a photo has one class here"),
        ("1.jpg,cat,0\n", "which of its columns has the labels cannot be known"),
        ("\x1b[31m1.jpg\n", "no text"),
        ("1.jpg\u202e 0 1 x\n", "expected 'relative/path label', found"),
    ],
)
def test_other_files_are_refused_with_the_reason(listing, text, said):
    assert said in complaint(listing(text, "1.jpg"))


def test_an_undecodable_list_of_absent_photos_is_printable(listing):
    said = complaint(listing(b"\xc3\x28\xa0\xa1.jpg 0\n"))
    assert "1 of 1 photos are absent" in said
