"""Downloading from a server on this machine that breaks off, lies about the length, stalls, or says no."""

import http.server
import os
import threading
import time

import pytest
from conftest import melody, tune, write_midi

import lc_music_vae
from lc_music_vae import downloads
from lc_music_vae.errors import InputError

CONTENT = bytes(range(256)) * 4000


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` with byte ranges; `sends(handler, body)` may misbehave. Requests are kept."""

    daemon_threads = True

    def __init__(self, content=CONTENT):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.tag, self.tag_name, self.status = content, '"one"', "ETag", None
        self.ranges, self.accepted = [], set()
        self.sends = lambda handler, body: handler.wfile.write(body)
        self.url = "http://127.0.0.1:%d/models/model.tar" % self.server_address[1]


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        if self.headers.get("If-Range") != server.tag:
            wanted = None
        server.ranges.append(wanted)
        server.accepted.add(self.headers.get("Accept-Encoding"))
        start = int(wanted[6:-1]) if wanted else 0
        body = server.content[start:]
        self.send_response(server.status or ((206 if body else 416) if wanted else 200))
        self.send_header(server.tag_name, server.tag)
        self.send_header("Content-Length", str(len(body)))
        if wanted:
            total = len(server.content)
            self.send_header("Content-Range", "bytes %d-%d/%d" % (start, total - 1, total))
        self.end_headers()
        server.sends(self, body)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(downloads, "_PAUSE", 0.01)
    monkeypatch.setattr(downloads, "TIMEOUT", (5.0, 1.5))  # a busy machine is not a stall
    monkeypatch.setattr(downloads, "_BLOCK", 1 << 14)
    running = Server()
    threading.Thread(target=running.serve_forever, daemon=True).start()
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
    assert os.listdir(str(tmp_path)) == ["model.tar"]
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
    for total, whole in ((len(CONTENT), True), (len(CONTENT) + 1, False)):
        os.replace(path, path + ".part")
        (tmp_path / "model.tar.part.json").write_text(record % total)
        if whole:
            assert fetch(server, tmp_path) == (path, CONTENT)
            assert os.listdir(str(tmp_path)) == ["model.tar"]
        else:
            with pytest.raises(InputError, match=r"\(the server says 416 "):
                fetch(server, tmp_path)
    assert server.ranges == [None] + ["bytes=%d-" % len(CONTENT)] * 2


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
    assert str(e.value) == "--pretrained_path: %s %s; %s" % (server.url, reason, advice)
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
    os.remove(str(tmp_path / "model.tar"))
    (tmp_path / "model.tar.part").write_bytes(CONTENT[:1000])
    (tmp_path / "model.tar.part.json").write_text('{"tag": "\\"one\\"", "total": "1024000"}')
    server.content, server.tag = CONTENT[::-1], '"two"'
    assert fetch(server, tmp_path)[1] == CONTENT[::-1]


def test_no_such_file_and_no_server(server, tmp_path):
    server.status = 404
    with pytest.raises(InputError, match="the server says 404 Not Found"):
        fetch(server, tmp_path)
    with pytest.raises(InputError, match="could not be downloaded .no connection.") as e:
        downloads.fetch("http://127.0.0.1:9/model.tar", str(tmp_path), "--pretrained_path")
    assert "\n" not in str(e.value)


def test_a_published_checkpoint_by_its_name(server, cut_down, tmp_path, monkeypatch, script):
    """--pretrained_path=cat-mel_2bar_big downloads it; the run then knows where it is."""
    import io
    import tarfile

    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for suffix in (".index", ".data-00000-of-00001"):
            tar.add(cut_down["cat-mel_2bar_big"] + suffix, "cat-mel_2bar_big.ckpt" + suffix)
    server.content = packed.getvalue()
    monkeypatch.setenv("LC_MUSIC_VAE_CACHE", str(tmp_path / "cache"))
    entry = lc_music_vae.CONFIG_MAP["lc-cat-mel_2bar_big"]
    monkeypatch.setitem(lc_music_vae.CONFIG_MAP, "lc-cat-mel_2bar_big", entry._replace(checkpoint_url=server.url))
    song = write_midi(melody(tune(4)), tmp_path / "song.mid")
    train = ["--config=lc-cat-mel_2bar_big", "--examples_path=" + song, "--run_dir=%s" % (tmp_path / "run")]
    status, _, error = script("midime_train", "--pretrained_path=cat-mel_2bar_big", "--num_steps=2", *train)
    assert status == 0, error
    assert "downloading " + server.url in error
    assert os.listdir(str(tmp_path / "cache" / "downloads")) == ["model.tar"]
    assert script("midime_generate", "--run_dir=%s" % (tmp_path / "run"), "--num_outputs=2")[0] == 0
    assert server.ranges == [None]
