"""Files from a URL: whole or absent, continued where they broke off, never swapped unseen."""

import codecs
import datetime
import errno
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from common import files
from common.console import Progress
from common.errors import UserError
from common.hashes import cached_sha256
from common.paths import cache_root

if TYPE_CHECKING:
    import requests

FIRST_PAUSE = 1.0  # seconds before the second attempt; it doubles with each further one
_BLOCK = 1 << 16  # bytes; what a broken connection can lose at most


class _TransientError(Exception):
    """A failure that another attempt may not meet."""


def download(
    url: str,
    into: Path,
    *,
    sha256: str | None = None,
    progress: Progress | None = None,
    timeout: float = 30.0,
    attempts: int = 5,
) -> Path:
    """Fetch a URL into a folder, under the URL's own file name, and return the file.

    A file that is there already is checked and returned without a request. What breaks off stays
    as `<name>.part` and is continued, by this call or a later one. The first download's SHA-256 is
    recorded (`known-downloads.json` in the cache) and every later one must have it; `sha256` is a
    published one that overrides the record. `timeout` is in seconds without a sign of life;
    `progress` is told the bytes so far and, where known, the bytes in all.
    Raises UserError, which says what to do, when the file cannot be had or is another one.
    """
    target = into / _file_name(url)
    with files.locked(into / f".{target.name}.lock"):
        if target.exists():
            return _accept(url, target, target, sha256)
        part = _Part(url, target)
        _fetch(part, progress or (lambda done, total: None), timeout, attempts)
        try:
            return _accept(url, part.path, target, sha256)
        finally:
            if not part.path.exists():  # it has its name now, or is set aside
                part.forget()


def downloaded(url: str, into: Path) -> Path | None:
    """The file that `download` left, checked against its recorded hash; None where there is none.

    Never touches the network. A file put there by hand is taken on trust and recorded.
    """
    target = into / _file_name(url)
    return _accept(url, target, target, None) if target.exists() else None


def _file_name(url: str) -> str:
    name = Path(unquote(urlsplit(url).path)).name
    if not name:
        raise UserError(f"{url} names no file: it must end in a file's name")
    return name


# ---- one attempt after the other ----


class _Part:
    """The beginning of a file, and a note about the file that it is the beginning of."""

    def __init__(self, url: str, target: Path):
        self.url = url
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")
        note = files.read_json(self._note)
        self.note = note if isinstance(note, dict) and note.get("url") == url else {}
        if not self.note:
            self.forget()  # the beginning of some other file is of no use

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def begin(self, total: int | None, validator: str | None) -> None:
        self.note = {"url": self.url, "bytes": total, "validator": validator}
        files.write_json(self._note, self.note)

    def forget(self) -> None:
        self.note = {}
        self._note.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


def _fetch(part: _Part, progress: Progress, timeout: float, attempts: int) -> None:
    """Attempt until the part is the whole file; raises UserError after the last attempt."""
    if part.size and part.size == part.note.get("bytes"):
        return  # an earlier run was ended between the last byte and the file's name
    problem = ""
    for attempt in range(attempts):
        if attempt:
            time.sleep(FIRST_PAUSE * 2 ** (attempt - 1))
        try:
            _attempt(part, progress, timeout)
            return
        except _TransientError as error:
            problem = str(error)
    kept = f"; {part.size / 1e6:.1f} MB are kept, run again to go on" if part.size else ""
    raise UserError(
        f"cannot fetch {part.url}: {problem} (attempts: {attempts}){kept}; {_by_hand(part)}"
    )


def _attempt(part: _Part, progress: Progress, timeout: float) -> None:
    import requests  # here: it costs every command a tenth of a second
    from urllib3.exceptions import NameResolutionError

    # No compression: lengths and offsets must be those of the file.
    headers = {"Accept-Encoding": "identity"}
    if part.size:
        headers["Range"] = f"bytes={part.size}-"
        if part.note.get("validator"):
            headers["If-Range"] = part.note["validator"]
    try:
        with requests.get(part.url, headers=headers, stream=True, timeout=timeout) as response:
            total = _begin(part, response)
            _write(part, response.iter_content(_BLOCK), total, progress)
    except (
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
    ) as error:
        reason = getattr(error.args[0], "reason", None) if error.args else None
        if isinstance(reason, NameResolutionError):
            host = urlsplit(part.url).hostname
            raise UserError(f"no network, or no such host as {host}; {_by_hand(part)}") from None
        raise _TransientError(_cause(error)) from None
    except (requests.RequestException, ValueError) as error:  # also of where it is redirected to
        raise UserError(f"cannot fetch {part.url}: {error}") from None
    except OSError as error:
        if error.errno is None:  # what requests says of a REQUESTS_CA_BUNDLE that is not there
            raise UserError(f"cannot fetch {part.url}: {error}") from None
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(
            f"no space left on the disk for {part.target}; what was fetched is kept, "
            "free some space and run again"
        ) from None
    if not part.size:
        raise _TransientError("the server sent an empty file")
    if _is_page(part.path):
        part.forget()
        raise UserError(
            f"{part.url}: a web page came in place of the file, as of a network that wants a "
            f"login; {_by_hand(part)}"
        )
    if total is not None and part.size != total:
        problem = f"got {part.size} of {total} bytes"
        if part.size > total:
            part.forget()
        raise _TransientError(problem)


