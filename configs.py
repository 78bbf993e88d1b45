"""The door to the registry of models, which lives in `lc_music_vae/configs.py`."""

from lc_music_vae.configs import CONFIG_MAP, Config, get_config

__all__ = ["CONFIG_MAP", "Config", "get_config"]
