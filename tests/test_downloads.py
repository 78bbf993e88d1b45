"""Downloading from a server on this machine that breaks off, lies about the length, stalls, or says no."""

import base64
import contextlib
import gzip
import hashlib
import http.server
import io
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tarfile
import threading
import time

import pytest
from helpers import REPO, melody, tune, write_midi

import lc_music_vae
from lc_music_vae.checkpoints import bundles, downloads
from lc_music_vae.errors import InputError
from lc_music_vae.system import files

pytestmark = pytest.mark.faults("downloads that break off, lie or change")


def bundle(name="x.ckpt"):
    """A bundle of a checkpoint by its names; what is in it nobody reads here."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for suffix, content in ((".index", b"index"), (".data-00000-of-00001", bytes(range(256)) * 3900)):
            info = tarfile.TarInfo(name + suffix)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


CONTENT, OTHER = bundle(), bundle("y.ckpt")
LEFT = ["model.tar", "model.tar.json"]


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` with byte ranges; `sends(handler, body)` may misbehave. Requests are kept."""

    daemon_threads = True

    def __init__(self, content=CONTENT):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.tag, self.tag_name, self.status = content, '"one"', "ETag", None
        self.ranges, self.accepted, self.more, self.says_length, self.redirect = [], set(), {}, True, None
        self.part = lambda start, total: "bytes %d-%d/%d" % (start, total - 1, total)
        self.sends = lambda handler, body: handler.wfile.write(body)
        self.url = "http://127.0.0.1:%d/models/model.tar" % self.server_address[1]


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        server = self.server
        if server.redirect:
            self.send_response(302)
            self.send_header("Location", server.redirect)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        wanted = self.headers.get("Range")
        if self.headers.get("If-Range") != server.tag:
            wanted = None
        server.ranges.append(wanted)
        server.accepted.add(self.headers.get("Accept-Encoding"))
        start = int(wanted[6:-1]) if wanted else 0
        body = server.content[start:]
        self.send_response(server.status or ((206 if body else 416) if wanted else 200))
        self.send_header(server.tag_name, server.tag)
        if server.says_length:
            self.send_header("Content-Length", str(len(body)))
        for name, value in server.more.items():
            self.send_header(name, value)
        if wanted:
            self.send_header("Content-Range", server.part(start, len(server.content)))
        self.end_headers()
        server.sends(self, body)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(downloads, "_PAUSE", 0.01)
    monkeypatch.setattr(downloads, "TIMEOUT", (5.0, 1.5))  # a busy machine is not a stall
    monkeypatch.setattr(downloads, "_BLOCK", 1 << 14)
    running = Server()
    threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


def fetch(server, tmp_path):
    path = downloads.fetch(server.url, str(tmp_path), "--pretrained_path")
    with open(path, "rb") as f:
        return path, f.read()


def test_it_is_downloaded_once(server, tmp_path):
    path, content = fetch(server, tmp_path)
    assert content == CONTENT
    assert sorted(os.listdir(str(tmp_path))) == LEFT
    assert fetch(server, tmp_path) == (path, CONTENT)
    assert server.ranges == [None]
    assert server.accepted == {"identity"}  # else lengths and ranges would be those of what is packed


def test_a_connection_that_breaks_off_goes_on_where_it_stopped(server, tmp_path):
    def breaks(handler, body):
        handler.wfile.write(body[:300000])
        handler.wfile.flush()
        handler.connection.close()

    server.sends = breaks
    assert fetch(server, tmp_path)[1] == CONTENT
    assert len(server.ranges) == 4
    assert server.ranges[0] is None
    starts = [int(r[6:-1]) for r in server.ranges[1:]]
    assert starts == sorted(starts)
    assert starts[0] > 0


@pytest.mark.parametrize("tag_name", ["ETag", "Last-Modified"])
def test_what_is_whole_already_but_was_not_renamed(tag_name, server, tmp_path):
    """The process was killed between the two."""
    server.tag_name = tag_name
    path, _ = fetch(server, tmp_path)
    record = '{"tag": "\\"one\\"", "total": "%d"}'
    for total in (len(CONTENT), len(CONTENT) + 1):
        os.replace(path, path + ".part")
        (tmp_path / "model.tar.part.json").write_text(record % total)
        assert fetch(server, tmp_path) == (path, CONTENT)
        assert sorted(os.listdir(str(tmp_path))) == LEFT
    assert server.ranges == [None] + ["bytes=%d-" % len(CONTENT)] * 2 + [None]  # at last from the beginning


@pytest.mark.parametrize("record", [None, '{"tag": null, "total": null}'])
def test_what_is_there_of_nobody_knows_what_is_not_gone_on_with(record, server, tmp_path):
    (tmp_path / "model.tar.part").write_bytes(b"x" * 1000)
    if record:
        (tmp_path / "model.tar.part.json").write_text(record)
    assert fetch(server, tmp_path)[1] == CONTENT
    assert server.ranges == [None]