def _begin(part: _Part, response: "requests.Response") -> int | None:
    """Read the answer's head: where its bytes go, and the size of the whole file if it says so."""
    status = response.status_code
    if status == 206:
        answer = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
        start, total = (int(number) for number in answer.groups()) if answer else (None, None)
        if start == part.size and total == (part.note.get("bytes") or total):
            return total
        part.forget()
        raise _TransientError("the file changed on the server, or its ranges are wrong")
    if status == 416:
        part.forget()
        raise _TransientError("the part that was kept does not belong to this file")
    if status == 200:
        part.forget()  # the server ignores ranges, or its file changed: start over
        length = response.headers.get("Content-Length")
        if length and not re.fullmatch(r"\d+", length):
            raise _TransientError(f"the server says a length that is none ({length})")
        total = int(length) if length else None
        part.begin(total, _validator(response.headers))
        return total
    if status in (404, 410):
        raise UserError(f"{part.url}: the server has no such file (HTTP {status})")
    if status >= 500 or status in (408, 429):
        raise _TransientError(f"the server answers HTTP {status}")
    raise UserError(f"{part.url}: the server refuses (HTTP {status}); {_by_hand(part)}")


def _validator(headers: Mapping[str, str]) -> str | None:
    """What If-Range may carry: a strong ETag, else the date (RFC 9110, 13.1.5)."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified")


def _write(part: _Part, blocks: Iterator[bytes], total: int | None, progress: Progress) -> None:
    done = part.size
    with part.path.open("ab") as stream:
        for block in blocks:
            stream.write(block)
            done += len(block)
            progress(done, total)
        stream.flush()
        os.fsync(stream.fileno())


def _is_page(path: Path) -> bool:
    """Whether a file is HTML, which nothing is that is fetched here."""
    with path.open("rb") as stream:
        head = stream.read(1024).removeprefix(codecs.BOM_UTF8).lstrip().lower()
    return head.startswith((b"<!doctype html", b"<html"))


def _cause(error: BaseException) -> str:
    """The innermost exception's words; the outer ones repeat it with addresses of objects."""
    while error.__context__ is not None:
        error = error.__context__
    return getattr(error, "strerror", None) or str(error)


def _by_hand(part: _Part) -> str:
    return f"check the network, or fetch {part.url} by hand and save it as {part.target}"


# ---- trust on first use ----


def _known_downloads() -> Path:
    return cache_root() / "known-downloads.json"


def _accept(url: str, found: Path, target: Path, published: str | None) -> Path:
    """Give a file its name if it is the expected one; else set it aside and raise UserError."""
    digest = cached_sha256(found)
    record = _known_downloads()
    with files.locked(record.with_suffix(".lock")):
        known = files.read_json(record) if record.exists() else {}
        if not isinstance(known, dict):
            raise UserError(f"{record} is damaged; repair it, or remove it to trust anew")
        before = known.get(url)
        if published and digest != published:
            raise _refused(found, target, f"its published sha256 is {published}, got {digest}", "")
        if before and before["sha256"] != digest and not published:
            raise _refused(
                found,
                target,
                f"on {before['date']} its sha256 was {before['sha256']}, now it is {digest}",
                f"; if that is expected, remove the entry {url} from {record} and run again",
            )
        if not before or before["sha256"] != digest:
            size = found.stat().st_size
            today = datetime.datetime.now(datetime.UTC).date().isoformat()
            known[url] = {"sha256": digest, "size": size, "date": today}
            files.write_json(record, known)
    found.replace(target)
    return target


def _refused(found: Path, target: Path, evidence: str, remedy: str) -> UserError:
    aside = target.with_name(f"{target.name}.refused")
    found.replace(aside)
    return UserError(f"{target.name} is not the expected file: {evidence}; kept as {aside}{remedy}")
