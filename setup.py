"""The door to the build for tools that look for this file; everything else is in pyproject.toml."""

from setuptools import setup

setup()
