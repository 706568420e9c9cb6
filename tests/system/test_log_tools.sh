#!/usr/bin/env bash
# The log as a tool: what it says of a run whose peer 2 has wrong labels.
. "$(dirname "$0")/lib.sh" "$@"
cd "$work"
make_data 4000

# Rows of peer 2 of 4, by turns, get the label of the next class.
awk 'NR % 4 == 3 { $1 = ($1 + 1) % 23 } { print }' train.svm >bad.svm
train() {
    check "training" "$lyre" train mlr --test test.svm --batch 16 --threads 1 \
        --quiet --peers 4 "$@"
}

echo "a peer with wrong labels is found"
train --data bad.svm --run bad --clocks 60
expect_status 0 "$lyre" blame bad --clock 30..59 --json
python3 - "$work/out" <<'END' || fail "blame does not name peer 2"
import json, sys
s = json.load(open(sys.argv[1]))
peers = s["peers"]
assert s["first"] == 30 and s["last"] == 59, s
assert peers[0]["peer"] == 2 and len(peers) == 4, peers
assert peers[0]["share"] > 1.3 * peers[1]["share"], peers
assert abs(sum(p["share"] for p in peers) - 1) < 1e-6, peers
assert sum(b["peer"] == 2 for b in s["batches"]) >= 8, s["batches"]
# Samples are rows of the file: those of peer 2 are every fourth.
assert sum(x["row"] % 4 == 3 for x in s["samples"]) >= 8, s["samples"]
END
expect_status 0 "$lyre" blame bad --clock 59
expect_said "clocks 59 to 59: 4 batches of 4 peers"
expect_status 0 "$lyre" blame bad --col 22 --top 1
expect_status 2 "$lyre" blame bad --col 23
expect_said "--col 23: W has columns 0 to 22"
expect_status 2 "$lyre" blame bad --row 1 --col 1
expect_status 1 "$lyre" blame bad --clock 3..60
expect_said "no clock 60 in the log of peer 0, which has 60"

echo "what moved, and who moved it"
expect_status 0 "$lyre" diff bad --from 30 --to 45 --top 5 --json
python3 - "$work/out" <<'END' || fail "diff is wrong"
import json, sys
s = json.load(open(sys.argv[1]))
assert s["from"] == 30 and s["to"] == 45 and s["moved"] > 0, s
for lines in s["rows"], s["columns"]:
    assert len(lines) == 5
    assert all(a["moved"] >= b["moved"] for a, b in zip(lines, lines[1:]))
    for x in lines:
        shares = sum(p["share"] for p in x["peers"]) + x["other"]
        assert abs(shares - 1) < 1e-6 and len(x["peers"]) == 4, x
moved = [sum(x["moved"] * p["share"] for x in s["columns"]
             for p in x["peers"] if p["peer"] == i) for i in range(4)]
assert max(moved) == moved[2], moved
END
cp out first
expect_status 0 env LYRE_ISA=scalar "$lyre" diff bad --from 30 --to 45 --top 5 \
    --json --threads 1
cmp -s out first || fail "another machine sees another difference"
expect_status 0 "$lyre" diff bad --from 59
expect_said "W moved by"
expect_status 2 "$lyre" diff bad --from 9 --to 8
expect_status 1 "$lyre" diff bad --from 0 --to 61

echo "export"
expect_status 0 "$lyre" log export bad --clock 40 --out W.npy
expect_status 0 "$lyre" replay bad --clock 40 --out replayed.npy
cmp W.npy replayed.npy || fail "export and replay differ"
expect_status 0 "$lyre" log export bad --clock 40 --format npz --out all.npz
python3 - <<'END' || fail "not the archive that is wanted"
import zipfile
z = zipfile.ZipFile("all.npz")
assert z.testzip() is None and z.namelist() == ["W.npy", "W.h.npy"], z.namelist()
assert z.read("W.npy") == open("W.npy", "rb").read()
assert b"'shape': (400, 1)" in z.read("W.h.npy")[:128]
END
expect_status 2 "$lyre" log export bad --format csv --out x
expect_status 2 "$lyre" log export bad
expect_said "--out is missing"

echo "show says what a record is made of"
train --data train.svm --run coded --clocks 4 --codec bf16,shuffle --sparsify 0
expect_status 0 "$lyre" log show coded --clock 3
expect_said "bf16, norm"
train --data train.svm --run halves --clocks 4 --codec u=f16,v=f32
expect_status 0 "$lyre" log show halves --clock 3
expect_said ", f16, norm"
expect_said ", f32, norm"

