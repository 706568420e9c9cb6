#!/usr/bin/python3
"""What a user of PyTorch would run: softmax regression over sparse rows with
EmbeddingBag, sparse gradients and AdaGrad, in one process.

    rival_torch.py TRAIN.svm TEST.svm CLASSES FEATURES [--lr X] [--batch B]
                   [--threads T] [--log1p] [--seconds S]

Prints one JSON object: seconds of training (reading excluded), samples, test
accuracy. With --seconds it stops there, and says how far it came. Needs the
Debian packages python3-torch and python3-sklearn.
"""

import argparse
import io
import json
import time

import numpy as np
import torch
from sklearn.datasets import load_svmlight_file


def read(path, features, log1p, ids):
    """Rows and labels; names of labels become numbers, in the order met."""
    text = io.BytesIO()
    with open(path, "rb") as f:
        for line in f:
            if not line.startswith(b"#"):
                label, _, rest = line.partition(b" ")
                number = ids.setdefault(label, len(ids))
                text.write(b"%d %s" % (number, rest))
    text.seek(0)
    x, y = load_svmlight_file(text, n_features=features, dtype=np.float32,
                              zero_based=False)
    if log1p:
        x.data = np.log1p(x.data)
    norm = np.sqrt(np.asarray(x.multiply(x).sum(1)).ravel())
    x.data /= np.repeat(np.maximum(norm, 1e-9), np.diff(x.indptr))
    return x, y.astype(np.int64)


def forward(model, rows):
    return model(torch.from_numpy(rows.indices.astype(np.int64)),
                 torch.from_numpy(rows.indptr[:-1].astype(np.int64)),
                 per_sample_weights=torch.from_numpy(rows.data))


def train(model, x, y, a):
    """One epoch, or as much as fits: seconds and samples."""
    optimizer = torch.optim.Adagrad(model.parameters(), lr=a.lr)
    order = np.random.default_rng(a.seed).permutation(x.shape[0])
    begun = time.monotonic()
    done = 0
    for i in range(0, len(order), a.batch):
        batch = order[i:i + a.batch]
        loss = torch.nn.functional.cross_entropy(
            forward(model, x[batch]), torch.from_numpy(y[batch]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        done += len(batch)
        if a.seconds and time.monotonic() - begun > a.seconds:
            break
    return time.monotonic() - begun, done


def accuracy(model, x, y):
    right = 0
    with torch.no_grad():
        for i in range(0, x.shape[0], 1024):
            guess = forward(model, x[i:i + 1024]).argmax(1).numpy()
            right += int((guess == y[i:i + 1024]).sum())
    return right / x.shape[0]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("train")
    p.add_argument("test")
    p.add_argument("classes", type=int)
    p.add_argument("features", type=int)
    p.add_argument("--lr", type=float, default=0.3)
    p.add_argument("--batch", type=int, default=256)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--log1p", action="store_true")
    p.add_argument("--seconds", type=float, default=0)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    ids = {}
    x, y = read(a.train, a.features, a.log1p, ids)
    model = torch.nn.EmbeddingBag(a.features, a.classes, mode="sum",
                                  sparse=True)
    torch.nn.init.zeros_(model.weight)
    seconds, samples = train(model, x, y, a)
    test = read(a.test, a.features, a.log1p, ids)
    print(json.dumps({"seconds": seconds, "samples": samples,
                      "epoch": samples / x.shape[0],
                      "accuracy": accuracy(model, *test)}))


if __name__ == "__main__":
    main()
