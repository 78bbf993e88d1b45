"""Downloading a published checkpoint once, into the cache.

A connection that breaks off or stalls is taken up again where it stopped; the file appears under its name only when it
is whole. Nothing is downloaded unless the user names a checkpoint by its name.
"""

import contextlib
import logging
import os
import time
from typing import Dict, Optional, Tuple

import requests

from lc_music_vae import files, progress
from lc_music_vae.errors import InputError

logger = logging.getLogger(__name__)

TIMEOUT = (10.0, 30.0)  # seconds to connect, and without a byte
TRIES = 5  # in a row, without a byte more than before
_PAUSE = 1.0  # seconds before the second try; it doubles
_BLOCK = 1 << 20


def fetch(url: str, folder: str, flag: str) -> str:
    """Returns the path of the file at `url` in `folder`, downloading what of it is not there yet.

    Args:
        url: Where it is.
        folder: Where to keep it, under the last part of the URL.
        flag: The flag that asked for it, for error messages.

    Raises:
        InputError: It cannot be had, or not whole. What came is kept, and the next call goes on from there.
    """
    path = os.path.join(folder, url.rsplit("/", 1)[-1])
    if os.path.isfile(path):
        return path
    os.makedirs(folder, exist_ok=True)
    partial = path + ".part"
    logger.info("downloading %s to %s", url, folder)
    tries, reason = 0, ""
    while tries < TRIES:
        before = _size(partial)
        try:
            if _download(url, partial):
                os.replace(partial, path)
                with contextlib.suppress(FileNotFoundError):
                    os.remove(partial + ".json")
                return path
            reason = "the connection ended early"
        except requests.HTTPError as e:
            reason = "the server says %d %s" % (e.response.status_code, e.response.reason)
            break
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


def _download(url: str, partial: str) -> bool:
    """Adds to `partial` what the server sends; returns whether it is the whole file now."""
    have = _size(partial)
    known: Dict[str, Optional[str]] = files.read_json(partial + ".json") or {}
    headers = {"Accept-Encoding": "identity"}
    if have and known.get("tag"):
        # If the file has changed since, If-Range has the server send all of the new one.
        headers.update({"Range": "bytes=%d-" % have, "If-Range": known["tag"]})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code == 416 and str(have) == known.get("total"):
            return True
        response.raise_for_status()
        have, total = _offset_and_total(response, have)
        tag = response.headers.get("ETag") or response.headers.get("Last-Modified")
        files.write_json(partial + ".json", {"tag": tag, "total": None if total is None else str(total)})
        counted = {"initial": have, "unit_scale": True, "unit_divisor": 1024}
        with open(partial, "r+b" if have else "wb") as f, progress.bar("downloading", total, "B", **counted) as bar:
            f.seek(have)
            f.truncate()
            for block in response.iter_content(_BLOCK):
                f.write(block)
                bar.update(len(block))
    return total is None or _size(partial) == total


def _offset_and_total(response: requests.Response, have: int) -> Tuple[int, Optional[int]]:
    """Returns where what is sent begins in the file, and the file's length if the server says it."""
    length = response.headers.get("Content-Length")
    if response.status_code == 206:
        total = response.headers.get("Content-Range", "").rsplit("/", 1)[-1]
        return have, int(total) if total.isdigit() else None
    return 0, int(length) if length else None
