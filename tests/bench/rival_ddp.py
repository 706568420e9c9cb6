#!/usr/bin/python3
"""What a user of PyTorch would run on several machines: softmax regression under
DistributedDataParallel over gloo, SGD.

    rival_ddp.py dense X.npy CLASSES FEATURES [--powersgd RANK]
    rival_ddp.py rows TRAIN.npz CLASSES FEATURES [--sparse]
                 [--batch B] [--steps N] [--threads T] [--lr X]
    rival_ddp.py convert TRAIN.svm TRAIN.npz FEATURES

One process of the job, of rank $RANK among $WORLD_SIZE, which meet at
$MASTER_ADDR:$MASTER_PORT. `dense` is a Linear layer over dense rows, whose labels
are in X.labels.npy; --powersgd registers DDP's hook of that name, with error
feedback. `rows` is an EmbeddingBag over sparse rows; with --sparse its gradients
are sparse ones; `convert` makes a matrix of scipy of such rows, scaled to length 1,
with its labels beside it. Prints one JSON object: median seconds of a step (without the
first, in which DDP settles), loss, peak memory of the process. Needs the Debian
packages python3-torch and python3-sklearn.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import sys
import time

import numpy as np
import scipy.sparse
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

WARM_UP = 3  # Steps; PowerSGD sends plain gradients in the first two.


def rss():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def dense(a, rank, world):
    """This process's rows: a model, and a function from rows to its input."""
    path = pathlib.Path(a.data)
    x = np.load(path, mmap_mode="r")[rank::world].copy()
    y = np.load(path.with_suffix(".labels.npy"))[rank::world]
    model = torch.nn.Linear(a.features, a.classes, bias=False)
    return model, y, lambda rows: (torch.from_numpy(x[rows]),)


def convert(source, target, features):
    from rival_torch import read
    x, y = read(source, int(features), False, {})
    scipy.sparse.save_npz(target, x, compressed=False)
    np.save(target + ".labels.npy", y)


def rows(a, rank, world):
    x = scipy.sparse.load_npz(a.data)[rank::world]
    y = np.load(a.data + ".labels.npy")[rank::world]
    model = torch.nn.EmbeddingBag(a.features, a.classes, mode="sum",
                                  sparse=a.sparse)

    def take(rows_):
        part = x[rows_]
        return (torch.from_numpy(part.indices.astype(np.int64)),
                torch.from_numpy(part.indptr[:-1].astype(np.int64)),
                torch.from_numpy(part.data))
    return model, y, take


def wrap(model, a):
    """EmbeddingBag has its weights of samples as a keyword only."""
    class Positional(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, *what):
            if len(what) == 1:
                return self.inner(what[0])
            return self.inner(what[0], what[1], per_sample_weights=what[2])

    torch.nn.init.zeros_(model.weight)
    ddp = DistributedDataParallel(Positional(), gradient_as_bucket_view=True)
    if a.powersgd:
        from torch.distributed.algorithms.ddp_comm_hooks import powerSGD_hook
        state = powerSGD_hook.PowerSGDState(
            None, matrix_approximation_rank=a.powersgd, start_powerSGD_iter=2,
            use_error_feedback=True)
        ddp.register_comm_hook(state, powerSGD_hook.powerSGD_hook)
    return ddp


def main():
    if sys.argv[1:2] == ["convert"]:
        convert(*sys.argv[2:])
        return
    p = argparse.ArgumentParser()
    p.add_argument("kind", choices=("dense", "rows"))
    p.add_argument("data")
    p.add_argument("classes", type=int)
    p.add_argument("features", type=int)
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--steps", type=int, default=20)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--lr", type=float, default=0.1)
    p.add_argument("--powersgd", type=int, default=0)
    p.add_argument("--sparse", action="store_true")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    dist.init_process_group("gloo")
    model, y, take = {"dense": dense, "rows": rows}[a.kind](a, rank, world)
    y = torch.from_numpy(y.astype(np.int64))
    rss_before = rss()
    ddp = wrap(model, a)
    optimizer = torch.optim.SGD(ddp.parameters(), lr=a.lr)
    rng = np.random.default_rng(rank)
    seconds = []
    for _ in range(a.steps):
        batch = rng.choice(len(y), a.batch, replace=False)
        begun = time.monotonic()
        loss = torch.nn.functional.cross_entropy(ddp(*take(batch)), y[batch])
        optimizer.zero_grad(set_to_none=False)
        loss.backward()
        optimizer.step()
        seconds.append(time.monotonic() - begun)
    print(json.dumps({"seconds": statistics.median(seconds[WARM_UP:]),
                      "loss": loss.item(), "rss_max_bytes": rss(),
                      "rss_before": rss_before}))


if __name__ == "__main__":
    main()
