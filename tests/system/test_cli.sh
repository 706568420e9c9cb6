#!/usr/bin/env bash
# The commands as a user meets them: help, wrong words, the man page, and each
# of them on small runs of real processes.
set -euo pipefail
lyre=$1
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
unset LYRE_ISA

fail() {
    echo "FAILED: $*" >&2
    [ ! -s out ] || sed 's/^/  out: /' out >&2
    [ ! -s err ] || sed 's/^/  err: /' err >&2
    exit 1
}

# exits STATUS COMMAND...: what it said is in out and err.
exits() {
    local want=$1 status=0
    shift
    "$@" >out 2>err || status=$?
    [ $status = "$want" ] || fail "exit $status, wanted $want: $*"
}

# says FILE TEXT: a line of out or err has it.
says() {
    grep -qF -- "$2" "$1" || fail "$1 does not say: $2"
}

# is FILE TEXT: the file is this line.
is() {
    [ "$(cat "$1")" = "$2" ] || fail "$1 is not: $2"
}

echo "help and wrong words"
exits 0 "$lyre" --version
grep -qE '^lyre [0-9]+\.[0-9]+\.[0-9]+$' out || fail "no version"
exits 0 "$lyre" --help
says out "usage: lyre <command>"
exits 0 "$lyre" help
exits 2 "$lyre"
says err "usage: lyre <command>"
exits 2 "$lyre" trian
is err "lyre: unknown command 'trian'; did you mean lyre train?"
exits 2 "$lyre" help repaly
says err "did you mean lyre replay?"
exits 2 "$lyre" log verfy
says err "did you mean lyre log verify?"
exits 0 "$lyre" help log ls
says out "usage: lyre log ls DIR"
exits 2 "$lyre" eval run --daat x
says err "lyre: unknown option --daat; did you mean --data?"
exits 2 "$lyre" eval run --data x --clock 1x
says err "lyre: option --clock: '1x' is not a whole number"
exits 2 "$lyre" eval --data x
says err "lyre: one run directory is wanted, not 0"
exits 2 "$lyre" predict run
says err "lyre: --data or --text is missing"
exits 1 "$lyre" replay nowhere
says err "nowhere"
exits 2 env LYRE_ISA=mmx "$lyre" --version
says err "lyre: LYRE_ISA: "
status=0
"$lyre" --help >/dev/full 2>err || status=$?
[ $status = 1 ] || fail "a full disk is not an error"
says err "lyre: write standard output: No space left on device"

echo "help has examples, and the man page agrees with it"
python3 - "$lyre" "$source/docs/lyre.1" <<'END' || exit 1
import re
import subprocess
import sys

lyre, page = sys.argv[1:]
errors = []


def help_of(words):
    done = subprocess.run([lyre, *words, "--help"], capture_output=True,
                          text=True, check=False)
    if done.returncode != 0 or done.stderr:
        errors.append(f"{words}: --help exits with {done.returncode}")
    return done.stdout


def commands(text):
    listed = text.partition("\ncommands:\n")[2].partition("\n\n")[0]
    return re.findall(r"^  (\S+)", listed, re.M)


def leaves(words):
    """Every command that has options, not commands, below it."""
    text = help_of(words)
    if "\ncommands:\n" not in text:
        if "\nexamples:\n" not in text:
            errors.append(f"{words}: no examples")
        too_wide = [x for x in text.splitlines() if len(x) > 100]
        errors.extend(f"{words}: wide line: {x}" for x in too_wide)
        yield " ".join(["lyre", *words]), set(re.findall(
            r"^  --([a-z0-9-]+)", text, re.M)) - {"help"}
        return
    for name in commands(text):
        if name != "help":
            yield from leaves([*words, name])


def documented(text):
    """Options of each command in the man page, by its .SS line."""
    for section in re.split(r"^\.SS ", text, flags=re.M)[1:]:
        name, _, body = section.partition("\n")
        body = body.partition("\n.SH ")[0].replace(r"\-", "-")
        yield name.strip('"'), set(re.findall(r"^\.BI? --([a-z0-9-]+)", body,
                                              re.M))


