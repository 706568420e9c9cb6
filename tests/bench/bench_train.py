#!/usr/bin/env python3
"""What training costs, measured on whole runs of the program.

    bench_train.py LYRE [--work DIR] [--data DIR] [SECTION...]

Sections (all but tangsong by default):

    rival     one peer, 2 threads, one epoch of langid, against PyTorch
    peers     four peers, bsp: accuracy, equal digests, bytes on the wire
    log       --durability 1s against none
    replay    rebuilding the last clock against training
    cpu       CPU seconds per sample: eight local peers against one
    memory    the peak of a peer against its bound
    tangsong  one and two peers on the large data set, against PyTorch

langid is made by scripts/langid.py where --work does not hold it yet. tangsong
is looked for in --data and left out, with a word, where it is not. Ratios are of
figures of one call; runs that are compared take turns, and medians are shown.
"""

import argparse
import gzip
import json
import pathlib
import shutil
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CLASSES, FEATURES = 141, 32768
LR, RUNS = "1.5", 5


class Bench:
    def __init__(self, a):
        self.lyre = a.lyre
        self.work = pathlib.Path(a.work)
        self.data = pathlib.Path(a.data)
        self.work.mkdir(parents=True, exist_ok=True)

    def call(self, *words):
        return subprocess.run([self.lyre, *map(str, words)], check=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True).stdout

    def langid(self):
        """langid as binary files, made once."""
        train, test = self.work / "langid.train.bin", self.work / "langid.test.bin"
        if not train.exists():
            subprocess.run([ROOT / "scripts/langid.py", "--out", self.work],
                           check=True)
            for name in ("train", "test"):
                for kind in ("svm", "bin"):
                    self.call("data", "featurize",
                              self.work / f"langid.{name}.tsv", "--out",
                              self.work / f"langid.{name}.{kind}")
        return train, test

    def train(self, *options, data=None):
        """The summary of a run, which stands in work/run afterwards."""
        run = self.work / "run"
        shutil.rmtree(run, ignore_errors=True)
        train, test = data or self.langid()
        text = self.call("train", "mlr", "--data", train, "--test", test,
                         "--run", run, "--json", *options)
        return json.loads(text)

    def torch(self, *options):
        text = subprocess.run(
            ["/usr/bin/python3", HERE / "rival_torch.py", *map(str, options)],
            check=True, stdout=subprocess.PIPE, text=True).stdout
        return json.loads(text)


def median(values):
    return statistics.median(values)


def show(what, value, demanded=""):
    print(f"  {what:<58} {value:>16}   {demanded}", flush=True)


def rival(b):
    train, test = (b.work / f"langid.{n}.svm" for n in ("train", "test"))
    b.langid()
    options = ("--threads", 2, "--batch", 256, "--lr", LR)
    ours, theirs = [], []
    for seed in range(1, 4):
        ours.append(b.train(*options, "--seed", seed))
        theirs.append(b.torch(train, test, CLASSES, FEATURES, "--seed", seed))
    for seed in range(4, 6):
        ours.append(b.train(*options, "--seed", seed))
    show("PyTorch, seconds (median of 3)",
         f"{median(r['seconds'] for r in theirs):.2f}")
    show("PyTorch, accuracy", f"{median(r['accuracy'] for r in theirs):.4f}")
    show("lyre, seconds (median of 5)",
         f"{median(r['seconds_train'] for r in ours):.2f}")
    show("lyre, accuracy of seeds 1 to 5",
         " ".join(f"{r['accuracy']:.4f}"[1:] for r in ours), ".462")
    show("PyTorch / lyre, time",
         f"{median(r['seconds'] for r in theirs) / median(r['seconds_train'] for r in ours):.1f}x",
         "5x")


def peers(b):
    r = b.train("--peers", 4, "--batch", 64, "--lr", LR, "--digest-every", 100)
    digests = []
    for p in range(4):
        text = b.call("replay", b.work / "run", "--peer", p, "--verify")
        digests.append([line.split()[5] for line in text.splitlines()
                        if line.startswith("clock ")])
    wire = r["bytes_sent"] / (r["bytes_encoded"] * 3)
    show("accuracy, one epoch in total", f"{r['accuracy']:.4f}", ".455")
    show("digests of the four logs",
         "equal" if all(d == digests[0] for d in digests) else "DIFFERENT",
         f"{len(digests[0])} clocks each")
    show("samples/s", f"{r['samples_per_second']:.0f}")
    show("bytes sent / (encoded x receivers)", f"{wire:.4f}", "1.03")


def log(b):
    ratios, shares = [], []
    for i in range(2 * RUNS):
        order = ("1s", "none") if i % 2 else ("none", "1s")
        r = {d: b.train("--threads", 1, "--batch", 256, "--lr", LR,
                        "--epochs", 3, "--durability", d) for d in order}
        ratios.append(r["1s"]["seconds_train"] / r["none"]["seconds_train"])
        shares.append(r["1s"]["seconds_logging"] / r["1s"]["seconds_train"])
    show("time with 1s / with none (median of 10)", f"{median(ratios):.3f}",
         "1.02")
    show("  least and most", f"{min(ratios):.3f} {max(ratios):.3f}")
    show("share of a clock that training spends handing over",
         f"{median(shares):.4f}")


