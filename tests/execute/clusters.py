"""Ray's own test cluster: several nodes on one machine, each with its own processes."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest


@contextmanager
def two_nodes() -> Iterator[Any]:
    """A head that does no work, and two nodes of two processors.

    Where the machine is too busy for it to come up, the test is skipped, and says so.
    """
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_raylet_start_wait_time_s="60")
    from ray.cluster_utils import Cluster

    made = Cluster()
    try:
        made.add_node(num_cpus=0, include_dashboard=False, **_ports())
        made.nodes = [made.add_node(num_cpus=2, **_ports()) for _ in range(2)]
        made.wait_for_nodes()
    except Exception as error:  # Ray raises no other
        made.shutdown()
        pytest.skip(f"Ray's test cluster does not come up on this machine: {error}")
    try:
        yield made
    finally:
        made.shutdown()


def _ports() -> dict[str, int]:
    """Ports of a node's agents. Those that they would choose, a node waits fifteen seconds for, and not one more."""
    names = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in names]
        for each in sockets:
            each.bind(("", 0))
        return {name: each.getsockname()[1] for name, each in zip(names, sockets, strict=True)}


def other_node(cluster: Any) -> Any:
    """A node to which the driver is not connected: with its own, a driver dies as well."""
    import ray

    own = ray._private.worker._global_node._raylet_socket_name
    return next(node for node in cluster.nodes if node._raylet_socket_name != own)
