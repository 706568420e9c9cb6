# What system tests share. Source it: . "$(dirname "$0")/lib.sh" "$@"
#
#   $lyre           the program
#   $work           a directory of the test's own, removed at the end
#   make_data N     work/train.svm with N rows and work/test.svm
#   run_digest DIR  the digest of the last clock of DIR's peer (0 or $2)
#   check WHAT CMD  run CMD, and end the test with WHAT if it fails
#   skip WHY        this machine cannot run the test
#   $brief          not empty: the program is slow, for it checks itself, and
#                   others run the whole test; repeat less
set -euo pipefail

lyre=$(realpath "$1")
brief=${LYRE_TEST_BRIEF-}
work=$(mktemp -d)
trap 'cleanup' EXIT

cleanup() {
    # shellcheck disable=SC2046
    [ -z "$(jobs -p)" ] || kill -9 $(jobs -p) 2>/dev/null || true
    rm -rf "$work"
}

fail() {
    echo "FAILED: $*"
    exit 1
}

skip() {
    echo "skipped: $*"
    exit 77
}

check() {
    local what=$1 status=0
    shift
    "$@" >"$work/out" 2>&1 || status=$?
    [ $status = 0 ] || {
        cat "$work/out"
        fail "$what: $* ended with $status"
    }
}

# expect_status STATUS CMD...: run CMD, keep what it says in work/out.
expect_status() {
    local want=$1 got=0
    shift
    "$@" >"$work/out" 2>&1 || got=$?
    [ "$got" = "$want" ] || {
        cat "$work/out"
        fail "status $got instead of $want: $*"
    }
}

# expect_said TEXT: the last command said it.
expect_said() {
    grep -qF -- "$1" "$work/out" || {
        cat "$work/out"
        fail "nothing was said of: $1"
    }
}

make_data() {
    python3 - "$1" "$work" <<'PY'
import random, sys
n, work = int(sys.argv[1]), sys.argv[2]
rnd = random.Random(5)
words = [[rnd.randrange(400) for _ in range(30)] for _ in range(23)]
for name, rows in (("train", n), ("test", n // 5)):
    with open(f"{work}/{name}.svm", "w") as f:
        for _ in range(rows):
            c = rnd.randrange(23)
            ks = sorted({rnd.choice(words[c]) if rnd.random() < .6
                         else rnd.randrange(400) for _ in range(12)})
            f.write(f"{c} " + " ".join(f"{k + 1}:{rnd.uniform(.1, 1):.3f}"
                                       for k in ks) + "\n")
PY
}

# last_digest DIR PEER: of the last clock that the log of PEER has.
last_digest() {
    "$lyre" replay "$1" --peer "$2" --digest | awk '{print $NF}'
}

# json FIELD FILE: a field of the object in FILE.
json() {
    python3 -c 'import json,sys; print(json.load(open(sys.argv[2]))[sys.argv[1]])' \
        "$1" "$2"
}