def test_pauses_grow_while_nothing_comes(server, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr(downloads, "_PAUSE", 1.0)
    monkeypatch.setattr(time, "sleep", pauses.append)
    sizes = [0, 300000, 0, 0]

    def breaks(handler, body):
        handler.wfile.write(body[: sizes.pop(0) if sizes else None])
        handler.wfile.flush()
        handler.connection.close()

    server.sends = breaks
    assert fetch(server, tmp_path)[1] == CONTENT
    assert pauses == [1, 1, 2]
    assert len(server.ranges) == 5


def test_a_stalled_connection_is_taken_up_again(server, tmp_path):
    def stalls_once(handler, body):
        if len(server.ranges) > 1:
            handler.wfile.write(body)
            return
        handler.wfile.write(body[:500000])
        handler.wfile.flush()
        time.sleep(3)

    server.sends = stalls_once
    assert fetch(server, tmp_path)[1] == CONTENT
    assert len(server.ranges) == 2


def test_a_server_that_lies_about_the_length_is_an_error_and_leaves_no_file(server, tmp_path):
    server.sends = lambda handler, body: None
    with pytest.raises(InputError) as e:
        fetch(server, tmp_path)
    advice = "try again to go on, or fetch it another way and give its path"
    reason = "could not be downloaded (the connection ended early)"
    assert str(e.value) == "pretrained_path: %s %s; %s" % (server.url, reason, advice)
    assert len(server.ranges) == downloads.TRIES
    assert "model.tar" not in os.listdir(str(tmp_path))


def test_the_next_call_goes_on(server, tmp_path):
    def breaks_for_good(handler, body):
        handler.wfile.write(body[: 400000 if len(server.ranges) == 1 else 0])
        handler.wfile.flush()
        handler.connection.close()

    whole = server.sends
    server.sends = breaks_for_good
    with pytest.raises(InputError):
        fetch(server, tmp_path)
    server.sends = whole
    assert fetch(server, tmp_path)[1] == CONTENT
    assert int(server.ranges[-1][6:-1]) > 300000


def test_a_file_that_changed_meanwhile_is_not_mixed(server, tmp_path):
    test_the_next_call_goes_on(server, tmp_path)
    for name in LEFT:
        os.remove(str(tmp_path / name))
    (tmp_path / "model.tar.part").write_bytes(CONTENT[:1000])
    (tmp_path / "model.tar.part.json").write_text('{"tag": "\\"one\\"", "total": "1024000"}')
    server.content, server.tag = OTHER, '"two"'
    assert fetch(server, tmp_path)[1] == OTHER


def test_no_such_file_and_no_server(server, tmp_path):
    server.status = 404
    with pytest.raises(InputError, match="the server says 404 Not Found"):
        fetch(server, tmp_path)
    with pytest.raises(InputError, match="could not be downloaded .no connection.") as e:
        downloads.fetch("http://127.0.0.1:9/model.tar", str(tmp_path), "--pretrained_path")
    assert "\n" not in str(e.value)


def test_a_published_checkpoint_by_its_name(server, cut_down, tmp_path, monkeypatch, script):
    """--pretrained_path=cat-mel_2bar_big downloads it; the run then knows where it is."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for suffix in (".index", ".data-00000-of-00001"):
            tar.add(cut_down["cat-mel_2bar_big"] + suffix, "cat-mel_2bar_big.ckpt" + suffix)
    server.content = packed.getvalue()
    monkeypatch.setenv("LC_MUSIC_VAE_CACHE", str(tmp_path / "cache"))
    entry = lc_music_vae.CONFIG_MAP["lc-cat-mel_2bar_big"]
    here = entry._replace(checkpoints=(entry.checkpoints[0]._replace(url=server.url),))
    monkeypatch.setitem(lc_music_vae.CONFIG_MAP, "lc-cat-mel_2bar_big", here)
    song = write_midi(melody(tune(4)), tmp_path / "song.mid")
    train = ["--config=lc-cat-mel_2bar_big", "--examples_path=" + song, "--run_dir=%s" % (tmp_path / "run")]
    status, _, error = script("midime_train", "--pretrained_path=cat-mel_2bar_big", "--num_steps=2", *train)
    assert status == 0, error
    assert "downloading " + server.url in error
    assert sorted(os.listdir(str(tmp_path / "cache" / "downloads"))) == LEFT
    assert script("midime_generate", "--run_dir=%s" % (tmp_path / "run"), "--num_outputs=2")[0] == 0
    assert server.ranges == [None]


def part_of(tmp_path, content, record):
    (tmp_path / "model.tar.part").write_bytes(content)
    (tmp_path / "model.tar.part.json").write_text(record)


@pytest.mark.parametrize("record", ["", "{", "[1]", '{"tag": 5}', "[" * 100000])
def test_a_damaged_record_of_what_came_is_begun_anew(record, server, tmp_path):
    part_of(tmp_path, CONTENT[:1000], record)
    assert fetch(server, tmp_path)[1] == CONTENT


@pytest.mark.parametrize("length", [len(CONTENT), 300000, len(CONTENT) + 5])
def test_zeros_of_a_disk_that_lost_its_power_are_begun_anew(length, server, tmp_path):
    part_of(tmp_path, bytes(length), json.dumps({"tag": server.tag, "total": str(len(CONTENT))}))
    assert fetch(server, tmp_path)[1] == CONTENT
    assert server.ranges[0] is not None
    assert server.ranges[1:] == [None]


def test_the_md5_that_googles_servers_say(server, tmp_path):
    """What was damaged on its way is begun anew, once; then it is an error."""
    md5 = base64.b64encode(hashlib.md5(CONTENT).digest()).decode()  # noqa: S324 - as above
    server.more = {"x-goog-hash": "crc32c=AAAAAA==,md5=" + md5}
    damaged = CONTENT[:5000] + b"?" + CONTENT[5001:]
    server.sends = lambda handler, body: handler.wfile.write(damaged if len(server.ranges) == 1 else body)
    assert fetch(server, tmp_path)[1] == CONTENT
    assert server.ranges == [None, None]
    for name in LEFT:
        os.remove(str(tmp_path / name))
    server.sends = lambda handler, body: handler.wfile.write(damaged)
    with pytest.raises(InputError, match="its MD5 is not the one that the server says"):
        fetch(server, tmp_path)
    assert os.listdir(str(tmp_path)) == []
    assert len(server.ranges) == 4


@pytest.mark.parametrize("end", [1500, 300000, CONTENT.rindex(b"\xff") + 1])
def test_an_early_end_where_the_server_says_no_length(end, server, tmp_path):
    server.says_length = False
    server.sends = lambda handler, body: handler.wfile.write(body[: end if len(server.ranges) == 1 else None])
    assert fetch(server, tmp_path)[1] == CONTENT
    assert len(server.ranges) == 2


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"<html>Sorry</html>" * 999, "not a readable .tar bundle"),
        (b"", "not a readable .tar bundle|holds no checkpoint"),
        (bytes(20480), "holds no checkpoint"),
        (gzip.compress(CONTENT)[:-4], "not a readable .tar bundle"),
        (bundle("../../x.ckpt"), "outside the folder"),
    ],
    ids=["a page", "nothing", "zeros", "cut off", "hostile"],
)
def test_what_is_no_bundle_gets_no_name(content, why, server, tmp_path):
    server.content = content
    with pytest.raises(InputError, match=why) as e:
        fetch(server, tmp_path)
    assert "\n" not in str(e.value)
    assert os.listdir(str(tmp_path)) == []
    assert len(server.ranges) == 2


def test_a_zipped_bundle_is_one(server, tmp_path):
    server.content = gzip.compress(CONTENT)
    assert fetch(server, tmp_path)[1] == server.content


@pytest.mark.parametrize(
    "part",
    [
        lambda start, total: "bytes 0-%d/%d" % (total - 1, total),
        lambda start, total: "bytes %d-%d/%d" % (start + 1, total - 1, total),
        lambda start, total: "what you like",
    ],
)
def test_another_part_than_was_asked_for(part, server, tmp_path):
    part_of(tmp_path, CONTENT[:1000], json.dumps({"tag": server.tag, "total": str(len(CONTENT))}))
    server.part = part
    assert fetch(server, tmp_path)[1] == CONTENT
    assert server.ranges == ["bytes=1000-", None]


def test_a_server_that_sends_without_end(server, tmp_path, monkeypatch):
    monkeypatch.setattr(bundles, "MAX_BYTES", 100000)
    with pytest.raises(InputError, match="the server sends more than"):
        fetch(server, tmp_path)
    assert len(server.ranges) == 1


@contextlib.contextmanager
def second(context=None):
    running = Server()
    if context:
        running.socket = context.wrap_socket(running.socket, server_side=True)
        running.url = running.url.replace("http:", "https:")
    threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


def test_redirects_are_followed_but_not_without_end(server, tmp_path):
    with second() as other:
        other.redirect = server.url
        assert fetch(other, tmp_path)[1] == CONTENT
        os.remove(str(tmp_path / "model.tar"))
        server.redirect = "/models/model.tar"
        with pytest.raises(InputError, match="it leads to more than 10 other addresses"):
            fetch(other, tmp_path)


@pytest.mark.skipif(not shutil.which("openssl"), reason="makes a certificate with openssl")
def test_from_https_to_http_is_not_followed(server, tmp_path, monkeypatch):
    key, certificate = str(tmp_path / "key"), str(tmp_path / "certificate")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    written = ["-nodes", "-newkey", "rsa:2048", "-keyout", key, "-out", certificate]
    subprocess.run(["openssl", "req", "-x509"] + written + subject, check=True, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate)
    with second(context) as secure:
        secure.redirect = server.url
        with pytest.raises(InputError, match="it leads from https to " + server.url):
            fetch(secure, tmp_path / "downloads")
        assert server.ranges == []
        secure.redirect = None
        assert fetch(secure, tmp_path / "downloads")[1] == CONTENT


def test_two_at_once_download_once(server, tmp_path, caplog, monkeypatch):
    caplog.set_level("INFO")
    monkeypatch.setattr(downloads, "TIMEOUT", (5.0, 20.0))
    go_on, got = threading.Event(), []

    def slow(handler, body):
        assert go_on.wait(20)
        handler.wfile.write(body)

    server.sends = slow
    threads = [threading.Thread(target=lambda: got.append(fetch(server, tmp_path)[1])) for _ in range(2)]
    for thread in threads:
        thread.start()
    deadline = time.time() + 10
    while "waiting for another process that downloads to" not in caplog.text and time.time() < deadline:
        time.sleep(0.01)
    go_on.set()
    for thread in threads:
        thread.join()
    assert got == [CONTENT, CONTENT]
    assert server.ranges == [None]
    assert "waiting for another process that downloads to" in caplog.text


def test_who_waits_can_be_interrupted(tmp_path):
    code = """
import logging, sys
logging.basicConfig(level=logging.INFO)
from lc_music_vae.checkpoints import downloads
downloads.fetch("http://127.0.0.1:9/x.tar", sys.argv[1], "--pretrained_path")
"""
    with files.locked(str(tmp_path)):
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=REPO, stderr=subprocess.PIPE)
        assert b"waiting for another process" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert b"KeyboardInterrupt" in process.communicate(timeout=10)[1]


def test_the_digest_is_shown_once_and_compared_from_then_on(server, tmp_path, caplog):
    caplog.set_level("INFO")
    path, _ = fetch(server, tmp_path)
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert caplog.text.count(digest) == 1
    fetch(server, tmp_path)
    os.utime(path)  # read again, and the same
    fetch(server, tmp_path)
    assert caplog.text.count(digest) == 1
    stat = os.stat(path)
    with open(path, "r+b") as f:
        f.seek(400000)
        f.write(b"changed")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    for _ in range(2):
        with pytest.raises(InputError) as e:
            fetch(server, tmp_path)
        assert str(e.value) == (
            "pretrained_path: %s has SHA-256 %s, but what was downloaded had %s; remove it and model.tar.json to "
            "download it again" % (path, files.sha256(path), digest)
        )
    for name in LEFT:
        os.remove(str(tmp_path / name))
    assert fetch(server, tmp_path)[1] == CONTENT


@pytest.mark.parametrize("record", ["", "[]", '{"sha256": 5}', '{"identity": []}'])
def test_a_file_without_a_record_is_recorded(record, server, tmp_path):
    (tmp_path / "model.tar").write_bytes(CONTENT)
    if record:
        (tmp_path / "model.tar.json").write_text(record)
    fetch(server, tmp_path)
    assert json.loads((tmp_path / "model.tar.json").read_text())["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert server.ranges == []


def test_the_digest_of_the_registry(server, tmp_path):
    right, wrong = hashlib.sha256(CONTENT).hexdigest(), "0" * 64
    arguments = server.url, str(tmp_path), "--pretrained_path"
    with pytest.raises(InputError, match="its SHA-256 is not " + wrong):
        downloads.fetch(*arguments, sha256=wrong)
    assert os.listdir(str(tmp_path)) == []
    path = downloads.fetch(*arguments, sha256=right)
    with pytest.raises(InputError, match="has SHA-256 %s, not the published one's %s; remove it" % (right, wrong)):
        downloads.fetch(*arguments, sha256=wrong)
    assert os.path.exists(path)


@pytest.mark.parametrize("name", ["model.tar", "model.tar.part"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("nothing", path)])
def test_something_else_of_that_name(name, make, server, tmp_path):
    make(str(tmp_path / name))
    with pytest.raises(InputError, match="%s is no plain file; remove it$" % name):
        fetch(server, tmp_path)


def test_a_cache_that_cannot_be_written_is_one_line(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written .Not a directory|File exists"):
        fetch(server, tmp_path / "file")
