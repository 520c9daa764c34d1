"""A Ray cluster on this machine, two nodes that work and a head that does not, in .venv-ray:

    python two_nodes.py FOLDER

Each has a cache and a build folder of its own below FOLDER; the last pretends to have a T4.
The cluster's address is printed, and "kill" on standard input ends the second node.
"""

import os
import sys

from ray.cluster_utils import Cluster

# Ray's workers are niced by 15, and would wait for every other test.
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - as Ray spells it


def main(folder: str) -> None:
    cluster = Cluster()

    def add(name: str, **resources):
        own = {"BUILD_DIR": f"{folder}/{name}/build", "XDG_CACHE_HOME": f"{folder}/{name}/cache"}
        return cluster.add_node(object_store_memory=100_000_000, env_vars=own, **resources)

    add("head", num_cpus=0, include_dashboard=False)
    add("first", num_cpus=1)
    second = add("second", num_cpus=1, num_gpus=1, resources={"accelerator_type:T4": 1})
    print(cluster.address, flush=True)
    for line in sys.stdin:
        if line.strip() == "kill":
            cluster.remove_node(second, allow_graceful=False)
            print("killed", flush=True)
        else:
            break
    cluster.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
