"""Downloads a published checkpoint once, into the cache.

If a connection fails or stalls, the download continues where it stopped. The file gets its final name only when it is
complete: it has the length that the server reports and the MD5 that Google's servers report, and it is a bundle with an
end. Its SHA-256 is stored next to it, and from then on the file is compared with it. Nothing is downloaded unless the
user gives the name of a published checkpoint.
"""

import base64
import contextlib
import hashlib
import logging
import os
import re
import time
import urllib.parse
from typing import Any, Dict, Optional, Tuple

import requests

from lc_music_vae.checkpoints import bundles
from lc_music_vae.errors import InputError
from lc_music_vae.system import files, progress

logger = logging.getLogger(__name__)

TIMEOUT = (10.0, 30.0)  # seconds to connect, and without a byte
TRIES = 5  # in a row, without a new byte
_PAUSE = 1.0  # seconds before the second try; it doubles
_BLOCK = 1 << 20
_MAX_REDIRECTS = 10
_RANGE = re.compile(r"bytes (?P<start>\d+)-\d+/(?P<total>\d+|\*)$")
_MD5 = re.compile(r"\bmd5=(?P<md5>[A-Za-z0-9+/]{22}==)")


class _RefusedError(Exception):
    """The server's answer cannot be used, and another try would not help."""


class _AnewError(Exception):
    """The downloaded part of the file cannot be used, and the download starts again."""


def fetch(url: str, folder: str, flag: str, *, sha256: Optional[str] = None) -> str:
    """Downloads the missing part of the file at `url`, and returns its path in `folder`.

    Args:
        url: The URL of the file.
        folder: The folder to store it in. The file's name is the last part of the URL.
        flag: The flag that asked for it, for error messages.
        sha256: Its SHA-256 in hexadecimal, if that is known.

    Raises:
        InputError: The file cannot be downloaded, or only a part of it. That part is kept, and the next call continues
            from there. Or a file exists, but it has changed since the download, or its SHA-256 is not `sha256`.
    """
    path = os.path.join(folder, url.rsplit("/", 1)[-1])
    try:
        os.makedirs(folder, exist_ok=True)
        with files.locked(folder, lambda: logger.info("waiting for another process that downloads to %s", folder)):
            for there in (path, _partial(path)):
                if os.path.lexists(there) and not os.path.isfile(there):
                    raise InputError("%s: %s is no plain file; remove it" % (flag, there))
            if not os.path.isfile(path):
                _fetch(url, path, flag, sha256)
            _check_unchanged(path, flag, sha256)
    except OSError as e:
        raise files.cannot_write(path, e) from e
    return path


def _partial(path: str) -> str:
    return path + ".part"


def _record(path: str) -> str:
    return path + ".json"


def _fetch(url: str, path: str, flag: str, sha256: Optional[str]) -> None:
    partial = _partial(path)
    logger.info("downloading %s to %s", url, os.path.dirname(path))
    tries, began_anew, reason = 0, False, ""
    while tries < TRIES:
        before = _size(partial)
        try:
            if _download(url, partial):
                _check_whole(partial, sha256)
                files.flush(partial)
                os.replace(partial, path)
                with contextlib.suppress(FileNotFoundError):
                    os.remove(_record(partial))
                return
            reason = "the connection ended early"
        except requests.HTTPError as e:
            reason = "the server says %d %s" % (e.response.status_code, e.response.reason)
            break
        except _RefusedError as e:
            reason = str(e)
            break
        except _AnewError as e:
            reason = str(e)
            for useless in (partial, _record(partial)):
                with contextlib.suppress(FileNotFoundError):
                    os.remove(useless)
            if began_anew:
                break
            began_anew = True
        except requests.RequestException as e:
            never = isinstance(e, requests.ConnectionError) and not _size(partial)
            reason = "no connection" if never else "the connection ended early"
        if _size(partial) > before:
            tries = 0
        else:
            time.sleep(_PAUSE * 2**tries)
            tries += 1
    raise InputError(
        "%s: %s could not be downloaded (%s); try again to go on, or fetch it another way and give its path"
        % (flag, url, reason)
    )


def _size(path: str) -> int:
    return os.path.getsize(path) if os.path.exists(path) else 0


def _read_record(path: str) -> Dict[str, Any]:
    """Returns the record of a file; empty if the record is damaged."""
    try:
        record = files.read_json(_record(path))
    except (OSError, ValueError):
        record = None
    return record if isinstance(record, dict) else {}


