"""What pretraining costs on a real cluster of this machine's processes: memory, bytes on the wire, CPU time.

    python benchmarks/cluster_probe.py --ckg=CKG [--workers=2 --servers=2 --epochs=3 --set encoder.dim=64 --json=FILE]

Prints the figures, and how far `kdcn plan` is from them. Every process is measured on its own: memory by the
kernel's high-water mark (VmHWM), CPU time by its clock, and bytes by the counters of its own sockets (`ss`, of
iproute2), so that nothing else on this machine is counted. Without `ss` the loopback
interface is read, which counts everybody's traffic; the result says so.

The first epoch warms up (tracing, connections, caches) and is left out of the rates; start-up, loading of the graph
and the last checkpoint are apart from training.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from kdcn_tf import command, config, manifest, planning
from kdcn_tf.config import Config
from kdcn_tf.errors import ConfigError, UnavailableError

ROOT = Path(__file__).parents[1]
CHIEF, WORKER, SERVER = "chief", "worker", "ps"
TICKS = os.sysconf("SC_CLK_TCK")
NO_TRAFFIC = {"in_bytes": 0, "out_bytes": 0}

Snapshot = dict[str, Any]
"""`seconds`, `lo_bytes`, and for each member ("ps-0") `hwm_bytes`, `rss_bytes`, `cpu_s`, `in_bytes`, `out_bytes`."""


def measure(
    ckg_directory: str, *, workers: int = 2, servers: int = 2, assignments: Sequence[str] = (), epochs: int = 3
) -> dict[str, Any]:
    """Trains on a local cluster and says what it cost.

    Args:
        ckg_directory: a CKG dataset.
        workers: processes that compute.
        servers: processes that hold the tables.
        assignments: `section.field=value` texts.
        epochs: from 2; all but the first are measured.

    Returns:
        `peak_bytes`, `loaded_bytes`: role -> largest of its processes, over all and after loading; per step (mean):
        `server_out_bytes_per_step`, `server_in_bytes_per_step` (all servers together), `bytes_per_step`,
        `worker_cpu_s_per_step`, `server_cpu_s_per_step`, `chief_cpu_s_per_step`; `busiest_server`: its share of the
        servers' bytes; `triples_per_s`, `steps`, `seconds` by phase, `checkpoint_bytes`, `bytes_from`.

    Raises:
        ConfigError: fewer than 2 epochs.
        UnavailableError: the cluster failed; its last output is in the message.
    """
    if epochs < 2:
        raise ConfigError(f"epochs: the first is warm-up, so at least 2 are needed, got {epochs}")
    settings = settings_of(ckg_directory, assignments, epochs)
    with tempfile.TemporaryDirectory(prefix="kdcn-probe.") as scratch:
        result = Path(scratch, "snapshots.json")
        order = {"ckg": str(ckg_directory), "assignments": list(assignments), "epochs": epochs, "scratch": scratch}
        launcher = [str(ROOT / "launch" / "local_cluster.sh"), "-w", str(workers), "-p", str(servers), "--"]
        member = [sys.executable, str(Path(__file__).resolve()), "--member", json.dumps(order)]
        environment = {k: v for k, v in os.environ.items() if k != "TF_CONFIG"} | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run([*launcher, *member], capture_output=True, text=True, cwd=scratch, env=environment)
        if done.returncode or not result.exists():
            raise UnavailableError(f"the cluster ended with exit code {done.returncode}:\n{done.stderr[-3000:]}")
        marks = json.loads(result.read_text())
    return summary(marks, settings, manifest.read(ckg_directory, manifest.CKG))


def plan_error(
    ckg_directory: str, *, workers: int = 2, servers: int = 2, assignments: Sequence[str] = (), epochs: int = 3,
    measured: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """How far the planner is from a real cluster.

    Args:
        ckg_directory: a CKG dataset.
        workers: as `measure`.
        servers: as `measure`.
        assignments: as `measure`.
        epochs: as `measure`.
        measured: what `measure` said, if it ran already.

    Returns:
        `plan_error`, the larger of the two relative errors, and for `server_peak_bytes` (the whole process, on the
        fullest server) and `bytes_per_step`: planned, measured, error; `measured`.
    """
    from kdcn_tf.training import footprint

    found = measured or measure(ckg_directory, workers=workers, servers=servers, assignments=assignments, epochs=epochs)
    settings, ckg = settings_of(ckg_directory, assignments, epochs), manifest.read(ckg_directory, manifest.CKG)
    planned = planning.plan(
        settings, footprint.graph_of(ckg, settings), planning.Machines(servers, workers),
        step=footprint.counted_step(ckg_directory, ckg, settings, servers),
    )  # fmt: skip
    pairs = {
        "server_peak_bytes": (planned.server_bytes, found["peak_bytes"][SERVER]),
        "bytes_per_step": (planned.bytes_per_step, found["bytes_per_step"]),
    }
    report = {
        name: {"planned": round(plan), "measured": round(real), "error": abs(plan - real) / real}
        for name, (plan, real) in pairs.items()
    }
    return {"plan_error": max(part["error"] for part in report.values()), **report, "measured": found}


def summary(marks: dict[str, Any], settings: Config, ckg: manifest.Manifest) -> dict[str, Any]:
    """The figures of `measure`, from its snapshots."""
    first, last, saved = marks["epochs"][0], marks["epochs"][-1], marks["saved"]
    epochs = len(marks["epochs"]) - 1
    counts = [file.count for file in ckg.group("train")]
    steps = epochs * sum(-(-count // settings.pretrain.batch_size) for count in counts)

    def spent(role: str, key: str) -> list[float]:
        return [last["members"][m][key] - first["members"][m][key] for m in last["members"] if m.startswith(role)]

    def largest(at: Snapshot, key: str) -> dict[str, int]:
        return {
            role: max(seen[key] for m, seen in at["members"].items() if m.startswith(role))
            for role in (CHIEF, WORKER, SERVER)
        }

    out, into = spent(SERVER, "out_bytes"), spent(SERVER, "in_bytes")
    from_sockets = sum(out) > 0
    moved = sum(out) + sum(into) if from_sockets else last["lo_bytes"] - first["lo_bytes"]
    seconds = last["seconds"] - first["seconds"]
    return {
        "steps": steps,
        "triples_per_s": epochs * sum(counts) / seconds,
        "bytes_from": "sockets of the cluster" if from_sockets else "loopback interface: everybody's traffic",
        "bytes_per_step": moved / steps,
        "bytes_per_triple": moved / (epochs * sum(counts)),
        "server_out_bytes_per_step": sum(out) / steps,
        "server_in_bytes_per_step": sum(into) / steps,
        "busiest_server": max(map(sum, zip(out, into, strict=True))) / moved if from_sockets else None,
        **{f"{role}_cpu_s_per_step": sum(spent(role, "cpu_s")) / steps for role in (CHIEF, WORKER, SERVER)},
        "peak_bytes": largest(saved, "hwm_bytes"),
        "peak_bytes_by_phase": {
            phase: largest(at, "hwm_bytes")[SERVER]
            for phase, at in (("build", marks["built"]), ("load", marks["loaded"]), ("train", last), ("save", saved))
        },
        "trained_bytes": largest(last, "rss_bytes"),
        "seconds": {
            "build": marks["built"]["seconds"] - marks["begin"]["seconds"],
            "load": marks["loaded"]["seconds"] - marks["built"]["seconds"],
            "train": seconds,
            "save": saved["seconds"] - last["seconds"],
        },
        "checkpoint_bytes": marks["checkpoint_bytes"],
    }


def settings_of(ckg_directory: str, assignments: Sequence[str], epochs: int) -> Config:
    stored = manifest.read(ckg_directory, manifest.CKG).number("stored_neighbors")
    final = [f"pretrain.epochs={epochs}", f"pretrain.checkpoint_every={epochs}"]
    return config.resolve("default", {"ckg.stored_neighbors": stored}, None, [*assignments, *final])


def snapshot() -> Snapshot:
    """What every process of this cluster has used so far; called by the chief, whose siblings they are."""
    traffic = _traffic()
    members = {}
    for task in Path("/proc").iterdir():
        name = _member_name(task) if task.name.isdigit() else None
        if name:
            members[name] = {**_memory(task), "cpu_s": _cpu_seconds(task), **traffic.get(task.name, NO_TRAFFIC)}
    loopback = next(line for line in Path("/proc/net/dev").read_text().splitlines() if line.strip().startswith("lo:"))
    return {"seconds": time.monotonic(), "lo_bytes": int(loopback.split(":")[1].split()[8]), "members": members}


def _member_name(task: Path) -> str | None:
    """ "ps-0" for a process of this cluster, by its TF_CONFIG; None for every other process."""
    try:
        environment = dict(part.partition(b"=")[::2] for part in (task / "environ").read_bytes().split(b"\0"))
        mine = int((task / "stat").read_text().rpartition(")")[2].split()[1]) == os.getppid()
    except OSError:  # ended, or somebody else's
        return None
    if not mine or b"TF_CONFIG" not in environment:
        return None
    role = json.loads(environment[b"TF_CONFIG"])["task"]
    return f"{role['type']}-{role['index']}"


def _memory(task: Path) -> dict[str, int]:
    found = dict(re.findall(r"^(VmHWM|VmRSS):\s+(\d+) kB", (task / "status").read_text(), re.M))
    return {"hwm_bytes": int(found["VmHWM"]) * 1024, "rss_bytes": int(found["VmRSS"]) * 1024}


def _cpu_seconds(task: Path) -> float:
    fields = (task / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _traffic() -> dict[str, dict[str, int]]:
    """Process id -> payload bytes that came into and left its open TCP connections."""
    if not shutil.which("ss"):
        return {}
    found: dict[str, dict[str, int]] = {}
    # A tensor travels on a connection that its receiver opened, so a server's bytes are on both kinds of sockets.
    shown = subprocess.run(["ss", "-tinpHO", "state", "established"], capture_output=True, text=True, check=True)
    for line in shown.stdout.splitlines():
        owner = re.search(r"pid=(\d+)", line)
        mine = found.setdefault(owner[1] if owner else "", dict(NO_TRAFFIC))
        for key, counter in (("out_bytes", "bytes_sent"), ("in_bytes", "bytes_received")):
            mine[key] += sum(map(int, re.findall(rf"\b{counter}:(\d+)", line)))
    return found


def member(order: dict[str, Any]) -> None:
    """Trains as the member of the cluster that TF_CONFIG names; the chief takes the snapshots."""
    begin = time.monotonic()
    from kdcn_tf.training import cluster
    from kdcn_tf.training.checkpoints import Checkpoints
    from kdcn_tf.training.ledger import Ledger
    from kdcn_tf.training.loop import run_epochs
    from kdcn_tf.training.pretrain import Pretraining

    scheduler = cluster.start()
    directory, epochs = order["ckg"], order["epochs"]
    settings = settings_of(directory, order["assignments"], epochs)
    ckg = manifest.read(directory, manifest.CKG)
    marks: dict[str, Any] = {"begin": {"seconds": begin}, "epochs": []}
    run = Pretraining(scheduler, settings, ckg, directory)
    marks["built"] = snapshot()
    run.load_graph()
    marks["loaded"] = snapshot()
    output = Path(order["scratch"], "run")
    ledger = Ledger([file.name for file in ckg.group("train")], epochs, 1)
    run_epochs(
        scheduler=scheduler, ledger=ledger,
        checkpoints=Checkpoints(str(output), ledger, model=run.model, optimizer=run.optimizer),
        train_file=run.train_file, path_of=run.path_of, rows_of={f.name: f.count for f in ckg.group("train")},
        end_of_epoch=lambda epoch: marks["epochs"].append(snapshot()) or {}, should_stop=lambda history: False,
        seed=1, unit="triples", checkpoint_every=epochs,
    )  # fmt: skip
    marks["saved"] = snapshot()
    marks["checkpoint_bytes"] = sum(file.stat().st_size for file in output.rglob("*") if file.is_file())
    Path(order["scratch"], "snapshots.json").write_text(json.dumps(marks))


def _flags() -> flags.FlagValues:
    values = command.new_flags(with_config=False)
    flags.DEFINE_string("ckg", None, "CKG dataset", flag_values=values)
    flags.DEFINE_multi_string("set", [], "override: section.field=value; repeatable", flag_values=values)
    for name, default in (("workers", 2), ("servers", 2), ("epochs", 3)):
        flags.DEFINE_integer(name, default, f"number of {name}", lower_bound=1, flag_values=values)
    flags.DEFINE_string("json", None, "file to write the figures to", flag_values=values)
    return values


def _call(values: flags.FlagValues, _: list[str]) -> None:
    command.required(values, "ckg")
    report = plan_error(
        values.ckg, workers=values.workers, servers=values.servers, assignments=values.set, epochs=values.epochs
    )
    text = json.dumps(report, indent=1)
    print(text)
    if values.json:
        Path(values.json).write_text(text + "\n")


def main(argv: Sequence[str] | None = None) -> None:
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["--member"]:
        member(json.loads(arguments[1]))
        return
    command.run("cluster_probe", __doc__ or "", _flags(), _call, arguments)


if __name__ == "__main__":
    main()
