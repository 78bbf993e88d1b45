"""The recipe of the base model: from tunes to the weights of `cat-mel_2bar_small` that ship; README.md tells it."""
