"""Writes and reads what TensorBoard shows: scalars, pictures, and the latents in its projector."""

import contextlib
import io
import os
import platform
import time
from typing import Dict, Sequence

import numpy as np
import tensorflow.compat.v1 as tf
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins import projector

from lc_music_vae.encoding import latents
from lc_music_vae.errors import printable
from lc_music_vae.system import files, plain_paths

_LATENTS, _WINDOWS, _CONFIG = "projector_latents.tsv", "projector_windows.tsv", "projector_config.pbtxt"


def read_scalars(folder: str) -> Dict[str, Dict[int, float]]:
    """Returns all scalars of the events in `folder`: for each name, the values by step.

    An event file that ends in the middle of an event, because training was killed, is read up to that event.
    """
    found: Dict[str, Dict[int, float]] = {}
    with plain_paths.named(folder) as plain:
        for name in sorted(os.listdir(plain)):
            if "tfevents" in name:
                with contextlib.suppress(tf.errors.DataLossError):
                    for event in tf.train.summary_iterator(os.path.join(plain, name)):
                        for value in event.summary.value:
                            if value.HasField("simple_value"):
                                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


def write(folder: str, step: int, *, scalars: Dict[str, float], pictures: Dict[str, Image.Image]) -> None:
    """Writes scalars and pictures, by name, where TensorBoard finds them."""
    values = [tf.Summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
    values += [tf.Summary.Value(tag=name, image=_image(sheet)) for name, sheet in pictures.items()]
    # FileWriter is not used, because it reports nothing when the disk is full.
    now = time.time()
    path = os.path.join(folder, "events.out.tfevents.%d.%s.%d" % (now, platform.node(), os.getpid()))
    head = tf.Event(wall_time=now, file_version="brain.Event:2")
    events = head, tf.Event(wall_time=now, step=step, summary=tf.Summary(value=values))
    with latents.writing_records(path) as writer:
        for event in events:
            writer.write(event.SerializeToString())


def _image(sheet: Image.Image) -> tf.Summary.Image:
    png = io.BytesIO()
    sheet.save(png, format="PNG")
    return tf.Summary.Image(height=sheet.height, width=sheet.width, colorspace=3, encoded_image_string=png.getvalue())


def write_projector(folder: str, points: np.ndarray, rows: Sequence[Sequence[str]]) -> None:
    """Writes points for TensorBoard's projector.

    Args:
        folder: The folder of the events with which the points are shown.
        points: float [n, size].
        rows: Information about each point, as columns of text; the first row has the names of the columns.
    """
    config = projector.ProjectorConfig()
    config.embeddings.add(tensor_name="small_latent", tensor_path=_LATENTS, metadata_path=_WINDOWS)
    tables = {_LATENTS: [["%.6f" % x for x in point] for point in points], _WINDOWS: rows}
    for name, table in tables.items():
        with files.replacing(os.path.join(folder, name)) as temporary, open(temporary, "w", encoding="utf-8") as f:
            f.writelines("\t".join(map(printable, row)) + "\n" for row in table)
    with files.replacing(os.path.join(folder, _CONFIG)) as temporary, open(temporary, "w", encoding="utf-8") as f:
        f.write(text_format.MessageToString(config))
