#!/usr/bin/env bash
# lyre explain: what it says of data and of a run is what its formulas and the
# job itself say, as a table and as JSON.
. "$(dirname "$0")/lib.sh" "$@"

make_data 600

# explain OPTION...: its JSON is in work/out.
explain() {
    check "explain $*" "$lyre" explain "$@" --json
}

# holds PYTHON: an expression over x (the object) and w (ways by name).
holds() {
    python3 - "$work/out" "$1" <<'PY' || fail "does not hold: $1"
import json, sys
x = json.load(open(sys.argv[1]))
w = {way["way"]: way for way in x["ways"]}
KJ = sum(4 * K * J for K, J in x["shapes"])
P = x["peers"]
sys.exit(0 if eval(sys.argv[2]) else 1)
PY
}

explain mlr --data "$work/train.svm" --peers 8 --batch 32 --link 100mbit
holds 'x["ways"][0]["way"] == "sv none f32 all" and x["link_bytes_per_second"] == 12.5e6'
holds 'all(abs(s["bytes"] - 7 * s["record_bytes"]) < 1e-6 for s in x["ways"] if not s["matrix"])'
holds 'abs(w["matrix by servers"]["bytes"] - 2 * KJ * 7 / 8) < 1'
holds 'w["matrix by ring all-reduce"]["bytes"] == w["matrix by servers"]["bytes"]'
holds 'w["matrix by ring all-reduce"]["rounds"] == 14'
holds 'w["sv none f32 all"]["pairs"] == 32 and w["sv jcss:4 f32 all"]["pairs"] == 4'
holds '0 < w["sv svd:8 f32 all"]["error"] < w["sv svd:4 f32 all"]["error"] < 1'
holds 'w["sv none bf16 all"]["bytes"] < w["sv none f32 all"]["bytes"]'
holds 'w["sv none f32 random:1 lazy:4"]["messages_eager"] == 1'
holds 'w["sv none f32 random:1 lazy:4"]["messages_lazy"] == 1.5'
holds 'w["sv none f32 random:3 lazy:4"]["bytes"] == w["sv none f32 all"]["bytes"]'
holds 'all(abs(s["bytes"] / 12.5e6 - s["seconds_link"]) < 1e-9 for s in x["ways"])'
holds 'all(s["seconds"] >= s["seconds_link"] for s in x["ways"])'
holds 'w[x["cheapest"]]["bytes"] == min(s["bytes"] for s in x["ways"] if not s["out"])'
holds 'w[x["fastest"]]["seconds"] == min(s["seconds"] for s in x["ways"] if not s["out"])'
# v is sparse, and four of 32 pairs leave much: neither may stand for all.
holds 'w["sv svd:4 f32 all"]["out"] == "v is sparse"'
holds '"above 0.05" in w["sv jcss:4 f32 all"]["out"] and w["sv none f32 all"]["out"] is None'
holds 'x["measured"] is None'

# A small matrix and many peers: the matrix costs less, and it says so.
explain mlr --data "$work/train.svm" --peers 64 --batch 64
holds 'w["sv none f32 all"]["loses_bytes"] and x["break_even_pairs"] < 64'
check "in words" "$lyre" explain mlr --data "$work/train.svm" --peers 64
expect_said "more bytes than the matrix: sv none f32 all ("
expect_said "cheapest in bytes is "
expect_said "not good enough to stand for all pairs: sv jcss:8 f32 all (error "
check "two peers" "$lyre" explain mlr --data "$work/train.svm" --peers 2 --batch 8
expect_said "no way of sufficient vectors sends more bytes than the matrix"
check "one peer" "$lyre" explain mlr --data "$work/train.svm" --peers 1
expect_said "one peer sends nothing"

# The user's own way stands first.
explain mlr --data "$work/train.svm" --select jcss:5 --codec bf16 \
    --multicast ring --repair lazy:2 --peers 5
holds 'x["ways"][0]["way"] == "sv jcss:5 bf16 ring lazy:2"'
holds 'x["ways"][0]["pairs"] == 5 and x["ways"][0]["messages_lazy"] == 1.5'

# Without repair a batch goes to those that the schedule names.
explain mlr --data "$work/train.svm" --consistency ssp:2 \
    --multicast random:2 --repair none --peers 8
holds 'x["ways"][0]["way"] == "sv none f32 random:2 none"'
holds 'x["ways"][0]["messages_eager"] == 2 and x["ways"][0]["messages_lazy"] == 0'
holds 'abs(x["ways"][0]["bytes"] - 2 * x["ways"][0]["record_bytes"]) < 1e-6'

# What mixing replicas costs is in the bytes of that way.
explain mlr --data "$work/train.svm" --consistency ssp:2 \
    --multicast random:2 --repair sync:5 --peers 8
holds 'x["ways"][0]["way"] == "sv none f32 random:2 sync:5"'
holds 'x["ways"][0]["bytes"] > 2 * x["ways"][0]["record_bytes"] + 100'

# A run: what was measured in it is what its log says.
check "train" "$lyre" train mlr --data "$work/train.svm" --run "$work/run" \
    --peers 3 --threads 1 --batch 16 --clocks 12 --quiet
explain "$work/run"
holds 'x["measured"]["clocks"] == 12 and x["measured"]["pairs"] == 16'
holds 'P == 3 and x["batch"] == 16 and w["sv none f32 all"]["pairs"] == 16'
holds '"sv svd:4 f32 all" in w'
# The last records are as large as those that were sent, more or less: u thins
# out as the model learns.
holds '.5 < w["sv none f32 all"]["record_bytes"] / x["measured"]["bytes_encoded"] < 1.1'
check "table" "$lyre" explain "$work/run" --link 10mbit
expect_said "in 12 clocks of the run: 16 pairs, "
expect_said "links of 10.0 Mbit/s"

# What was left out is not in the log.
check "train" "$lyre" train mlr --data "$work/train.svm" --run "$work/few" \
    --peers 2 --threads 1 --batch 16 --clocks 5 --quiet --select jcss:4
explain "$work/few"
holds 'x["ways"][0]["pairs"] == 4 and 0 < x["ways"][0]["error"] < 1'
holds 'len(w) == 3 and "matrix by servers" in w'
check "words" "$lyre" explain "$work/few"
expect_said "need all pairs, as computed"

expect_status 2 "$lyre" explain
expect_said "one run directory or model is wanted"
expect_status 2 "$lyre" explain mlr
expect_said "--data is missing"
expect_status 2 "$lyre" explain "$work/run" --link 3
expect_said "--link 3: a rate such as"
expect_status 2 "$lyre" explain "$work/run" --peers 3
expect_said "a run has its own"
expect_status 1 "$lyre" explain "$work/nothing"
expect_said "nothing"
echo "what a clock costs is said, and adds up"
