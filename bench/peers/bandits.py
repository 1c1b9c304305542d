"""What users of contextual bandits would take instead, one decision and its update at a time, with disjoint arms over one context.

  numpy          LinUCB and LinTS as one writes them: all inverses in one array, one product for every arm, Sherman-Morrison for the arm taken;
                 a Thompson score is drawn from its own normal distribution, arms being independent
  vowpalwabbit   --cb_explore_adf with the interactions of context and arm; requests are text that was made before, as it comes from a wire
  river          bandit.LinUCBDisjoint; contexts are dicts that were made before
  mabwiser       LearningPolicy.LinUCB and LinTS

Says its versions, then answers each line "peer policy d k" with decisions (and updates) a second.
"""

import json
import platform
import sys
import time
from importlib.metadata import version

import numpy as np

ALPHA = 0.25
EPSILON = 0.05
REQUESTS = 256
SECONDS = 0.8


class Environment:
    """Contexts of unit length on average, rewards linear with noise."""

    def __init__(self, d: int, k: int) -> None:
        random = np.random.default_rng(d * 1000 + k)
        self.contexts = random.normal(size=(REQUESTS, d)) / np.sqrt(d)
        weights = random.normal(size=(k, d)) / np.sqrt(d)
        self.rewards = self.contexts @ weights.T + 0.1 * random.normal(size=(REQUESTS, k))
        self.d, self.k, self.t = d, k, 0

    def next(self) -> int:
        self.t += 1
        return self.t % REQUESTS


class Numpy(Environment):
    def __init__(self, policy: str, d: int, k: int) -> None:
        super().__init__(d, k)
        self.inverse = np.tile(np.eye(d), (k, 1, 1))
        self.moment = np.zeros((k, d))
        self.theta = np.zeros((k, d))
        self.random = np.random.default_rng(1) if policy == "linTs" else None

    def step(self) -> None:
        inverse, moment, theta, d, k = self.inverse, self.moment, self.theta, self.d, self.k
        request = self.next()
        x = self.contexts[request]
        products = (inverse.reshape(k * d, d) @ x).reshape(k, d)
        variances = products @ x
        widths = ALPHA * np.sqrt(variances)
        if self.random is not None:
            widths *= self.random.standard_normal(k)
        arm = int(np.argmax(theta @ x + widths))
        u = products[arm]
        inverse[arm] -= np.outer(u, u) / (1.0 + variances[arm])
        moment[arm] += self.rewards[request, arm] * x
        theta[arm] = inverse[arm] @ moment[arm]


class VowpalWabbit(Environment):
    def __init__(self, _policy: str, d: int, k: int) -> None:
        super().__init__(d, k)
        from vowpalwabbit import Workspace

        self.workspace = Workspace(f"--cb_explore_adf --epsilon {EPSILON} -q ca --quiet --random_seed 1")
        self.arms = [f"|a arm{a}" for a in range(k)]
        self.shared = ["shared |c " + " ".join(f"{i}:{v:.6f}" for i, v in enumerate(x)) for x in self.contexts]
        self.random = np.random.default_rng(1)

    def step(self) -> None:
        request = self.next()
        example = [self.shared[request], *self.arms]
        pmf = self.workspace.predict(example)
        arm = min(int(np.searchsorted(np.cumsum(pmf), self.random.random())), self.k - 1)
        example[1 + arm] = f"0:{-self.rewards[request, arm]:.6f}:{pmf[arm]:.6f} {self.arms[arm]}"
        self.workspace.learn(example)


class River(Environment):
    def __init__(self, _policy: str, d: int, k: int) -> None:
        super().__init__(d, k)
        from river import bandit

        self.policy = bandit.LinUCBDisjoint(seed=1)
        self.arms = list(range(k))
        self.dicts = [dict(enumerate(x.tolist())) for x in self.contexts]

    def step(self) -> None:
        request = self.next()
        context = self.dicts[request]
        arm = self.policy.pull(self.arms, context=context)
        self.policy.update(arm, context, float(self.rewards[request, arm]))


class MabWiser(Environment):
    def __init__(self, policy: str, d: int, k: int) -> None:
        super().__init__(d, k)
        from mabwiser.mab import MAB, LearningPolicy

        learning = LearningPolicy.LinTS(alpha=ALPHA) if policy == "linTs" else LearningPolicy.LinUCB(alpha=ALPHA)
        self.mab = MAB(list(range(k)), learning, seed=1)
        self.mab.fit(list(range(k)), [0.0] * k, np.zeros((k, d)))

    def step(self) -> None:
        request = self.next()
        context = self.contexts[request : request + 1]
        arm = self.mab.predict(context)
        self.mab.partial_fit([arm], [self.rewards[request, arm]], context)


PEERS = {"numpy": Numpy, "vowpalwabbit": VowpalWabbit, "river": River, "mabwiser": MabWiser}


def main() -> None:
    versions = {peer: f"{version(peer)}, Python {platform.python_version()}" for peer in PEERS}
    print(json.dumps(versions), flush=True)
    running: dict[str, Environment] = {}
    for line in sys.stdin:
        key = line.strip()
        peer, policy, d, k = key.split()
        if key not in running:
            running.clear()
            running[key] = PEERS[peer](policy, int(d), int(k))
        environment = running[key]
        events, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < SECONDS or events == 0:
            environment.step()
            events += 1
        print(events / elapsed, flush=True)


main()
