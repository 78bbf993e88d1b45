"""The reader of checkpoints' indices, on tables made by hand: what is whole is read, and each lie is told from it."""

import struct

import pytest
from tensorflow.core.protobuf import tensor_bundle_pb2

from lc_music_vae.checkpoints import index as checkpoint_index

SHARD = ".data-00000-of-00001"


def varint(number):
    out = bytearray()
    while True:
        out.append(number & 0x7F | (0x80 if number > 0x7F else 0))
        number >>= 7
        if not number:
            return bytes(out)


def entry(shared, key, value):
    return varint(shared) + varint(len(key)) + varint(len(value)) + key + value


def block(entries, restarts=(0,), kind=0):
    """Returns a block and what follows it: its type and a checksum that nobody looks at here."""
    content = b"".join(entries) + struct.pack("<%dI" % (len(restarts) + 1), *(list(restarts) + [len(restarts)]))
    return content, content + bytes([kind]) + b"crc."


def table(*blocks, handles=None, magic=0xDB4775248B80FB57, end=b""):
    """Returns a table of these blocks; `handles` are what the index is to say instead of their starts and sizes."""
    content, found = b"", []
    for size, written in ((len(content), written) for content, written in blocks):
        found.append(varint(len(content)) + varint(size))
        content += written
    pointers = [entry(0, b"k%d" % i, handle) for i, handle in enumerate(handles or found)]
    index, written = block(pointers)
    footer = varint(0) + varint(0) + varint(len(content)) + varint(len(index))
    return content + written + footer.ljust(40, b"\0") + struct.pack("<Q", magic) + end


def header(shards=1):
    return entry(0, b"", tensor_bundle_pb2.BundleHeaderProto(num_shards=shards).SerializeToString())


def tensor(shape=(2,), shard=0, offset=0, size=8):
    proto = tensor_bundle_pb2.BundleEntryProto(dtype=1, shard_id=shard, offset=offset, size=size)
    for dimension in shape:
        proto.shape.dim.add(size=dimension)
    return proto.SerializeToString()


@pytest.fixture
def places(tmp_path):
    def read(content, shards=(8,)):
        for i, size in enumerate(shards):
            (tmp_path / ("x.data-%05d-of-%05d" % (i, len(shards)))).write_bytes(bytes(size))
        (tmp_path / "x.index").write_bytes(content)
        return checkpoint_index.places(str(tmp_path / "x"))

    return read


def one(**kwargs):
    return table(block([header(), entry(0, b"v", tensor(**kwargs))]))


def test_names_share_beginnings_and_blocks_follow_one_another(places):
    first = block(
        [header(2), entry(0, b"encoder/mu/bias", tensor(size=8)), entry(11, b"kernel", tensor((1, 2), offset=8))]
    )
    second = block([entry(0, b"z" * 300, tensor(shape=(), shard=1, size=4))])
    assert places(table(first, second), shards=(16, 4)) == [
        ("encoder/mu/bias", "float32", (2,), ".data-00000-of-00002", 0, 8),
        ("encoder/mu/kernel", "float32", (1, 2), ".data-00000-of-00002", 8, 8),
        ("z" * 300, "float32", (), ".data-00001-of-00002", 0, 4),
    ]


@pytest.mark.parametrize("shape", [(), (0,), (1, 8), (2, 4), (8,), (8, 1), (3, 0), (0, 3)])
def test_shapes_that_so_much_data_may_hold(places, shape):
    assert places(one(shape=shape)) == [("v", "float32", shape, SHARD, 0, 8)]


@pytest.mark.parametrize("shape", [(9,), (3, 3), (2, 5), (9, 0), (-1,), (2, -1), (2**40, 2**40)])
def test_shapes_that_it_cannot(places, shape):
    with pytest.raises(ValueError, match=r"^v of shape \[.*\] is larger than the data$"):
        places(one(shape=shape))


@pytest.mark.parametrize(
    "kwargs",
    [
        {"offset": 1},
        {"size": 9},
        {"offset": 9, "size": 0},
        {"offset": -1},
        {"size": -1},
        {"shard": 1},
        {"shard": -1},
    ],
)
def test_what_is_past_the_end_of_the_data(places, kwargs):
    with pytest.raises(ValueError, match=r"^v is past the end of the data$"):
        places(one(**kwargs))
    assert places(one(offset=8, size=0)) == [("v", "float32", (2,), SHARD, 8, 0)]


def test_tensors_that_are_more_than_the_data(places):
    both = [entry(0, b"a", tensor(size=size)) + entry(0, b"b", tensor(offset=4, size=4)) for size in (4, 5)]
    assert len(places(table(block([header(), both[0]])))) == 2
    with pytest.raises(ValueError, match="^its tensors overlap$"):
        places(table(block([header(), both[1]])))