text = open(page).read()
version = subprocess.run([lyre, "--version"], capture_output=True, text=True,
                         check=True).stdout.strip()
if f'"{version}"' not in text.splitlines()[0]:
    errors.append(f"the man page is not of {version}")
said, written = dict(leaves([])), dict(documented(text))
if len(said) < 10:
    errors.append(f"only {len(said)} commands were found")
for name in sorted(said.keys() | written.keys()):
    if name not in said or name not in written:
        errors.append(f"{name}: only in the " +
                      ("man page" if name in written else "program"))
        continue
    for option in sorted(said[name] ^ written[name]):
        errors.append(f"{name} --{option}: only in the " +
                      ("man page" if option in written[name] else "program"))
print("\n".join(errors), file=sys.stderr)
sys.exit(1 if errors else 0)
END

echo "a small run"
python3 - <<'END'
import random
chance = random.Random(1)
for name, n in (("train", 400), ("test", 100)):
    with open(f"{name}.svm", "w") as f:
        for _ in range(n):
            y = chance.randrange(3)
            own = {6 * y + chance.randrange(6) for _ in range(3)}
            k = sorted(own | {chance.randrange(18) for _ in range(2)})
            print("abc"[y], *(f"{i + 1}:1" for i in k), file=f)
END
exits 0 "$lyre" train mlr --data train.svm --test test.svm --run run \
    --peers 2 --threads 1 --batch 10 --clocks 45 --digest-every 10 \
    --consistency bsp --json
python3 -c 'import json; s = json.load(open("out")); assert s["clock"] == 45
assert len(s["peers"]) == 2, s' || fail "not the JSON that is wanted"

echo "replay"
exits 0 "$lyre" replay run --digest
grep -qxE 'clock 45 matrix [A-Za-z]+ digest [0-9a-f]{32}' out ||
    fail "not a digest"
cp out last
exits 0 "$lyre" replay run --peer 1 --threads 2
cmp -s out last || fail "peers differ"
exits 0 env LYRE_ISA=scalar "$lyre" replay run --clock 45 --threads 1
cmp -s out last || fail "instruction sets differ"
exits 0 "$lyre" replay run --clock 20
cp out past
exits 0 "$lyre" log show run --clock 20
says out "$(cat past)"
exits 0 "$lyre" replay run --verify
says out "clock 10 matrix"
says out "clocks, as in training"
[ "$(grep -c ' ok$' out)" -ge 4 ] || fail "too few clocks were verified"
exits 0 "$lyre" replay run --verify --clock 25 --peer 1
[ "$(grep -c ' ok$' out)" = 2 ] || fail "not two clocks up to 25"
exits 1 "$lyre" replay run --verify --clock 5
says err "nothing to verify"
exits 1 "$lyre" replay run --clock 46
says err "46"
exits 1 "$lyre" replay run --peer 7
says err "7"
exits 0 "$lyre" replay run --clock 0 --out zero.npy
exits 0 "$lyre" replay run --out W.npy
[ ! -s out ] || fail "--out prints"
python3 - <<'END' || exit 1
import ast
import struct

def load(path):
    data = open(path, "rb").read()
    assert data[:8] == b"\x93NUMPY\x01\x00"
    size = 10 + struct.unpack("<H", data[8:10])[0]
    head = ast.literal_eval(data[10:size].decode())
    assert size % 64 == 0 and head["descr"] == "<f4", head
    assert head["fortran_order"] is False
    K, J = head["shape"]
    assert len(data) == size + 4 * K * J
    return head["shape"], struct.unpack(f"<{K * J}f", data[size:])

shape, w = load("W.npy")
assert shape == (18, 3), shape
assert any(w) and all(abs(x) < 1e6 for x in w)
assert not any(load("zero.npy")[1])
try:
    import numpy
except ImportError:
    print("  numpy is not here: it was not asked")
else:
    array = numpy.load("W.npy")
    assert array.shape == shape and array.ravel().tolist() == list(w)
END