def replay(b):
    for peers_ in (1, 4):
        ratios = []
        for _ in range(3):
            r = b.train("--peers", peers_, "--threads", 2 // min(peers_, 2),
                        "--batch", 256 // peers_, "--lr", LR)
            done = json.loads(b.call("replay", b.work / "run", "--json",
                                     "--threads", 2))
            if done["digests"]["W"] != r["digest"]:
                sys.exit("replay has another digest than training")
            ratios.append(r["seconds_train"] / done["seconds"])
        show(f"training / replaying it, {peers_} peer(s), same digest",
             f"{median(ratios):.1f}x", "5x")


def cpu(b):
    for tau, what in (("0.03:unbiased", "sparse u"), ("0", "dense u")):
        for batch in (64, 512, 2048):
            one, eight = [], []
            for _ in range(3):
                for n, to in ((1, one), (8, eight)):
                    r = b.train("--peers", n, "--threads", 1, "--batch", batch,
                                "--lr", LR, "--sparsify", tau)
                    to.append(r["seconds_cpu"] / r["samples"])
            show(f"CPU per sample, 8 peers / 1, {what}, batch {batch}",
                 f"{median(eight) / median(one):.2f}x",
                 "1.5x" if tau != "0" else "")
            show("  microseconds, 1 and 8 peers",
                 f"{1e6 * median(one):.2f} {1e6 * median(eight):.2f}")


def memory(b, data=None, name="langid", options=(), w=4 * FEATURES * 144,
           rows_bytes=0):
    for n in (1, 4) if name == "langid" else (1, 2):
        r = b.train("--peers", n, "--lr", LR, *options, data=data)
        bound = 1.15 * w + rows_bytes / n + 150 * 2**20
        show(f"{name}, {n} peer(s): peak / (1.15 W + share + 150 MiB)",
             f"{r['rss_max_bytes'] / bound:.2f}", "1.00")
        show("  MiB", f"{r['rss_max_bytes'] / 2**20:.0f}")


def share(path):
    """Bytes of the rows: indices and values, offsets and labels."""
    return path.stat().st_size


def langid_memory(b):
    memory(b, rows_bytes=share(b.langid()[0]))


def tangsong(b):
    source = b.data / "tangsong"
    if not source.exists():
        print("  tangsong is not here: left out")
        return
    data = tuple(b.work / f"tangsong.{n}.bin" for n in ("train", "test"))
    plain = tuple(b.work / f"tangsong.{n}.svm" for n in ("train", "test"))
    for binary, text, name in zip(data, plain, ("train", "test")):
        if not binary.exists():
            packed = source / f"unibi.{name}.svm.gz"
            b.call("data", "convert", packed, "--out", binary)
            with gzip.open(packed, "rb") as f, open(text, "wb") as g:
                shutil.copyfileobj(f, g)
    options = ("--transform", "log1p", "--normalize", "l2", "--lr", 12,
               "--batch", 256)
    sparse = b.train("--threads", 2, *options, data=data)
    dense = b.train("--threads", 2, *options, "--sparsify", 0, data=data)
    two = b.train("--peers", 2, *options, data=data)
    their = b.torch(*plain, 1626, 85584, "--log1p", "--seconds", 60)
    epoch = their["seconds"] / their["epoch"]
    show("PyTorch, seconds an epoch (from the first 60 s)", f"{epoch:.0f}")
    for what, r, demanded in (("sparse u", sparse, "20x"),
                              ("dense u", dense, "10x")):
        show(f"lyre, {what}, seconds and accuracy",
             f"{r['seconds_train']:.2f} {r['accuracy']:.4f}", ".32")
        show("  PyTorch / lyre, time", f"{epoch / r['seconds_train']:.0f}x",
             demanded)
    show("two peers, bsp: samples/s and accuracy",
         f"{two['samples_per_second']:.0f} {two['accuracy']:.4f}")
    w = 4 * 85584 * 1632
    for n, r in ((1, sparse), (2, two)):
        bound = 1.15 * w + share(data[0]) / n + 150 * 2**20
        show(f"{n} peer(s): peak / (1.15 W + share + 150 MiB)",
             f"{r['rss_max_bytes'] / bound:.2f}", "1.00")


SECTIONS = {"rival": rival, "peers": peers, "log": log, "replay": replay,
            "cpu": cpu, "memory": langid_memory, "tangsong": tangsong}


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("lyre")
    p.add_argument("--work", default="build/bench")
    p.add_argument("--data", default=ROOT.parent / "shared" / "data")
    p.add_argument("sections", nargs="*", metavar="SECTION")
    a = p.parse_intermixed_args()
    b = Bench(a)
    for name in a.sections or [s for s in SECTIONS if s != "tangsong"]:
        print(f"{name}:", flush=True)
        SECTIONS[name](b)


if __name__ == "__main__":
    main()
