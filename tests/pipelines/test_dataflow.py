"""What would be submitted to Dataflow: the portable pipeline, its packages and options. Nothing reaches a network."""

import base64
import bz2
import json
import re
import shutil
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path

import pytest
from apache_beam.internal import pickler
from apache_beam.portability.api import beam_runner_api_pb2 as api
from support import capture_runner
from support.raw_logs import run, streams, write_raw

from pipelines import build_ckg, build_ctr

ROOT = Path(__file__).parents[2]
DATAFLOW = ROOT / "launch" / "dataflow"

WITHOUT_TENSORFLOW = """
import importlib, pkgutil, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "tf_keras", "keras", "tensorflow_io", "tensorflow_recommenders"):
            raise ImportError(f"{name}: not on a worker")

sys.meta_path.insert(0, Refuse())
import pipelines
names = [m.name for m in pkgutil.walk_packages(pipelines.__path__, "pipelines.")]
for name in [*names, *sys.argv[1:]]:
    importlib.import_module(name)
print(len(names))
"""


def transforms(pipeline):
    """Steps that run code, by their unique name."""
    found = pipeline.components.transforms.values()
    return {step.unique_name: step for step in found if not step.subtransforms and step.spec.urn}


def unpacked(payload):
    """Bytes of a pickled function, as Beam packs it."""
    packed = base64.b64decode(payload)
    return bz2.decompress(packed) if packed[:3] == b"BZh" else zlib.decompress(packed)


def functions(pipeline):
    """Pickled DoFns by step."""
    for name, step in transforms(pipeline).items():
        if step.spec.urn == "beam:transform:pardo:v1":
            function = api.ParDoPayload.FromString(step.spec.payload).do_fn
            if function.urn == "beam:dofn:pickled_python_info:v1":
                yield name, function.payload


def check(pipeline, *paths):
    """What every engine needs: named steps, functions that can be sent, nothing of this machine in them."""
    ours = "|".join(path.name for path in (ROOT / "pipelines").rglob("*.py"))  # Beam names steps of its own so too
    assert not [name for name in transforms(pipeline) if re.search(rf"<lambda at ({ours})", name)], "a step has no name"
    sent = dict(functions(pipeline))
    assert len(sent) > 30
    for name, payload in sent.items():
        content = unpacked(payload)
        for path in paths:
            # Code carries the name of its source file, Beam's own code too; any other path would be opened over there.
            found = re.findall(rb"%s[-\w./]*" % re.escape(str(path).encode()), content)
            assert not [one for one in found if not one.endswith(b".py")], name
        assert b"tensorflow" not in content, name
    return sent


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return write_raw(tmp_path_factory.mktemp("raw") / "raw", streams())


@pytest.fixture
def captured(monkeypatch):
    found = []
    monkeypatch.setattr(capture_runner.CaptureRunner, "captured", found)
    return found


def test_the_portable_pipelines(raw, tmp_path, captured):
    ckg = f"--ckg={tmp_path}/ckg"
    assert run(build_ckg.main, f"--raw={raw}", f"--output={tmp_path}/ckg") == 0
    assert run(build_ckg.main, f"--raw={raw}", f"--output={tmp_path}/1", *capture_runner.FLAGS) == 0
    assert run(build_ctr.main, f"--raw={raw}", ckg, f"--output={tmp_path}/2", *capture_runner.FLAGS) == 0
    assert len(captured) == 2
    for pipeline in captured:
        for payload in check(pipeline, ROOT, sys.prefix).values():
            pickler.loads(payload)
        assert "Finish" in {name.split("/")[0] for name in transforms(pipeline)}


def test_a_worker_needs_no_tensorflow():
    """Floors 0 and 1 are the files of kdcn_tf itself, but for the losses."""
    below = [f"kdcn_tf.{path.stem}" for path in (ROOT / "kdcn_tf").glob("[!_]*.py") if path.stem != "losses"]
    command = [sys.executable, "-c", WITHOUT_TENSORFLOW, *below]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


def test_the_flex_templates_spec_names_flags_that_the_command_has():
    spec = json.loads((DATAFLOW / "build_ckg.json").read_text())
    flags = build_ckg._flags()
    parameters = {parameter["name"]: parameter for parameter in spec["metadata"]["parameters"]}
    for name, parameter in parameters.items():
        assert name in flags or name == "sdk_container_image", name
        assert parameter["label"]
        assert parameter["helpText"]
    assert set(parameters) >= {name for name in flags if name not in ("help", "helpconfig", "config", "h")}
    assert not parameters["output"]["isOptional"]
    assert spec["sdkInfo"] == {"language": "PYTHON"}


