"""Disjoint LinUCB as one writes it in numpy: all inverses in one array, one product for every arm, Sherman-Morrison for the arm taken.

Says its version, then answers each line "d k" with decisions (and updates) a second.
"""

import platform
import sys
import time

import numpy as np

ALPHA = 0.25
REQUESTS = 256
SECONDS = 0.8


class Environment:
    def __init__(self, d: int, k: int) -> None:
        random = np.random.default_rng(d * 1000 + k)
        self.contexts = random.normal(size=(REQUESTS, d)) / np.sqrt(d)
        weights = random.normal(size=(k, d)) / np.sqrt(d)
        self.rewards = self.contexts @ weights.T + 0.1 * random.normal(size=(REQUESTS, k))
        self.inverse = np.tile(np.eye(d), (k, 1, 1))
        self.moment = np.zeros((k, d))
        self.theta = np.zeros((k, d))
        self.d, self.k, self.t = d, k, 0

    def run(self, events: int) -> None:
        inverse, moment, theta, d, k = self.inverse, self.moment, self.theta, self.d, self.k
        flat = inverse.reshape(k * d, d)
        for _ in range(events):
            request = self.t % REQUESTS
            self.t += 1
            x = self.contexts[request]
            products = (flat @ x).reshape(k, d)
            variances = products @ x
            arm = int(np.argmax(theta @ x + ALPHA * np.sqrt(variances)))
            u = products[arm]
            inverse[arm] -= np.outer(u, u) / (1.0 + variances[arm])
            moment[arm] += self.rewards[request, arm] * x
            theta[arm] = inverse[arm] @ moment[arm]


def main() -> None:
    print(f"numpy {np.__version__}, Python {platform.python_version()}", flush=True)
    environments: dict[tuple[int, int], Environment] = {}
    for line in sys.stdin:
        d, k = (int(word) for word in line.split())
        environment = environments.setdefault((d, k), Environment(d, k))
        events, start = 0, time.perf_counter()
        while time.perf_counter() - start < SECONDS:
            environment.run(50)
            events += 50
        print(events / (time.perf_counter() - start), flush=True)


main()