echo "eval and predict"
exits 0 "$lyre" eval run --data test.svm
says out "clock 45 of peer 0: loss "
exits 0 "$lyre" eval run --data test.svm --json
python3 -c 'import json; s = json.load(open("out")); assert s["n"] == 100, s
assert s["accuracy"] > .8 and s["unknown_labels"] == 0, s' ||
    fail "not the JSON that is wanted"
printf 'a 1:1 99:1\nz 2:1 77:1\n' >strange.svm
exits 0 "$lyre" eval run --data strange.svm
says out "1 rows have labels that the model does not know"
says out "2 entries are of features that the model does not know"
exits 0 "$lyre" predict run --data test.svm
[ "$(wc -l <out)" = 100 ] || fail "not a line for each row"
grep -qvE '^[abc]	[01]\.[0-9]{4}$' out && fail "not labels and probabilities"
exits 0 "$lyre" predict run --data test.svm --top 9
awk -F'\t' 'NF != 6 || $2 < $4 || $4 < $6 { exit 1 }' out ||
    fail "not all labels, likeliest first"
exits 0 "$lyre" predict run --data test.svm --top 2 --json
python3 -c 'import json; s = [json.loads(x) for x in open("out")]
assert len(s) == 100 and s[99]["row"] == 99 and len(s[0]["guesses"]) == 2, s' ||
    fail "not the JSON that is wanted"
exits 2 "$lyre" predict run --text hello
says err "lyre: --text: this run was trained on rows of numbers"

echo "text"
for i in 1 2 3 4 5 6 7 8; do
    printf 'de\tder Hund %s\nen\tthe dog %s\n' "$i" "$i"
done >text.tsv
exits 0 "$lyre" train mlr --data text.tsv --run texts --peers 1 --threads 1 \
    --ngrams char:1-3 --batch 4 --epochs 4 --quiet
exits 0 "$lyre" predict texts --text "the cat" "der Kater"
[ "$(cut -f1 out | tr '\n' ' ')" = "en de " ] || fail "languages not known"
exits 0 "$lyre" predict texts --text "der Kater" --json
says out '"text":"der Kater"'

echo "logs"
exits 0 "$lyre" log ls run
says out "mlr, 2 peers, bsp, 45 clocks"
says out "peer 1: 45 clocks, 1 segment, "
says out "index up to date"
exits 0 "$lyre" log show run --clock 44 --peer 1
says out "the batch of peer 0, clock 44"
says out "10 pairs"
exits 1 "$lyre" log show run --clock 45
says err "no clock 45"
exits 0 "$lyre" log verify run
rm run/peer-0/index.db*
exits 0 "$lyre" log ls run
says out ", no index ("
exits 0 "$lyre" replay run
cmp -s out last || fail "without an index it is another model"
exits 0 "$lyre" log reindex run
[ -s run/peer-0/index.db ] || fail "no index"
exits 0 "$lyre" log verify run
cp -r run hurt
python3 - <<'END'
path = "hurt/peer-1/segments/00000000.seg"
data = bytearray(open(path, "rb").read())
data[len(data) // 2] ^= 1
open(path, "wb").write(data)
END
exits 1 "$lyre" log verify hurt
says err "lyre: hurt/peer-1: segments/00000000.seg: offset "
exits 1 "$lyre" replay hurt --peer 1
exits 0 "$lyre" log verify hurt --peer 0

echo "bench"
exits 0 "$lyre" bench apply --threads 1 --time 1ms
says out "sparse u, sparse v"
exits 0 "$lyre" bench link --provider net --time 20ms
says out "round trip"
exits 2 "$lyre" bench link --provider nope
says err "lyre: no provider nope"
exits 2 "$lyre" bench link --provider shm
says err "shm cannot be measured"

echo "installing"
cmake --install "$(dirname "$lyre")" --prefix "$work/there" >out 2>err ||
    fail "cmake --install"
[ -x there/bin/lyre ] && [ -s there/share/man/man1/lyre.1 ] ||
    fail "the program or its man page is not there"
printf '#include "models/model.h"\nint main(void) { return 0; }\n' >model.c
cc -std=c11 -I there/include/lyre -c model.c -o model.o ||
    fail "models/model.h does not compile where it is installed"

echo "all is well"
