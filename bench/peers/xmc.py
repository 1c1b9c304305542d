"""PECOS XR-Linear on WordNet: the peer of millrace's label trees. Branching 32, leaves of at most 100 labels, its defaults otherwise.

  xmc.py pack <data> <packed>                makes arrays of the texts, so that reading them adds nothing to the memory of what follows
  xmc.py train <packed> <threads> <folder>   trains in this process and says, as a line of JSON, what it took
  xmc.py                                     says its versions, then answers each line with a number:
    load <packed> <folder>   rows of the test set
    batch <top>              milliseconds a query of all rows, one thread
    single <top> <share>     microseconds of a query that so many of 4,000 single ones stay below
"""

import gzip
import json
import os
import platform
import resource
import sys
import time
from importlib.metadata import version

import numpy as np
import scipy.sparse as sp
from pecos.xmc import Indexer, LabelEmbeddingFactory
from pecos.xmc.xlinear.model import XLinearModel

BEAM = 10
SINGLE = 4_000


def read(path: str) -> tuple[sp.csr_matrix, sp.csr_matrix]:
    columns, values, starts, labels, label_starts = [], [], [0], [], [0]
    with gzip.open(path, "rt") as lines:
        n, d, count = map(int, next(lines).split())
        for line in lines:
            names, *pairs = line.split(" ")
            labels += [int(name) for name in names.split(",")] if names else []
            label_starts.append(len(labels))
            for pair in pairs:
                column, value = pair.split(":")
                columns.append(int(column))
                values.append(float(value))
            starts.append(len(columns))
    x = sp.csr_matrix((np.array(values), columns, starts), shape=(n, d))
    y = sp.csr_matrix((np.ones(len(labels), np.float32), labels, label_starts), shape=(n, count))
    norms = np.sqrt(np.asarray(x.multiply(x).sum(axis=1)).ravel())
    return (sp.diags(1 / norms) @ x).tocsr().astype(np.float32), y


def pack(data: str, packed: str) -> None:
    os.makedirs(packed, exist_ok=True)
    for part in ("train", "test"):
        for name, matrix in zip("XY", read(f"{data}/{part}.txt.gz")):
            sp.save_npz(f"{packed}/{name}.{part}.npz", matrix, compressed=False)


def unpack(packed: str, part: str) -> tuple[sp.csr_matrix, sp.csr_matrix]:
    x, y = (sp.load_npz(f"{packed}/{name}.{part}.npz") for name in "XY")
    return x, y


def bytes_of(folder: str) -> int:
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names)


def train(packed: str, threads: int, folder: str) -> None:
    x, y = unpack(packed, "train")
    start = time.perf_counter()
    embedding = LabelEmbeddingFactory.create(y, x, method="pifa", threads=threads)
    chain = Indexer.gen(
        embedding, indexer_type="hierarchicalkmeans", nr_splits=32, max_leaf_size=100, seed=0, threads=threads
    )
    model = XLinearModel.train(x, y, chain, threads=threads)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model.save(folder)
    test, truth = unpack(packed, "test")
    found = model.predict(test, beam_size=BEAM, only_topk=20, threads=1)
    hits = np.zeros(5)
    for row in range(test.shape[0]):
        span = slice(found.indptr[row], found.indptr[row + 1])
        best = found.indices[span][np.argsort(-found.data[span], kind="stable")][:5]
        hits[: len(best)] += np.isin(best, truth.indices[truth.indptr[row] : truth.indptr[row + 1]])
    precision = [100 * hits[:k].sum() / (k * test.shape[0]) for k in (1, 3, 5)]
    told = {"seconds": seconds, "peakBytes": 1024 * peak, "modelBytes": bytes_of(folder)}
    print(json.dumps({**told, "precision": precision}), flush=True)


def main() -> None:
    print(json.dumps({"libpecos": f"{version('libpecos')}, Python {platform.python_version()}"}), flush=True)
    for line in sys.stdin:
        what, *words = line.split()
        if what == "load":
            test, _ = unpack(words[0], "test")
            model = XLinearModel.load(words[1], is_predict_only=True)
            print(test.shape[0], flush=True)
            continue
        settings = {"beam_size": BEAM, "only_topk": int(words[0]), "threads": 1}
        if what == "batch":
            start = time.perf_counter()
            model.predict(test, **settings)
            print(1_000 * (time.perf_counter() - start) / test.shape[0], flush=True)
        else:
            times = []
            for row in range(SINGLE):
                query = test[row]
                start = time.perf_counter()
                model.predict(query, **settings)
                times.append(1e6 * (time.perf_counter() - start))
            print(np.percentile(times, 100 * float(words[1])), flush=True)


if sys.argv[1:2] == ["pack"]:
    pack(sys.argv[2], sys.argv[3])
elif sys.argv[1:2] == ["train"]:
    train(sys.argv[2], int(sys.argv[3]), sys.argv[4])
else:
    main()
