#!/usr/bin/env bash
# Fewer pairs and shorter values: every way trains, all replicas stay equal and
# replay, and what a selection carries from clock to clock survives a resume.
. "$(dirname "$0")/lib.sh"

make_data 2000

# train NAME CLOCKS OPTION...
train() {
    local name=$1 clocks=$2
    shift 2
    check "$name" "$lyre" train mlr --data "$work/train.svm" \
        --test "$work/test.svm" --run "$work/$name" --peers 3 --threads 1 \
        --batch 24 --clocks "$clocks" --digest-every 10 --json "$@"
    cp "$work/out" "$work/$name.json"
}

for way in "--select jcss:6" "--select jcss-greedy:6" "--select svd:4" \
    "--select error:0.3" "--codec bf16" "--codec f16,shuffle" \
    "--select svd:4 --codec u=bf16,v=f16 --multicast random:1"; do
    name=${way// /-}
    # shellcheck disable=SC2086 # A list of options.
    train "$name" 40 $way
    for p in 0 2; do
        check "replay $name, peer $p" "$lyre" replay "$work/$name" --peer $p \
            --verify
    done
    [ "$(json digest "$work/$name.json")" != None ] || fail "$name: replicas differ"
done
python3 - "$work" <<'PY' || fail "the wrong number of pairs was sent"
import json, sys
def run(name):
    return json.load(open(f"{sys.argv[1]}/{name}.json"))
few, all_ = run("--select-svd:4"), run("--codec-bf16")
ok = few["pairs"] == 3 * 40 * 4 and all_["pairs"] == 3 * 40 * 24
ok = ok and 0 < few["selection_error"] < 1 and all_["selection_error"] == 0
sys.exit(0 if ok else 1)
PY

# 25 clocks and 15 more are 40 clocks, what was carried included.
train parted 25 --select svd:4
check "go on" "$lyre" resume "$work/parted" --clocks 40 --quiet
[ "$(last_digest "$work/parted" 1)" = "$(last_digest "$work/--select-svd:4" 1)" ] ||
    fail "a resumed selection ends with another model"
check "verify" "$lyre" log verify "$work/parted"
check "reindex" "$lyre" log reindex "$work/parted"
check "verify again" "$lyre" log verify "$work/parted"

# Without feedback it is another model: so the check above can fail.
train forgets 40 --select svd:4 --feedback 0
[ "$(last_digest "$work/forgets" 1)" != "$(last_digest "$work/parted" 1)" ] ||
    fail "feedback changes nothing"

expect_status 2 "$lyre" train mlr --data "$work/train.svm" --run "$work/x" \
    --select jccs:8
expect_said "jcss"
expect_status 2 "$lyre" train mlr --data "$work/train.svm" --run "$work/x" \
    --feedback 3
expect_said "--select svd:C"
echo "what is sent is what is applied, however little it is"
