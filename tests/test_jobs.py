"""The recipes in jobs/ with real processes; hosts are network namespaces of this machine."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from catalogue_digest import read_catalogue
from distributed import Client, LocalCluster

JOBS = Path(__file__).parents[1] / "jobs"
PROGRAMS = Path(sys.executable).parent
HOST_A, HOST_B = "10.213.77.1", "10.213.77.2"
"""Addresses of the scheduler's host and of the worker's."""

START = 60
"""Seconds that a scheduler and its worker may take: four on a free core."""

MANIFEST: dict[str, Any] = yaml.safe_load((JOBS / "kubernetes.yaml").read_text())
(AWAIT,) = MANIFEST["spec"]["job"]["spec"]["initContainers"]
(RUNNER,) = MANIFEST["spec"]["job"]["spec"]["containers"]
(SCHEDULER,) = MANIFEST["spec"]["cluster"]["spec"]["scheduler"]["spec"]["containers"]
(WORKER,) = MANIFEST["spec"]["cluster"]["spec"]["worker"]["spec"]["containers"]


def schema_of_the_operator() -> dict[str, Any]:
    """Return the schema of a DaskJob that the API server checks against, unknown keys refused."""
    try:
        found = files("dask-kubernetes") or []
    except PackageNotFoundError:
        pytest.skip("dask-kubernetes, which has the schema of a DaskJob, is not installed")
    path = next(file.locate() for file in found if file.match("crds/daskjob.yaml"))
    definition = next(yaml.load_all(Path(str(path)).read_text(), yaml.CSafeLoader))
    schema: dict[str, Any] = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": {}}
    refuse_unknown_keys(schema)
    return schema


def refuse_unknown_keys(schema: Any) -> None:
    """Close all objects of a schema: the API server would drop a misspelt key without a word."""
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            schema.setdefault("additionalProperties", False)
        schema = list(schema.values())
    if isinstance(schema, list):
        for inner in schema:
            refuse_unknown_keys(inner)


def test_the_kubernetes_manifest_follows_the_schema_of_the_operator() -> None:
    schema = schema_of_the_operator()
    judge = pytest.importorskip("jsonschema").Draft7Validator(schema)
    assert [error.message for error in judge.iter_errors(MANIFEST)] == []
    misspelt = yaml.safe_load((JOBS / "kubernetes.yaml").read_text().replace("memory:", "mem:"))
    assert judge.is_valid(misspelt)  # names of resources are free
    misspelt = yaml.safe_load((JOBS / "kubernetes.yaml").read_text().replace("limits:", "limit:"))
    assert not judge.is_valid(misspelt)


class Hosts(NamedTuple):
    """Words that run a command on the one or the other of two hosts."""

    scheduler: list[str]
    worker: list[str]


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    """Make two network namespaces joined by a cable: hosts that share a disk."""
    names = [f"surveyfit-{os.getpid()}-{end}" for end in "ab"]
    cables = [f"sf{os.getpid()}{end}" for end in "ab"]  # at most 15 characters
    with ExitStack() as stack:
        try:
            for name in names:
                ip("netns", "add", name)
                stack.callback(ip, "netns", "delete", name)
            ip("link", "add", cables[0], "type", "veth", "peer", "name", cables[1])
            for name, cable, address in zip(names, cables, (HOST_A, HOST_B), strict=True):
                ip("link", "set", cable, "netns", name)
                ip("-n", name, "address", "add", f"{address}/24", "dev", cable)
                ip("-n", name, "link", "set", cable, "up")
                ip("-n", name, "link", "set", "lo", "up")
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no network namespaces here (they need Linux, root and iproute2): {error}")
        yield Hosts(*(["ip", "netns", "exec", name] for name in names))


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate each in ``ours`` and ``theirs``, as docs/cluster.md says."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes certificates, is not installed")
    folder = tmp_path_factory.mktemp("certificates")
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30"
    files = "-subj /CN=surveyfit -keyout key.pem -out cert.pem"
    for whose in ("ours", "theirs"):
        (folder / whose).mkdir(mode=0o700)
        subprocess.run(
            f"{make} {files}".split(), cwd=folder / whose, check=True, capture_output=True
        )
    return folder


def command_of(
    container: dict[str, Any], *, tls: Path, images: object = "", run: object = ""
) -> list[str]:
    """Return the command of a container of the manifest, for a process with other paths, hosts."""
    words = [*container.get("command", ["surveyfit"]), *container["args"]]  # the image's entry
    for name, here in {
        "/tls/": f"{tls}/",
        "/data/images": str(images),
        "/data/run": str(run),
        "survey-scheduler": HOST_A,
        "$(DASK_WORKER_NAME)": "worker-1",
    }.items():
        words = [word.replace(name, here) for word in words]
    return [str(PROGRAMS / words[0]), *words[1:]]


@contextmanager
def started(words: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in the background; when the block ends it and its children are gone."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            words,
            stdout=output,
            stderr=output,
            # Dask leaves settings of a cluster in this process here, silence among them.
            env={k: v for k, v in os.environ.items() if not k.startswith("DASK_")} | environment,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        finally:
            with_children(process, signal.SIGKILL)


def with_children(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to all that a process has started."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


@pytest.fixture(scope="module")
def encrypted(
    hosts: Hosts, certificates: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Start the manifest's scheduler and worker, each on its host; give the scheduler's log."""
    folder = tmp_path_factory.mktemp("encrypted")
    scheduler, worker = (command_of(c, tls=certificates / "ours") for c in (SCHEDULER, WORKER))
    log = folder / "scheduler.log"
    environment = {variable["name"]: variable["value"] for variable in WORKER["env"]}
    environment["DASK_TEMPORARY_DIRECTORY"] = str(folder)
    with (
        started([*hosts.scheduler, *scheduler], log),
        started([*hosts.worker, *worker], folder / "worker.log", **environment),
    ):
        await_words(log, "Register worker")
        yield log


