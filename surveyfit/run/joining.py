"""Where the executor comes from: a cluster on this machine, or one that runs already."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import dask
from distributed import Client, Security

from surveyfit.errors import InputError
from surveyfit.run.cluster import Cluster
from surveyfit.run.config import Config, Execution
from surveyfit.run.local_cluster import SETTINGS, local_cluster
from surveyfit.run.performance import check_report, reported
from surveyfit.run.versions import accept_any_versions, refuse_other_versions

CONNECT_TIMEOUT = "10s"

LOUD_LOGGERS = ("distributed", "distributed.client", "tornado", "tornado.application", "bokeh")
"""Those whose level distributed sets; a child among them does not follow its parent."""


@contextmanager
def connect(
    run: Path, config: Config, execution: Execution, notify: Callable[[str], None]
) -> Iterator[Cluster]:
    """Start a cluster on this machine, or join the one that ``--scheduler`` names.

    Raises
    ------
    InputError
        If the scheduler cannot be reached, a worker has other versions, the memory limit is not a
        size, or the performance report cannot be written.
    """
    _quieten(execution.verbose)
    report = Path(execution.performance_report) if execution.performance_report else None
    if report is not None:
        check_report(report)
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(SETTINGS))
        if execution.scheduler is None:
            cluster = stack.enter_context(local_cluster(execution))
            client = stack.enter_context(Client(cluster))
        else:
            client = stack.enter_context(_existing(execution))
            refuse_other_versions(client)
            stack.callback(accept_any_versions, client)
        if report is not None:
            stack.enter_context(reported(report, client, notify))
        yield stack.enter_context(closing(Cluster(client, run, config, execution, notify)))


def _quieten(verbose: bool) -> None:
    """Keep the libraries' log lines, tracebacks among them, from the user unless asked for.

    A browser that leaves the dashboard, or Ctrl-C, is enough to make tornado log one.
    """
    level = logging.INFO if verbose else logging.CRITICAL
    for name in LOUD_LOGGERS:
        logging.getLogger(name).setLevel(level)


def _existing(execution: Execution) -> Client:
    scheduler = execution.scheduler
    assert scheduler is not None
    try:
        if Path(scheduler).is_file():
            address = json.loads(Path(scheduler).read_text())["address"]
        else:
            address = scheduler
        return Client(address, timeout=CONNECT_TIMEOUT, security=_security(address, execution))
    except (OSError, ValueError, TypeError, KeyError) as error:
        words = " ".join(f"{type(error).__name__}: {error}".split())
        certificates = ", and the certificates" if str(scheduler).startswith("tls") else ""
        raise InputError(
            f"--scheduler {scheduler}: no scheduler answers there ({words})",
            "give an address such as tcp://host:8786 or the scheduler's file, or leave it out"
            f"; check that it runs{certificates}",
        ) from error


def _security(address: str, execution: Execution) -> Security | None:
    """Return the certificates of an encrypted connection: ours if given, else Dask's own."""
    if not address.startswith("tls://"):
        return None
    given = {
        "tls_ca_file": execution.tls_ca,
        "tls_client_cert": execution.tls_cert,
        "tls_client_key": execution.tls_key,
    }
    security = Security(require_encryption=True, **{k: v for k, v in given.items() if v})
    missing = [name for name in given if not getattr(security, name)]
    if missing:
        raise InputError(
            f"--scheduler {address}: an encrypted connection needs certificates",
            "give --tls-ca, --tls-cert and --tls-key, or set them in Dask's configuration",
        )
    return security