echo "compact: what stays is rebuilt to the same bits"
train --data train.svm --run long --clocks 300 --segment-size 64K \
    --digest-every 50
for c in 250 275 300; do
    "$lyre" replay long --clock $c --digest >"at-$c"
done
"$lyre" log ls long >before
expect_status 0 "$lyre" log compact long --keep 60
expect_said "peer 3: snapshot of clock 240, "
grep -q ", 0 segments removed" out && fail "nothing was removed"
expect_status 0 "$lyre" log ls long
expect_said "peer 2: 300 clocks (W of 240 and later), "
expect_said "  snapshot of clock 240, "
expect_said "all of these logs have W of clocks 240 to 300"
for c in 250 275 300; do
    expect_status 0 "$lyre" replay long --clock $c --digest
    cmp -s out "at-$c" || fail "clock $c is not what it was"
done
expect_status 0 env LYRE_ISA=scalar "$lyre" replay long --digest --threads 1
cmp -s out at-300 || fail "another machine has other bits"
expect_status 1 "$lyre" replay long --clock 239
expect_said "clock 239 is not in the log, which was compacted and begins at clock 240"
expect_status 1 "$lyre" blame long --clock 200..250
expect_status 0 "$lyre" blame long --clock 250..260
expect_status 0 "$lyre" replay long --verify
expect_status 0 "$lyre" log verify long
expect_said "compacted to clock 240, 1 snapshot, "
rm long/peer-1/index.db*
expect_status 0 "$lyre" log reindex long --peer 1
expect_status 0 "$lyre" log verify long
expect_status 0 "$lyre" log compact long --keep 60
expect_said "nothing to do: the logs have W of clocks 240 to 300"
expect_status 2 "$lyre" log compact long
expect_said "--keep is missing"

echo "a run goes on from its snapshot, with the bits it would have had"
for mode in bsp pipeline:3; do
    for multicast in all random:1; do
        rm -rf cut whole
        train --data train.svm --run cut --clocks 160 --segment-size 64K \
            --consistency $mode --multicast $multicast --select svd:4
        cp -r cut whole
        expect_status 0 "$lyre" log compact cut --keep 0
        check "resume" "$lyre" resume cut --clocks 200 --threads 1 --quiet
        check "resume" "$lyre" resume whole --clocks 200 --threads 1 --quiet
        for p in 0 3; do
            [ "$(last_digest cut $p)" = "$(last_digest whole $p)" ] ||
                fail "$mode $multicast: peer $p is another model"
        done
        expect_status 0 "$lyre" log verify cut
    done
done

echo "killed while it compacts, nothing is lost"
train --data train.svm --run killed --clocks 600 --segment-size 64K
want=$(last_digest killed 0)
for i in 1 2 3 4 5 6 7 8; do
    "$lyre" log compact killed --keep $((500 - 50 * i)) --threads 1 \
        >/dev/null 2>&1 &
    sleep 0.0$i
    kill -9 $! 2>/dev/null || true
    wait $! 2>/dev/null || true
    expect_status 0 "$lyre" log verify killed
    [ "$(last_digest killed 0)" = "$want" ] || fail "lost at $i"
done
expect_status 0 "$lyre" log compact killed --keep 5
[ "$(last_digest killed 0)" = "$want" ] || fail "lost at the end"
[ -z "$(find killed -name '*.partial')" ] || fail "leftovers"

echo "logs that are compacted while they grow"
check "training" "$lyre" train mlr --data train.svm --batch 16 --threads 1 \
    --quiet --peers 2 --run small --clocks 25000 --keep-clocks 200 \
    --durability 100ms --segment-size 64K --digest-every 1000
check "training" "$lyre" train mlr --data train.svm --batch 16 --threads 1 \
    --quiet --peers 2 --run large --clocks 25000 --durability 100ms \
    --digest-every 1000
expect_status 0 "$lyre" log ls small
expect_said " and later)"
expect_status 0 "$lyre" log verify small
expect_said "compacted to clock "
[ "$(last_digest small 0)" = "$(last_digest large 1)" ] || fail "other bits"
check "resume" "$lyre" resume small --clocks 25100 --threads 1 --quiet
check "resume" "$lyre" resume large --clocks 25100 --threads 1 --quiet
[ "$(last_digest small 1)" = "$(last_digest large 0)" ] || fail "other bits later"