def test_the_flex_templates_image_is_made_of_what_the_tree_has():
    lines = (DATAFLOW / "Dockerfile").read_text().splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY ") and "--from" not in line]
    for source in (name for names in copied for name in names):
        assert (ROOT / source).exists(), source
    for line in lines:
        if line.startswith("ENV "):
            assert (ROOT / "launch/dataflow" / line.split("/template/")[1]).exists() or line.endswith("/setup.py"), line
    assert "FROM apache/beam_python3.11_sdk:2.77.0" in lines
    assert '"apache-beam==2.77.0"' in (ROOT / "setup.py").read_text()


@pytest.fixture(scope="module")
def submitter(tmp_path_factory):
    """(python of an environment that can submit, copy of the tree whose package is packed)."""
    directory = tmp_path_factory.mktemp("submitter")
    tree = directory / "tree"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("kdcn_tf", "pipelines", "launch"):
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree / name)
    subprocess.run([sys.executable, "-m", "venv", directory / "venv"], check=True)
    python = directory / "venv" / "bin" / "python"
    lock = "launch/dataflow_constraints.txt"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-c", lock, ".[dataflow]"], cwd=tree, check=True)
    return python, tree


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_dataflow_gets(submitter, tmp_path):
    """The job of `build-ckg` with gs:// on the disk, as a template: that is how a Flex Template's launcher makes it."""
    python, tree = submitter
    listed = subprocess.run([python, "-m", "pip", "list"], capture_output=True, text=True, check=True).stdout
    assert "tensorflow" not in listed
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    write_raw(bucket / "raw", streams())
    command = [
        python, ROOT / "tests/support/submit_offline.py", tmp_path, "pipelines.build_ckg",
        "--raw=gs://bucket/raw", "--output=gs://bucket/ckg", "--runner=DataflowRunner", "--project=some-project",
        "--region=europe-west1", "--temp_location=gs://bucket/temp", "--staging_location=gs://bucket/staging",
        "--setup_file=./setup.py", "--template_location=gs://bucket/template.json", "--no_auth",
        "--num_workers=7", "--max_num_workers=50", "--machine_type=n2-standard-4",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "its manifest is written by the last step of the job" in done.stderr

    job = json.loads((tmp_path / "bucket" / "template.json").read_text())["environment"]
    (pool,) = job["workerPools"]
    assert (pool["numWorkers"], pool["autoscalingSettings"]["maxNumWorkers"]) == (7, 50)
    assert pool["machineType"] == "n2-standard-4"
    version = "{}.{}".format(*sys.version_info)
    assert pool["workerHarnessContainerImage"].endswith(f"/beam_python{version}_sdk:2.77.0")
    assert "use_runner_v2" in job["experiments"]
    options = job["sdkPipelineOptions"]["options"]
    assert (options["project"], options["region"]) == ("some-project", "europe-west1")
    assert not [value for value in options.values() if str(tmp_path) in str(value) or str(tree) in str(value)]

    (staged,) = (tmp_path / "bucket" / "staging").iterdir()
    pipeline = api.Pipeline.FromString((staged / "pipeline.pb").read_bytes())
    assert len(check(pipeline, tmp_path, tree, ROOT)) > 30
    assert "Finish" in {name.split("/")[0] for name in transforms(pipeline)}
    (environment,) = pipeline.components.environments.values()
    roles = [api.ArtifactStagingToRolePayload.FromString(d.role_payload) for d in environment.dependencies]
    assert "workflow.tar.gz" in {role.staged_name for role in roles}
    check_package(staged / "workflow.tar.gz")


def check_package(path):
    """A worker installs this project, with what floors 0 and 1 need."""
    with tarfile.open(path) as archive:
        names = archive.getnames()
        info = next(name for name in names if name.endswith("/PKG-INFO") and name.count("/") == 1)
        wanted = archive.extractfile(info).read().decode()
    needed = [line for line in wanted.splitlines() if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert any(line.startswith("Requires-Dist: apache-beam==2.77.0") for line in needed)
    assert not [line for line in needed if "tensorflow" in line]
    assert {"build_ckg.py", "graph.py", "manifest.py"} <= {name.rsplit("/", 1)[-1] for name in names}
