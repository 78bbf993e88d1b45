"""A file system that Beam does not know until this module is imported: shelf://box/a.mid is a file in a folder.

It has no folders, as object stores have none: what is listed is what begins with a text. A file is there when it is
closed. The folder is named by an environment variable, so that workers in other processes find it.
"""

import os
import shutil

from apache_beam.io.filesystem import BeamIOError, FileMetadata, FileSystem

FOLDER = "LC_TEST_SHELF"
_PREFIX = "shelf://"


def path_of(address):
    """The path of the file that an address stands for."""
    return os.path.join(os.environ[FOLDER], address[len(_PREFIX) :].replace("/", "%"))


class Shelf(FileSystem):
    """The file system."""

    @classmethod
    def scheme(cls):
        return "shelf"

    def join(self, basepath, *paths):
        return "/".join([basepath.rstrip("/"), *paths])

    def split(self, path):
        head, _, tail = path.rpartition("/")
        return head, tail

    def mkdirs(self, path):
        pass

    def has_dirs(self):
        return False

    def _list(self, dir_or_prefix):
        for name in sorted(os.listdir(os.environ[FOLDER])):
            address = _PREFIX + name.replace("%", "/")
            if address.startswith(dir_or_prefix):
                yield self.metadata(address)

    def create(self, path, mime_type="", compression_type=""):
        assert compression_type == "uncompressed"
        return open(path_of(path), "wb")

    def open(self, path, mime_type="", compression_type=""):
        assert compression_type == "uncompressed"
        try:
            return open(path_of(path), "rb")
        except OSError as e:
            raise BeamIOError("Open failed", {path: e}) from e

    def copy(self, source_file_names, destination_file_names):
        for source, target in zip(source_file_names, destination_file_names):
            shutil.copyfile(path_of(source), path_of(target))

    def rename(self, source_file_names, destination_file_names):
        for source, target in zip(source_file_names, destination_file_names):
            if self.exists(target):  # HDFS refuses this
                raise BeamIOError("Rename failed", {(source, target): FileExistsError(target)})
            os.rename(path_of(source), path_of(target))

    def exists(self, path):
        return os.path.isfile(path_of(path))

    def size(self, path):
        return os.path.getsize(path_of(path))

    def last_updated(self, path):
        return os.path.getmtime(path_of(path))

    def checksum(self, path):
        return str(self.size(path))

    def metadata(self, path):
        return FileMetadata(path, self.size(path), self.last_updated(path))

    def delete(self, paths):
        for path in paths:
            os.remove(path_of(path))
