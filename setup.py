"""Packaging. The supported install is `pip install --no-deps -r requirements.txt`, then `pip install --no-deps .`.

On Python 3.9 to 3.11 the list is requirements-tf2.txt. magenta's own metadata asks for packages that cannot be
installed beside these, so only dependencies that pip can satisfy are named here.
"""

import re

from setuptools import setup

with open("lc_music_vae/__init__.py", encoding="utf-8") as f:
    VERSION = re.search(r'__version__ = "(.+)"', f.read()).group(1)

with open("README.md", encoding="utf-8") as f:
    README = f.read()

setup(
    name="lc_music_vae",
    version=VERSION,
    description="Your own MusicVAE: a small VAE over its latent space learns your songs in seconds (MidiMe).",
    long_description=README,
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=["lc_music_vae"],
    # Not configs.py: a top-level module of that name would be in everybody's way.
    py_modules=["midime_train", "midime_generate"],
    package_data={"lc_music_vae": ["checkpoints/*", "page.html"]},
    python_requires=">=3.7,!=3.8.*,<3.12",
    install_requires=[
        "absl-py",
        "joblib",
        "matplotlib",
        "note-seq>=0.0.5",
        "numpy<1.24",
        "Pillow",
        "requests",
        "tensorboard",
        "tensorflow>=1.15,<1.16; python_version < '3.8'",
        "tensorflow>=2.15,<2.16; python_version >= '3.9'",
        "tensorflow-probability==0.8.0; python_version < '3.8'",
        "tensorflow-probability==0.23.0; python_version >= '3.9'",
        "tqdm",
    ],
    entry_points={
        "console_scripts": [
            "midime_train = midime_train:main",
            "midime_generate = midime_generate:main",
        ]
    },
)