@pytest.mark.parametrize("shards", [0, -1, 1001])
def test_numbers_of_shards_that_are_none(places, shards):
    with pytest.raises(ValueError, match="^its index names %d data files$" % shards):
        places(table(block([header(shards)])))


def test_a_shard_that_is_not_there(places):
    with pytest.raises(ValueError, match="^x.data-00000-of-00003 is not there$"):
        places(table(block([header(3)])))
    with pytest.raises(ValueError, match="^x.data-00000-of-01000 is not there$"):  # so many there may be
        places(table(block([header(1000)])))


def test_an_index_without_a_header(places):
    for content in (block([]), block([entry(0, b"v", tensor())])):
        with pytest.raises(ValueError, match="^its index has no header$"):
            places(table(content))


def test_values_that_are_none(places):
    for content in ([entry(0, b"", b"\xff\xff")], [header(), entry(0, b"v", b"\xff\xff")]):
        with pytest.raises(ValueError, match="^its index is damaged$"):
            places(table(block(content)))


def test_a_table_that_is_cut_off_or_none(places):
    whole = one()
    for content in (b"", whole[-47:], whole[:-1], table(block([header()]), magic=1), whole + b"\0"):
        with pytest.raises(ValueError, match="^its index is cut off, or is not an index$"):
            places(content)


def test_an_index_of_more_than_a_megabyte(places):
    head = block([header(), entry(0, b"v", tensor())])

    def of(size):
        """Most of it is between the block and the index."""
        return table(head, (b"", bytes(size)), handles=[b"\0" + varint(len(head[0]))])

    most = of((1 << 20) - len(of(0)))
    assert len(most) == 1 << 20
    assert places(most) == [("v", "float32", (2,), SHARD, 0, 8)]
    with pytest.raises(ValueError, match="^its index is larger than 1024 kB$"):
        places(most + b"\0")


def test_a_compressed_block(places):
    with pytest.raises(ValueError, match="^its index is compressed$"):
        places(table(block([header()], kind=1)))


@pytest.mark.parametrize(("start", "size"), [(0, 3), (0, 10**6), (10**6, 8), (10**6, 0), (2**62, 8)])
def test_a_block_that_is_not_in_the_table(places, start, size):
    with pytest.raises(ValueError, match="^its index is damaged$"):
        places(table(block([header()]), handles=[varint(start) + varint(size)]))


@pytest.mark.parametrize("handle", [b"", b"\x80", b"\0", b"\0\x80"])
def test_a_number_that_is_cut_off(places, handle):
    with pytest.raises(ValueError, match="^its index is damaged$"):
        places(table(block([header()]), handles=[handle]))


def test_a_block_that_ends_after_the_table(places):
    content, size = block([header()]), len(table(block([header()])))
    for start in (size // 2, size // 2 + 1):
        with pytest.raises(ValueError, match="^its index is damaged$"):
            places(table(content, handles=[varint(start) + varint(size - start)]))


def test_the_first_name_of_a_block_shares_nothing(places):
    with pytest.raises(ValueError, match="^its index is damaged$"):
        places(table(block([header()]), block([entry(1, b"v", tensor())])))


def test_blocks_that_are_one_another(places):
    """Thousands of handles to one block would unfold to any size."""
    content = block([header(), entry(0, b"v", tensor(size=0))])
    assert places(table(content)) == [("v", "float32", (2,), SHARD, 0, 0)]
    with pytest.raises(ValueError, match="^its index is damaged$"):
        places(table(content, handles=[b"\0" + varint(len(content[0]))] * 30))


@pytest.mark.parametrize(
    "bad",
    [
        entry(1, b"v", tensor()),  # shares more than the key before has
        entry(0, b"v" * 1025, tensor()),
        varint(0) + varint(9) + varint(0) + b"v",  # the key ends after the block
        varint(0) + varint(1) + varint(99) + b"v",  # the value does
        b"\xff" * 11,  # a number without end
        varint(0) + varint(1),  # no third number
    ],
)
def test_entries_that_are_none(places, bad):
    with pytest.raises(ValueError, match="^its index is damaged$"):
        places(table(block([header(), bad])))


def test_the_longest_name(places):
    assert places(table(block([header(), entry(0, b"v" * 1024, tensor())])))[0].name == "v" * 1024
    halves = [entry(0, b"v" * 1000, tensor(size=0)), entry(1000, b"w" * 25, tensor())]
    with pytest.raises(ValueError, match="^its index is damaged$"):
        places(table(block([header()] + halves)))


def test_a_name_that_is_no_text_is_spelt_somehow(places):
    assert places(table(block([header(), entry(0, b"v\xff", tensor())])))[0].name == "v\ufffd"


def test_more_restarts_than_there_is_room_for(places):
    content, _ = block([header()])
    content = content[:-4] + struct.pack("<I", 1000)
    with pytest.raises(ValueError, match="^its index has no header$"):
        places(table((content, content + b"\0crc.")))
