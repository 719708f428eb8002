"""Packaging of kdcn-tf. Exact versions live in constraints.txt, written by `make constraints`."""

import re
from pathlib import Path

from setuptools import find_packages, setup

VERSION = re.search(r"__version__ = \"(.+)\"", Path("kdcn_tf/__init__.py").read_text(encoding="utf-8"))[1]

# What floors 0 and 1 and the pipelines import. It is what a Beam worker installs from --setup_file, so no
# TensorFlow: apache-beam[gcp] and TensorFlow 2.16 need different versions of protobuf.
INSTALL = [
    "absl-py>=2.1",
    "apache-beam==2.77.0",
    "google-crc32c>=1.5",
    "jieba>=0.42.1",
    "msgspec>=0.18",
    "numpy",
    "protobuf",
    "pyarrow",
    "pyyaml>=6",
    # jieba and TensorBoard 2.16 import pkg_resources, which setuptools dropped later.
    "setuptools<81",
]

# Versions are pinned here only where another one is known not to work (WORKSPACE.md, Dependencies).
EXTRAS = {
    "training": [
        "tensorflow==2.16.2",
        "tf-keras==2.16.0",
        "tensorflow-recommenders==0.7.7",
        "tensorflow-io==0.37.1",
        "numpy==1.26.4",
        "protobuf==4.25.9",
        "pyarrow<26",
        "rich>=13",
        "faiss-cpu>=1.8",
    ],
    "tests": [
        "pytest>=8",
        "pytest-timeout>=2.3",
        "pytest-xdist>=3.6",
        "hypothesis>=6.100",
        "psutil>=5.9",
        "ruff>=0.6",
        "mypy>=1.10",
        "types-PyYAML",
        "moto[s3]>=5",
        "flask>=3",  # moto serves S3 with these two
        "flask-cors>=4",
        "boto3>=1.34",
        "tensorflow-serving-api==2.16.1",
    ],
    # tensorflow-metadata 1.21 says that it takes protobuf 4, but fails to import with it.
    "reports": ["matplotlib>=3.8", "jinja2>=3.1", "tensorflow-metadata>=1.16,<1.18"],
    "baselines": ["scikit-learn>=1.4", "lightgbm>=4.3"],
    "tuning": ["optuna>=4"],
    # What benchmarks compare with, where it fits beside the rest.
    "benchmarks": ["polars>=1.9"],
    # For the machine that submits to Dataflow, in an environment without "training".
    "dataflow": ["apache-beam[gcp]==2.77.0"],
}

setup(
    name="kdcn-tf",
    version=VERSION,
    description="Knowledge-enhanced deep cross network for conversational recommendation, on TensorFlow",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.13",
    packages=find_packages(include=["kdcn_tf", "kdcn_tf.*", "pipelines", "pipelines.*"]),
    package_data={"kdcn_tf.pages": ["page.html.jinja", "page.css"]},
    install_requires=INSTALL,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["kdcn = kdcn_tf.cli.main:main"]},
)
