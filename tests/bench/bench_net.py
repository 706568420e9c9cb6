#!/usr/bin/env python3
"""What a clock costs where the network is slow, on hosts of scripts/netlab.sh.

    bench_net.py LYRE [--work DIR] [--data DIR] [--clocks N] [--runs N]
                 [SECTION...]

Sections (all by default); needs root:

    select    four hosts, 100 Mbit/s, dense softmax regression with W of 64 MB
              (4096 x 4096), 64 samples a peer and clock: all pairs, jcss, svd,
              auto, each with dense u and with the u that --sparsify leaves
    dense     the same job at 1 Gbit/s, pairs and --transfer of whole matrices,
              against PyTorch's DDP, plain and with its PowerSGD hook of rank 4
    panlex    panlex_swadesh (2,111 classes, 42,781 sparse features, W of 345
              MiB) at 1 Gbit/s, against DDP with dense and with sparse gradients

A clock is the median of those of peer 0 but the first few. Beside it stands what
it must cost, as means: the link's bytes in a clock, as the kernel counts them,
at the rate of the link, and the work, which four peers share the cores for. All
that is compared takes turns, so that ratios are of figures of one call. PyTorch
gets the OpenBLAS kernels that fit the machine, see CORETYPE. Dense data are made
here; panlex_swadesh is looked for in --data and left out, with a word, where it
is not. Needs Debian's python3 with python3-numpy, and but for the section select
python3-torch, python3-scipy and python3-sklearn.
"""

import argparse
import gzip
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys

from bench_train import Bench, HERE, ROOT, median, show

CLASSES = FEATURES = 4096
ROWS, BATCH, HOSTS = 8192, 64, 4
WARM_UP = 5  # Clocks that are not counted.
PORT = 7070
STEPS = 9  # Of PyTorch, of which the first 3 are not counted.
CORETYPE = "SkylakeX"  # OpenBLAS of Debian 12 does not know newer machines.

# Rows in groups of classes that resemble one another, as real ones do.
MAKE_DENSE = """
import sys, numpy as np
path, rows, classes, features = sys.argv[1], *map(int, sys.argv[2:])
rnd = np.random.default_rng(5)
groups = 64
group = rnd.standard_normal((groups, features), np.float32)
own = rnd.standard_normal((classes, features), np.float32)
y = rnd.permutation(np.arange(rows) % classes)
x = group[y % groups] + .5 * own[y]
x += .2 * rnd.standard_normal(x.shape, np.float32)
x /= np.linalg.norm(x, axis=1, keepdims=True)
np.save(path + ".labels.npy", y.astype(np.int32))
np.save(path + ".npy", x.astype(np.float32))
"""


