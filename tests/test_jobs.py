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

JOBS = Path(__file__).parents[1] / "jobs"
PROGRAMS = Path(sys.executable).parent
SCHEDULER, WORKER = "10.213.77.1", "10.213.77.2"
"""Addresses of the two hosts."""

START = 60
"""Seconds that a scheduler and its worker may take: four on a free core."""

MANIFEST: dict[str, Any] = yaml.safe_load((JOBS / "kubernetes.yaml").read_text())
SPEC = MANIFEST["spec"]


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
            for name, cable, address in zip(names, cables, (SCHEDULER, WORKER), strict=True):
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


def command_of(pod: dict[str, Any], *, tls: Path, images: str = "", run: str = "") -> list[str]:
    """Return the command of a pod of the manifest, for a process with other paths and hosts."""
    (container,) = pod["spec"]["containers"]
    words = [*container.get("command", ["surveyfit"]), *container["args"]]  # the image's entry
    for name, here in {
        "/tls/": f"{tls}/",
        "/data/images": images,
        "/data/run": run,
        "survey-scheduler": SCHEDULER,
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
            env={**os.environ, **environment},
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
    scheduler, worker = (
        command_of(SPEC["cluster"]["spec"][role], tls=certificates / "ours")
        for role in ("scheduler", "worker")
    )
    log = folder / "scheduler.log"
    (container,) = SPEC["cluster"]["spec"]["worker"]["spec"]["containers"]
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
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
    submit = command_of(SPEC["job"], tls=certificates / "ours", images=str(survey), run=str(run))
    answer = subprocess.run(
        [*hosts.scheduler, *submit], capture_output=True, text=True, timeout=200
    )
    assert answer.returncode == 0, answer.stderr
    assert read_catalogue(run) == read_catalogue(plain_run)


@pytest.mark.cluster
@pytest.mark.parametrize("given", ["nothing", "another certificate", "no encryption"])
def test_who_submits_without_the_right_certificate_is_refused(
    hosts: Hosts, encrypted: Path, certificates: Path, survey: Path, tmp_path: Path, given: str
) -> None:
    run = tmp_path / "run"
    submit = command_of(SPEC["job"], tls=certificates / "theirs", images=str(survey), run=str(run))
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
    assert time.monotonic() - started < 15  # 5.2 to 5.7 s on one busy core, start included
    assert not run.exists()


@pytest.mark.cluster
@pytest.mark.parametrize("given", ["nothing", "another certificate", "no encryption"])
def test_a_worker_without_the_right_certificate_is_refused(
    hosts: Hosts, encrypted: Path, certificates: Path, tmp_path: Path, given: str
) -> None:
    worker = command_of(SPEC["cluster"]["spec"]["worker"], tls=certificates / "theirs")
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
def test_the_slurm_script_measures_and_cleans_up(
    survey: Path, plain_run: Path, tmp_path: Path
) -> None:
    """SLURM itself is not here: ``srun`` is a script that runs its command on this host."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes certificates, is not installed")
    srun = tmp_path / "srun"
    srun.write_text('#!/bin/bash\nwhile [[ $1 == -* ]]; do shift; done\nexec "$@"\n')
    srun.chmod(0o755)
    words = ["bash", str(JOBS / "slurm.sh"), str(survey), "--output", "run"]
    job = {"SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "1", "SLURM_MEM_PER_CPU": "2048"}
    path = os.pathsep.join([str(tmp_path), str(PROGRAMS), os.environ["PATH"]])
    script = subprocess.Popen(
        words,
        cwd=tmp_path,
        env={**os.environ, **job, "PATH": path, "TMPDIR": str(tmp_path)},
        start_new_session=True,
    )
    try:
        assert script.wait(200) == 0
    finally:
        with_children(script, signal.SIGKILL)  # SLURM ends what a job has left running
    assert read_catalogue(tmp_path / "run") == read_catalogue(plain_run)
    assert list(tmp_path.glob(".surveyfit-job-*")) == []