def await_words(log: Path, words: str) -> None:
    """Wait until a process has written these words."""
    deadline = time.monotonic() + START
    while words not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


@pytest.mark.cluster
def test_a_worker_on_another_host_gives_the_same_catalogue_over_tls(
    hosts: Hosts, encrypted: Path, certificates: Path, survey: Path, plain_run: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    for container in (AWAIT, RUNNER):
        words = command_of(container, tls=certificates / "ours", images=survey, run=run)
        answer = subprocess.run(
            [*hosts.scheduler, *words], capture_output=True, text=True, timeout=200
        )
        assert answer.returncode == 0, answer.stderr
    assert read_catalogue(run) == read_catalogue(plain_run)


@pytest.mark.cluster
@pytest.mark.parametrize(
    "given",
    [
        pytest.param("nothing", marks=pytest.mark.slow),
        "another certificate",
        pytest.param("no encryption", marks=pytest.mark.slow),
    ],
)
def test_who_submits_without_the_right_certificate_is_refused(
    hosts: Hosts, encrypted: Path, certificates: Path, survey: Path, tmp_path: Path, given: str
) -> None:
    run = tmp_path / "run"
    submit = command_of(RUNNER, tls=certificates / "theirs", images=survey, run=run)
    if given != "another certificate":
        submit = [word for word in submit if not word.startswith("--tls")]
    if given == "no encryption":
        submit = [word.replace("tls://", "tcp://") for word in submit]
    started = time.monotonic()
    answer = subprocess.run([*hosts.scheduler, *submit], capture_output=True, text=True, timeout=60)
    assert answer.returncode == 2
    assert answer.stderr.startswith("error: --scheduler")
    assert len(answer.stderr.splitlines()) == 1
    assert "certificate" in answer.stderr or given == "no encryption"
    assert (
        time.monotonic() - started < 30
    )  # measured: 5 s on a busy core, 11 s on an overloaded one
    assert not run.exists()


@pytest.mark.cluster
@pytest.mark.parametrize(
    "given",
    [
        pytest.param("nothing", marks=pytest.mark.slow),
        "another certificate",
        pytest.param("no encryption", marks=pytest.mark.slow),
    ],
)
def test_a_worker_without_the_right_certificate_is_refused(
    hosts: Hosts, encrypted: Path, certificates: Path, tmp_path: Path, given: str
) -> None:
    worker = command_of(WORKER, tls=certificates / "theirs")
    if given != "another certificate":
        worker = [word for word in worker if not word.startswith("--tls")]
    if given == "no encryption":
        worker = [word.replace("tls://", "tcp://") for word in worker]
    answer = subprocess.run(
        [*hosts.worker, *worker, "--no-nanny", "--death-timeout=5"],
        capture_output=True,
        env={**os.environ, "DASK_TEMPORARY_DIRECTORY": str(tmp_path)},
        timeout=60,
    )
    assert answer.returncode != 0
    assert encrypted.read_text().count("Register worker") == 1


@pytest.mark.cluster
def test_a_gpu_node_brings_a_worker_a_gpu_and_cpu_workers(tmp_path: Path) -> None:
    """GPUs are not here: ``nvidia-smi`` is a script that lists two."""
    programs = write_program(tmp_path, "nvidia-smi", "echo 0; echo 1")
    with (
        LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
        started(
            ["bash", str(JOBS / "gpu-node.sh"), "2", cluster.scheduler_address],
            tmp_path / "node.log",
            PATH=programs,
            DASK_TEMPORARY_DIRECTORY=str(tmp_path),
        ),
    ):
        client.wait_for_workers(4, timeout=START)
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        seen = client.run(lambda: os.environ["CUDA_VISIBLE_DEVICES"])
    offered = sorted(str(worker["resources"]) for worker in workers)
    assert offered == ["{'CPU': 1.0}"] * 2 + ["{'GPU': 1.0}"] * 2
    assert sorted(seen.values()) == ["", "", "0", "1"]


def write_program(folder: Path, name: str, lines: str) -> str:
    """Write a shell script; return a PATH on which it comes first."""
    program = folder / name
    program.write_text(f"#!/bin/bash\n{lines}\n")
    program.chmod(0o755)
    return os.pathsep.join([str(folder), str(PROGRAMS), os.environ["PATH"]])


@pytest.mark.cluster
@pytest.mark.slow
def test_the_slurm_script_measures_and_cleans_up(
    survey: Path, plain_run: Path, tmp_path: Path
) -> None:
    """SLURM itself is not here: ``srun`` is a script that runs its command on this host."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes certificates, is not installed")
    programs = write_program(tmp_path, "srun", 'while [[ $1 == -* ]]; do shift; done\nexec "$@"')
    words = ["bash", str(JOBS / "slurm.sh"), str(survey), "--output", "run"]
    job = {"SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "1", "SLURM_MEM_PER_CPU": "2048"}
    script = subprocess.Popen(
        words,
        cwd=tmp_path,
        env={**os.environ, **job, "PATH": programs, "TMPDIR": str(tmp_path)},
        start_new_session=True,
    )
    try:
        assert script.wait(200) == 0
    finally:
        with_children(script, signal.SIGKILL)  # SLURM ends what a job has left running
    assert read_catalogue(tmp_path / "run") == read_catalogue(plain_run)
    assert list(tmp_path.glob(".surveyfit-job-*")) == []
