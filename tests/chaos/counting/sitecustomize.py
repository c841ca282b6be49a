"""Every compilation of this process is noted, a line each, in ``$COMPILES_FOLDER/PID.txt``.

Read by Python at its start when this folder is on PYTHONPATH. Compiled code that is taken from
the cache on disk counts too: to ask for it again would be as hidden a fault.
"""

import os
from pathlib import Path
from typing import Any

if "COMPILES_FOLDER" in os.environ:
    import jax

    def _note(event: str, seconds: float, **about: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            path = Path(os.environ["COMPILES_FOLDER"]) / f"{os.getpid()}.txt"
            with path.open("a") as notes:
                notes.write(f"{about.get('fun_name')}\n")

    jax.monitoring.register_event_duration_secs_listener(_note)
