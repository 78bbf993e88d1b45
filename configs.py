"""Gives access to the registry of models in `lc_music_vae/configs.py`."""

from lc_music_vae.configs import CONFIG_MAP, Config, get_config

__all__ = ["CONFIG_MAP", "Config", "get_config"]
