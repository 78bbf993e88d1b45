"""Files at addresses such as gs://bucket/songs: on the file systems that Apache Beam knows. Paths are taken as well.

Beam is imported inside functions: it is an extra, and nothing else waits for it.
"""

import contextlib
import importlib.util
import os
import re
import secrets
import shutil
from typing import Any, Callable, Dict, List

from lc_music_vae.errors import InputError
from lc_music_vae.system import files

_ADDRESS = re.compile(r"(?P<scheme>[a-zA-Z][-a-zA-Z0-9+.]*)://")
# What Beam's own file systems need beside it: the extra of apache-beam, and a package that is there if it is installed.
_EXTRAS = {"gs": ("gcp", "apitools"), "s3": ("aws", "boto3"), "azfs": ("azure", "azure")}
_BLOCK = 1 << 20


def is_address(path: Any) -> bool:
    """Returns whether a value is an address, not a path of this machine."""
    return isinstance(path, str) and _ADDRESS.match(path) is not None


def refused(flag: str, address: str) -> InputError:
    """Returns the error to raise if an address is given to what takes paths alone."""
    return InputError(
        "%s=%s is an address, which only --mode=encode with --runner=beam takes; copy what is there to this machine, "
        "and give the path" % (flag, address)
    )


def join(folder: str, name: str) -> str:
    """Returns the address of a file in a folder; its path, if the folder has a path."""
    return folder.rstrip("/") + "/" + name if is_address(folder) else os.path.join(folder, name)


def check(flag: str, address: str, options: Any) -> None:
    """Raises an `InputError` unless Beam can reach the file system of an address.

    Args:
        flag: The flag that names it.
        address: The address.
        options: Beam's `PipelineOptions`; later calls of this module use them, too.
    """
    from apache_beam.io.filesystems import FileSystems

    FileSystems.set_options(options)
    try:
        FileSystems.exists(address)
    except Exception as e:  # each file system has errors of its own
        scheme = _ADDRESS.match(address).group("scheme")  # type: ignore[union-attr]
        extra, package = _EXTRAS.get(scheme, ("", ""))
        if extra and importlib.util.find_spec(package) is None:
            raise InputError(
                "%s=%s: Beam reaches %s:// with packages that are not installed; pip install 'apache-beam[%s]', of the "
                "version in requirements-beam.txt, on each worker too" % (flag, address, scheme, extra)
            ) from e
        raise InputError("%s=%s cannot be reached (%s)" % (flag, address, _why(e))) from e


def fetch(address: str, path: str) -> None:
    """Copies the file at an address to a path.

    Raises:
        FileNotFoundError: There is no such file.
        InputError: It cannot be read.
    """
    from apache_beam.io.filesystem import CompressionTypes
    from apache_beam.io.filesystems import FileSystems

    try:
        as_it_is = CompressionTypes.UNCOMPRESSED
        with FileSystems.open(address, compression_type=as_it_is) as source, open(path, "wb") as f:
            shutil.copyfileobj(source, f, _BLOCK)
    except Exception as e:
        if _is_missing(address):
            raise FileNotFoundError(address) from e
        raise InputError("%s cannot be read (%s); give the same command again" % (address, _why(e))) from e


def store(path: str, address: str) -> None:
    """Copies a file to an address, in place of what is there. The file there is complete or absent.

    It is written under another name first, in a scratch folder as `files` makes them: what a kill leaves of it is
    removed with these, after the folder was copied to a machine.

    Raises:
        InputError: It cannot be written.
    """
    from apache_beam.io.filesystem import CompressionTypes
    from apache_beam.io.filesystems import FileSystems

    folder, name = os.path.dirname(address), os.path.basename(address)
    scratch = join(folder, files.scratch_name(secrets.token_hex(4)))
    try:
        try:
            temporary = join(scratch, name)
            with contextlib.suppress(Exception):  # where there are no folders, or where writing makes them
                FileSystems.mkdirs(scratch)
            as_it_is = CompressionTypes.UNCOMPRESSED
            with open(path, "rb") as f, FileSystems.create(temporary, compression_type=as_it_is) as target:
                shutil.copyfileobj(f, target, _BLOCK)
            if FileSystems.exists(address):  # not every file system renames onto a file
                FileSystems.delete([address])
            FileSystems.rename([temporary], [address])
        finally:
            with contextlib.suppress(Exception):  # where there are no folders, this one is gone with its file
                FileSystems.delete([scratch + "/"])
    except Exception as e:
        said = "%s cannot be written (%s); when it can be, give the same command again"
        raise InputError(said % (address, _why(e))) from e


def listed(folder: str) -> Dict[str, int]:
    """Returns the sizes of the files in a folder, by name, in bytes; none if there is no such folder."""
    return {os.path.basename(path): size for path, size in _matching(_plainly(folder.rstrip("/")) + "/*").items()}


def find(address: str, is_wanted: Callable[[str], bool]) -> Dict[str, int]:
    """Returns the files that an address (a file, a glob, or a folder with its subfolders) stands for; none if none are.

    Args:
        address: The address.
        is_wanted: Whether a file of this name is wanted, in a folder.

    Returns:
        Their sizes, in bytes, by address, sorted.
    """
    found: Dict[str, int] = {}
    folders, seen = [address.rstrip("/")], set()
    while folders:
        folder = folders.pop()
        seen.add(folder)
        for path, size in _matching(_plainly(folder) + "/**").items():
            if is_wanted(os.path.basename(path)):
                found[path] = size
            elif size == 0 and path.rstrip("/") not in seen:
                folders.append(path.rstrip("/"))  # HDFS lists a folder's subfolders, and not what is in them
    # HDFS takes a folder for a file, of no size.
    return dict(sorted((found or {path: size for path, size in _matching(address).items() if size}).items()))


def _matching(pattern: str) -> Dict[str, int]:
    """Returns the sizes of the files that a pattern of Beam's stands for.

    Raises:
        InputError: They cannot be listed.
    """
    from apache_beam.io.filesystems import FileSystems

    try:
        return {one.path: one.size_in_bytes for one in FileSystems.match([pattern])[0].metadata_list}
    except Exception as e:
        folder = os.path.dirname(pattern)
        if _is_missing(re.sub(r"\[([*?[])\]", r"\1", folder)):
            return {}
        raise InputError("%s cannot be listed (%s); give the same command again" % (folder, _why(e))) from e


def _is_missing(address: str) -> bool:
    """Returns whether it is known that there is nothing at an address."""
    from apache_beam.io.filesystems import FileSystems

    try:
        return not FileSystems.exists(address)
    except Exception:
        return False


def _plainly(folder: str) -> str:
    """Returns a pattern that stands for this folder alone, whatever characters it has."""
    return re.sub(r"[*?[]", r"[\g<0>]", folder)


def _why(error: Any) -> str:
    """Returns what the innermost of Beam's errors says, in one line."""
    seen: List[Any] = []
    while getattr(error, "exception_details", None) and error not in seen:
        seen.append(error)
        details = error.exception_details
        error = next(iter(details.values())) if isinstance(details, dict) else details
    return " ".join(str(error).split()) or type(error).__name__
