"""A Ray cluster of two nodes on this machine, run by .venv-ray's interpreter:

    python two_nodes.py FOLDER

Each node has a cache and a build folder of its own below FOLDER; the second pretends to have a T4.
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
        return cluster.add_node(num_cpus=1, env_vars=own, **resources)

    add("first", include_dashboard=False)
    second = add("second", num_gpus=1, resources={"accelerator_type:T4": 1})
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
