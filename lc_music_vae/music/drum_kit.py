"""The names of drums, as sheets and pages show them."""

# By pitch, from the lowest row on: the order of Magenta's nine classes. Toms are numbered as drummers do.
NAMES = {
    36: "kick",
    38: "snare",
    42: "hat",
    46: "open hat",
    45: "tom 3",
    48: "tom 2",
    50: "tom 1",
    49: "crash",
    51: "ride",
}


def name(pitch: int) -> str:
    """Returns the name of a drum; of one that has none here, its pitch."""
    return NAMES.get(pitch, str(pitch))