class Lab:
    """Hosts with links of a rate; to be used in a `with`."""

    def __init__(self, n, rate):
        self.n, self.rate, self.name = n, rate, f"bench{os.getpid()}"

    def netlab(self, *words):
        return [str(ROOT / "scripts/netlab.sh"), "--lab", self.name,
                *map(str, words)]

    def __enter__(self):
        subprocess.run(self.netlab("up", self.n, self.rate), check=True,
                       stdout=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        subprocess.run(self.netlab("down"), check=True)

    def sent(self):
        """Bytes that each link has sent."""
        text = subprocess.run(self.netlab("bytes"), check=True, text=True,
                              stdout=subprocess.PIPE).stdout
        return [int(line.split()[1]) for line in text.splitlines()]

    def seconds(self, n_bytes):
        """How long so many bytes take on a link."""
        number, unit = self.rate[:-4], self.rate[-4]
        return 8 * n_bytes / (float(number) * {"m": 1e6, "g": 1e9}[unit])

    def all(self, words, seconds=900):
        """Run words(rank) on every host: what each printed, parsed."""
        running = [subprocess.Popen(self.netlab("exec", r, *words(r)),
                                    stdout=subprocess.PIPE, text=True)
                   for r in range(self.n)]
        try:
            said = [p.communicate(timeout=seconds)[0] for p in running]
        finally:
            for p in running:
                p.kill()
        for p in running:
            if p.returncode != 0:
                sys.exit(f"{' '.join(p.args)}: ended with {p.returncode}")
        return [json.loads(text) for text in said]


class NetBench(Bench):
    def dense(self):
        path = self.work / f"dense{FEATURES}"
        if not path.with_suffix(".npy").exists():
            subprocess.run(["/usr/bin/python3", "-c", MAKE_DENSE, path,
                            *map(str, (ROWS, CLASSES, FEATURES))], check=True)
        return path.with_suffix(".npy")

    def job(self, lab, data, *options, clocks=30):
        """Train on all hosts: what a clock was like."""
        run = self.work / "run"
        shutil.rmtree(run, ignore_errors=True)
        before = lab.sent()
        said = lab.all(lambda r: [
            self.lyre, "train", "mlr", "--data", data, "--run", run, "--peers",
            lab.n, "--rank", r, "--threads", 1, "--clocks", clocks, "--json",
            "--quiet", "--rendezvous", f"tcp://10.99.0.1:{PORT}", *options])
        sent = [b - a for a, b in zip(before, lab.sent())]
        db = sqlite3.connect(run / "peer-0" / "index.db")
        columns = ("seconds_clock seconds_compute seconds_select "
                   "seconds_encode seconds_wait seconds_apply seconds_log "
                   "pairs selection_error").split()
        rows = db.execute(f"select {', '.join(columns)} from metric where "
                          f"clock >= {WARM_UP}").fetchall()
        db.close()
        shutil.rmtree(run)
        result = {c: statistics.mean(v or 0 for v in values)
                  for c, values in zip(columns, zip(*rows))}
        result["mean"] = result["seconds_clock"]
        result["seconds_clock"] = median(r[0] for r in rows)
        result["sent"] = max(sent) / clocks
        result["kernel"] = sum(sent) / sum(s["bytes_sent"] for s in said)
        result["rss"] = max(s["rss_max_bytes"] for s in said)
        result["digests"] = len({s["digest"] for s in said})
        result["loss"] = statistics.mean(s["train_loss"] for s in said)
        return result


    def ddp(self, lab, *words):
        """PyTorch on all hosts: seconds of a step of rank 0."""
        before = lab.sent()
        said = lab.all(lambda r: [
            "env", f"RANK={r}", f"WORLD_SIZE={lab.n}", "OMP_NUM_THREADS=1",
            f"OPENBLAS_CORETYPE={CORETYPE}", "GLOO_SOCKET_IFNAME=e0",
            "MASTER_ADDR=10.99.0.1", f"MASTER_PORT={PORT + 1}",
            "/usr/bin/python3", HERE / "rival_ddp.py", *words,
            "--batch", BATCH, "--steps", STEPS])
        sent = [b - a for a, b in zip(before, lab.sent())]
        return {"seconds_clock": said[0]["seconds"], "sent": max(sent) / STEPS,
                "rss": max(s["rss_max_bytes"] for s in said),
                "loss": said[0]["loss"]}

    def take_turns(self, lab, jobs):
        """Call each of jobs {what: function} so often: medians of results."""
        results = {what: [] for what in jobs}
        for _ in range(self.runs):
            for what, job in jobs.items():
                results[what].append(job())
                print(".", end="", file=sys.stderr, flush=True)
        return {what: {k: median(r[k] for r in of) for k in of[0]}
                for what, of in results.items()}


def show_job(lab, what, r):
    parts = [r[f"seconds_{p}"] for p in ("compute", "select", "encode", "apply")]
    work = sum(parts)
    link = lab.seconds(r["sent"])
    show(what, f"{r['seconds_clock']:.3f} s")
    show("  its bytes on the link; computing, selecting, encoding, applying",
         f"{link:.3f}; " + " ".join(f"{p:.3f}" for p in parts))
    show("  waiting at the gate, and for the log",
         f"{r['seconds_wait']:.3f} {r['seconds_log']:.3f}")
    show("  mean clock, and what it is of link + work",
         f"{r['mean']:.3f} {r['mean'] / (link + work):.2f}")
    show("  MB a peer and clock; bytes of the kernel / those lyre counts",
         f"{r['sent'] / 1e6:.3f} {r['kernel']:.3f}")
    show("  pairs sent, error, MiB of a peer, different digests",
         f"{r['pairs']:.0f} {r['selection_error']:.2f} "
         f"{r['rss'] / 2**20:.0f} {r['digests']}")


def show_ddp(lab, what, r):
    show(what, f"{r['seconds_clock']:.3f} s")
    show("  its bytes on the link; MB a process and step; MiB of a process",
         f"{lab.seconds(r['sent']):.3f}; {r['sent'] / 1e6:.1f} "
         f"{r['rss'] / 2**20:.0f}")


def show_ratios(theirs, ours, demanded):
    """PyTorch over lyre, for each pair in demanded {(their, our): text}."""
    for (their, our), text in demanded.items():
        t, o = theirs[their], ours[our]
        show(f"{their} / lyre {our}: time",
             f"{t['seconds_clock'] / o['seconds_clock']:.1f}x", text)
        show("  memory", f"{t['rss'] / o['rss']:.1f}x", "3x")


WAYS = {"none": ("--select", "none"),
        "jcss:8": ("--select", "jcss:8"),
        "svd:8": ("--select", "svd:8"),
        "auto": ("--select", "auto")}

# Whole matrices: plain SGD as in DDP, every clock's sum logged.
MATRICES = {t: ("--transfer", t) for t in
            ("matrix-allreduce", "matrix-ps", "powersgd:4")}


def select(b):
    data = b.dense()
    jobs = {f"{w}{also}": (*o, *sparsify)
            for also, sparsify in ((", dense u", ("--sparsify", 0)), ("", ()))
            for w, o in WAYS.items()}
    with Lab(HOSTS, "100mbit") as lab:
        results = b.take_turns(lab, {
            w: lambda o=o: b.job(lab, data, "--batch", BATCH, *o,
                                 clocks=b.clocks) for w, o in jobs.items()})
        for w, r in results.items():
            show_job(lab, w, r)
    for also in (", dense u", ""):
        times = {w: results[w + also]["seconds_clock"] for w in WAYS}
        best = min(t for w, t in times.items() if w != "auto")
        for w in ("jcss:8", "svd:8"):
            show(f"none / {w}{also}", f"{times['none'] / times[w]:.1f}x")
        show(f"auto / the best of the others{also}",
             f"{times['auto'] / best:.2f}x", "1.15x")


def compare(b, rate, ours, theirs, demanded):
    """ours and theirs: {what: arguments of b.job or b.ddp}."""
    with Lab(HOSTS, rate) as lab:
        jobs = {("lyre", w): lambda o=o: b.job(
            lab, *o, "--batch", BATCH, clocks=b.clocks) for w, o in ours.items()}
        jobs |= {("DDP", w): lambda o=o: b.ddp(lab, *o)
                 for w, o in theirs.items()}
        results = b.take_turns(lab, jobs)
        for (who, w), r in results.items():
            (show_job if who == "lyre" else show_ddp)(lab, f"{who}, {w}", r)
    show_ratios({w: results["DDP", w] for w in theirs},
                {w: results["lyre", w] for w in ours}, demanded)
    return {w: results["lyre", w]["seconds_clock"] for w in ours}


def dense(b):
    data = b.dense()
    common = ("dense", data, CLASSES, FEATURES)
    ours = compare(
        b, "1gbit",
        {w: (data, *WAYS[w]) for w in ("none", "jcss:8", "svd:8")} |
        {w: (data, *o) for w, o in MATRICES.items()},
        {"plain": common, "PowerSGD 4": (*common, "--powersgd", 4)},
        {(t, w): text for t, text in (("plain", "8x"), ("PowerSGD 4", "4x"))
         for w in ("jcss:8", "svd:8")} |
        {("plain", "matrix-allreduce"): "1x",
         ("PowerSGD 4", "powersgd:4"): "1x"})
    best = min(t for w, t in ours.items() if w not in MATRICES)
    for w in MATRICES:
        show(f"lyre {w} / the best of pairs", f"{ours[w] / best:.1f}x",
             "5x" if w == "matrix-allreduce" else "")


def panlex(b):
    packed = b.data / "panlex_swadesh" / "train.svm.gz"
    if not packed.exists():
        print("  panlex_swadesh is not here: left out")
        return
    plain, binary, rows = (b.work / f"panlex.train.{e}"
                           for e in ("svm", "bin", "npz"))
    if not rows.exists():
        b.call("data", "convert", packed, "--out", binary, "--normalize", "l2")
        with gzip.open(packed, "rb") as f, open(plain, "wb") as g:
            shutil.copyfileobj(f, g)
        subprocess.run(["/usr/bin/python3", HERE / "rival_ddp.py", "convert",
                        plain, rows, "42781"], check=True)
    common = ("rows", rows, 2111, 42781)
    compare(b, "1gbit", {"none": (binary,)},
            {"sparse": (*common, "--sparse"), "dense": common},
            {("sparse", "none"): "25x", ("dense", "none"): "100x"})


SECTIONS = {"select": select, "dense": dense, "panlex": panlex}


def main():
    # A lab has to go whatever ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("lyre")
    p.add_argument("--work", default="build/bench")
    p.add_argument("--data", default=ROOT.parent / "shared" / "data")
    p.add_argument("--clocks", type=int, default=30)
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("sections", nargs="*", metavar="SECTION")
    a = p.parse_intermixed_args()
    b = NetBench(a)
    b.clocks, b.runs = a.clocks, a.runs
    for name in a.sections or SECTIONS:
        print(f"{name}:", flush=True)
        SECTIONS[name](b)


if __name__ == "__main__":
    main()
