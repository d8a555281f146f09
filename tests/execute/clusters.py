"""Ray's own test cluster: several nodes on one machine, each with its own processes."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest


@contextmanager
def two_nodes() -> Iterator[Any]:
    """A head that does no work, and two nodes of two processors.

    Where it does not come up, the test is skipped, and says so.
    """
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_raylet_start_wait_time_s="120",
                      RAY_agent_register_timeout_ms="120000")
    from ray._private.node import Node
    from ray.cluster_utils import Cluster

    made, start = Cluster(), Node.start_raylet
    try:
        with patch.object(Node, "start_raylet", lambda node, *given: start(_with_ports(node), *given)):
            made.add_node(num_cpus=0, include_dashboard=False, runtime_env_agent_port=_free_port())
            made.nodes = [made.add_node(num_cpus=2, runtime_env_agent_port=_free_port()) for _ in range(2)]
        made.wait_for_nodes()
    except Exception as error:  # Ray raises no other
        made.shutdown()
        pytest.skip(f"Ray's test cluster does not come up on this machine: {error}")
    try:
        yield made
    finally:
        made.shutdown()


def _with_ports(node: Any) -> Any:
    """A node waits fifteen seconds for its agents to say their ports, and on a busy machine they come up later: say
    them before (those of agents that nobody needs here are -1)."""
    from ray import _raylet

    ports = {_raylet.METRICS_AGENT_PORT_NAME: -1, _raylet.METRICS_EXPORT_PORT_NAME: -1,
             _raylet.DASHBOARD_AGENT_LISTEN_PORT_NAME: -1,
             _raylet.RUNTIME_ENV_AGENT_PORT_NAME: node._ray_params.runtime_env_agent_port}
    for name, port in ports.items():
        _raylet.persist_port(node._session_dir, node._node_id, name, port)
    return node


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("", 0))
        port: int = taken.getsockname()[1]
        return port


def other_node(cluster: Any) -> Any:
    """A node to which the driver is not connected: with its own, a driver dies as well."""
    import ray

    own = ray._private.worker._global_node._raylet_socket_name
    return next(node for node in cluster.nodes if node._raylet_socket_name != own)
