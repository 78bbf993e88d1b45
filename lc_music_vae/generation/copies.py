"""How near the outputs of a run are to the training songs, and what is said of it. Needs no TensorFlow itself."""

import logging
from typing import Any, List, Sequence, Tuple

from lc_music_vae.generation.inputs import Given
from lc_music_vae.showing.outputs import Output
from lc_music_vae.system import results

logger = logging.getLogger(__name__)

_MAX_LINES = 16  # printed about single outputs; the index contains all of them


def compared(model: Any, made: Sequence[Output], given: Given) -> List[Output]:
    """Returns the outputs, each with what of the training songs is in it, if the run's folder is available."""
    if not any(output.latent is not None for output in made):
        return list(made)
    sequences = [output.note_sequence for output in made]
    nearest = model.nearest(sequences)
    if nearest is None:
        logger.info("how near these are to the songs that were trained on is known with --run_dir only")
        return list(made)
    from lc_music_vae.encoding.nearness import NEAR, f1

    heard = model.heard(sequences)
    as_given = [any(f1([(window.notes, notes)]) >= NEAR for window in given.windows) for notes in heard]
    found = zip(made, nearest, model.same_bars(sequences), as_given)
    return [one._replace(nearest=near, same_bars=bars, as_given=known) for one, near, bars, known in found]


def say(made: Sequence[Output]) -> None:
    """Logs the point and nearest training window of up to `_MAX_LINES` outputs, names near-copies, and counts them."""
    of_points = [output for output in made if output.latent is not None]
    for output in of_points[:_MAX_LINES]:
        near = output.nearest and "%.0f %% like %s" % (100 * output.nearest.similarity, output.nearest.label())
        known = "; ".join(filter(None, (output.place(), near)))
        results.logger.info("%s%s", output.title, known and ": " + known)
    if len(of_points) > _MAX_LINES:
        logger.info("... and %d more, all in index.json", len(of_points) - _MAX_LINES)
    from lc_music_vae.encoding.nearness import NEAR
    from lc_music_vae.encoding.same_bars import MIN_NOTES

    as_given = [output for output in of_points if output.as_given]
    others = [output for output in of_points if not output.as_given]
    compared_with = [(output, output.nearest) for output in others if output.nearest]
    near = [(output, nearest) for output, nearest in compared_with if nearest.similarity >= NEAR]
    transposed = [nearest for _, nearest in near if nearest.semitones]
    with_a_bar = [output for output in others if output.same_bars]
    for output, nearest in near:
        how = "a copy, note for note" if nearest.copy else "nearly a copy"
        logger.warning("%s is %s: %s", output.title, how, nearest.label())
    counts: Sequence[Tuple[Sequence[Any], str]] = (
        (near, "nearly bars of the songs (%g alike or more)" % NEAR),
        (transposed, "of these in another key"),
        (with_a_bar, "with a whole bar of the songs, note for note (of %d notes or more)" % MIN_NOTES),
        (as_given, "nearly the bars given"),
    )
    said = ", ".join("%d %s" % (len(those), what) for those, what in counts if those)
    if said:
        logger.info("of %d outputs: %s", len(of_points), said)