def _download(url: str, partial: str) -> bool:
    """Appends the server's data to `partial`. Returns whether the file is complete, as far as the server reports it."""
    have = _size(partial)
    known = _read_record(partial)
    headers = {"Accept-Encoding": "identity"}
    tag: Any = known.get("tag")
    asked = bool(have and isinstance(tag, str) and tag)
    if asked:
        # If the file has changed since, If-Range makes the server send all of the new one.
        headers.update({"Range": "bytes=%d-" % have, "If-Range": tag})
    with _get(url, headers) as response:
        if response.status_code == 416 and asked:
            if str(have) == known.get("total"):
                return True
            raise _AnewError("the server has no more than %d bytes of it" % have)
        response.raise_for_status()
        have, total = _offset_and_total(response, have if asked else 0)
        tag = response.headers.get("ETag") or response.headers.get("Last-Modified")
        md5 = _MD5.search(response.headers.get("x-goog-hash", ""))
        record = {"tag": tag, "total": None if total is None else str(total), "md5": md5 and md5.group("md5")}
        files.write_json(_record(partial), record)
        counted = {"initial": have, "unit_scale": True, "unit_divisor": 1024}
        with open(partial, "r+b" if have else "wb") as f, progress.bar("downloading", total, "B", **counted) as bar:
            f.seek(have)
            f.truncate()
            for block in response.iter_content(_BLOCK):
                f.write(block)
                bar.update(len(block))
                if f.tell() > bundles.MAX_BYTES:
                    raise _RefusedError("the server sends more than %d GiB" % (bundles.MAX_BYTES >> 30))
    return total is None or _size(partial) == total


def _get(url: str, headers: Dict[str, str]) -> requests.Response:
    """Requests a URL and follows redirects; from https only to https."""
    for _ in range(_MAX_REDIRECTS):
        response = requests.get(url, headers=headers, stream=True, timeout=TIMEOUT, allow_redirects=False)
        if not response.is_redirect:
            return response
        response.close()
        target = urllib.parse.urljoin(url, response.headers["Location"])
        if urllib.parse.urlsplit(url).scheme == "https" != urllib.parse.urlsplit(target).scheme:
            raise _RefusedError("it leads from https to %s" % target)
        url = target
    raise _RefusedError("it leads to more than %d other addresses" % _MAX_REDIRECTS)


def _offset_and_total(response: requests.Response, asked: int) -> Tuple[int, Optional[int]]:
    """Returns the position in the file where the sent data begins, and the file's length if the server reports it."""
    if response.status_code == 206:
        said = _RANGE.match(response.headers.get("Content-Range", ""))
        if said is None or int(said.group("start")) != asked:
            raise _AnewError("the server sends another part than was asked for")
        return asked, int(said.group("total")) if said.group("total").isdigit() else None
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _check_whole(partial: str, sha256: Optional[str]) -> None:
    """Raises an error unless the file is a complete bundle and the one that the server and the registry describe."""
    why = bundles.why_not_whole(partial)
    if why:
        raise _AnewError(why)
    expected = _read_record(partial).get("md5")
    if expected and expected != _md5(partial):
        raise _AnewError("its MD5 is not the one that the server says")
    if sha256 and files.sha256(partial) != sha256:
        raise _AnewError("its SHA-256 is not %s" % sha256)


def _md5(path: str) -> str:
    """Returns a file's MD5 in base64, as Google's servers report it."""
    digest = hashlib.md5()  # noqa: S324 - the only other checksum of the servers is CRC-32C
    with files.opened(path) as f:
        for block in iter(lambda: f.read(_BLOCK), b""):
            digest.update(block)
    return base64.b64encode(digest.digest()).decode()


def _check_unchanged(path: str, flag: str, sha256: Optional[str]) -> None:
    """Compares a downloaded file with its SHA-256, which is recorded and shown the first time.

    The file is read again only if its `files.identity` has changed since its SHA-256 was recorded.
    """
    record, identity = _read_record(path), files.identity(path)
    found = recorded = record.get("sha256")
    if record.get("identity") != identity or not isinstance(recorded, str):
        logger.info("checking %s", path)  # this takes seconds per gigabyte
        found = files.sha256(path)
        if isinstance(recorded, str) and found != recorded:
            raise InputError(
                "%s: %s has SHA-256 %s, but what was downloaded had %s; remove it and %s to download it again"
                % (flag, path, found, recorded, os.path.basename(_record(path)))
            )
        if not recorded:
            logger.info("%s has SHA-256 %s; the file is compared with it each time from now on", path, found)
    if sha256 and found != sha256:
        raise InputError(
            "%s: %s has SHA-256 %s, not the published one's %s; remove it to download it again"
            % (flag, path, found, sha256)
        )
    if record.get("identity") != identity:
        with contextlib.suppress(InputError):  # if the record cannot be written, the file is read each time
            files.write_json(_record(path), {"sha256": found, "identity": identity})
