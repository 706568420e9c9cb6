#!/usr/bin/env bash
# scripts/netlab.sh: hosts that reach one another at the rate asked for, bytes as
# the kernel counts them, and nothing left behind, whatever fails on the way.
. "$(dirname "$0")/lib.sh"

netlab=$(realpath "$(dirname "$0")/../../scripts/netlab.sh")
"$netlab" --help | grep -q '^usage: netlab.sh' || fail "no --help"
expect_status 2 "$netlab"
expect_status 2 "$netlab" fly
expect_said "there is no command 'fly'"

[ "$(id -u)" = 0 ] || skip "network namespaces need root"
command -v ip >/dev/null || skip "there is no ip command"
command -v tc >/dev/null || skip "there is no tc command"
ip netns add "ly$$" 2>/dev/null || skip "network namespaces cannot be made here"
ip netns del "ly$$"

slow=slow$$ fast=fast$$ broken=broken$$
trap 'for l in $slow $fast $broken; do "$netlab" --lab $l down; done; cleanup' EXIT

# Everything of these labs that the machine knows of.
left() {
    ip netns list | grep -E "^netlab-[a-z]*$$-" || true
    find /run/netns -name "netlab-*$$-*" 2>/dev/null || true
    ip -o link show | grep -E ': (e0|sw0|p[0-9]+)[@:]' || true
}
[ -z "$(left)" ] || fail "something like a lab is here before the test: $(left)"

# --- wrong calls say so
export NETLAB=$slow
expect_status 1 "$netlab" bytes
expect_said "there is no lab '$slow'"
expect_status 1 "$netlab" exec 0 true
expect_status 2 "$netlab" up 0 10mbit
expect_status 2 "$netlab" up 2 10mb
expect_said "'10mb' is not a rate"
expect_status 2 "$netlab" up 2
expect_status 2 "$netlab" --lab 'a-b' up 2 none
expect_status 0 "$netlab" down
if su nobody -s /bin/sh -c true 2>/dev/null; then
    expect_status 1 su nobody -s /bin/sh -c "bash -s up 2 none <'$netlab'"
    expect_said "needs root"
fi

# --- two labs at once
check "up" "$netlab" up 3 20mbit
[ "$(tr '\n' ' ' <"$work/out")" = "0 10.99.0.1 1 10.99.0.2 2 10.99.0.3 " ] ||
    fail "up says: $(cat "$work/out")"
expect_status 1 "$netlab" up 2 20mbit
expect_said "is up already"
check "a second lab" "$netlab" --lab "$fast" up 2 100mbit
expect_status 1 "$netlab" exec 3 true
expect_said "has no host 3: they are 0 to 2"
expect_status 7 "$netlab" exec 2 sh -c 'exit 7'
# shellcheck disable=SC2016 # The host's shell knows.
check "variables" "$netlab" exec 1 sh -c 'echo $LYRE_RANK $LYRE_HOST $LYRE_HOSTS'
expect_said "1 10.99.0.2 10.99.0.1 10.99.0.2 10.99.0.3"
check "bytes" "$netlab" bytes
[ "$(cat "$work/out")" = $'0 0 0\n1 0 0\n2 0 0' ] ||
    fail "links have moved before anybody spoke: $(cat "$work/out")"

# --- rates
sent=4000000
# What host 1 reads from host 0, and the seconds from its first byte to its last.
cat >"$work/move.py" <<'PY'
import os, socket, sys, time
size = int(sys.argv[1])
there = (os.environ["LYRE_HOSTS"].split()[0], 7071)
if os.environ["LYRE_RANK"] == "0":
    with socket.create_server(there) as s:
        s.settimeout(60)
        s.accept()[0].sendall(bytes(size))
else:
    for _ in range(100):
        try:
            s = socket.create_connection(there, 60)
            break
        except ConnectionRefusedError:
            time.sleep(.1)
    got = len(s.recv(1))
    begun = time.monotonic()
    while got < size:
        got += len(s.recv(1 << 16)) or sys.exit("too few bytes came")
    print(time.monotonic() - begun)
PY

# seconds LAB: the least of three transfers.
seconds() {
    for _ in 1 2 3; do
        "$netlab" --lab "$1" exec 0 timeout 60 python3 "$work/move.py" $sent &
        "$netlab" --lab "$1" exec 1 timeout 60 python3 "$work/move.py" $sent ||
            fail "nothing came through lab $1" >&2
        wait
    done | sort -g | head -1
}
t_slow=$(seconds "$slow")
t_fast=$(seconds "$fast")
python3 -c "import sys; sys.exit(not 3 < $t_slow / $t_fast < 7.5)" || fail \
    "a link of 20 Mbit/s took $t_slow s, one of 100 Mbit/s $t_fast s"

check "bytes" "$netlab" bytes
python3 - "$work/out" $((3 * sent)) <<'PY' || fail "bytes: $(cat "$work/out")"
import sys
(_, s0, r0), (_, s1, r1), (_, s2, r2) = [map(int, line.split())
                                         for line in open(sys.argv[1])]
size = int(sys.argv[2])
sys.exit(not (size < s0 < 1.2 * size and size < r1 < 1.2 * size and
              s1 < .2 * size and r0 < .2 * size and s2 + r2 < 10000))
PY

# --- a job, and its bytes
make_data 2000
"$netlab" --lab "$fast" bytes >"$work/before"
for host in 0 1; do
    # shellcheck disable=SC2016 # The host's shell knows.
    "$netlab" --lab "$fast" exec $host sh -c '"$0" train mlr --data "$1" \
        --run "$2/run-$LYRE_RANK" --peers 2 --rank $LYRE_RANK --threads 1 \
        --batch 20 --json --rendezvous "tcp://${LYRE_HOSTS%% *}:7070"' \
        "$lyre" "$work/train.svm" "$work" >"$work/json-$host" 2>"$work/err" &
done
wait
"$netlab" --lab "$fast" bytes >"$work/after"
said=$(json bytes_sent "$work/json-0")
counted=$(paste "$work/before" "$work/after" | awk '$1 == 0 { print $5 - $2 }')
python3 -c "import sys; sys.exit(not 1 < $counted / $said < 1.5)" || fail \
    "peer 0 says it sent $said bytes, its link counts $counted"

# --- down ends what runs there, and can be called twice
"$netlab" exec 2 sleep 60 &
sleeper=$!
"$netlab" exec 1 python3 -c 'import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)' >"$work/deaf" &
stubborn=$!
for _ in $(seq 50); do
    [ -n "$(ip netns pids "netlab-$slow-2")" ] && [ -s "$work/deaf" ] && break
    sleep 0.1
done
check "down" "$netlab" down
status=0
wait $sleeper || status=$?
[ $status = 143 ] || fail "what slept on a host ended with $status"
status=0
wait $stubborn 2>/dev/null || status=$?
[ $status = 137 ] || fail "what is deaf to TERM ended with $status"
expect_status 0 "$netlab" down
expect_status 1 "$netlab" bytes
check "the other lab is still there" "$netlab" --lab "$fast" exec 1 true
check "down" "$netlab" --lab "$fast" down
[ -z "$(left)" ] || fail "left behind: $(left)"

# --- whatever call of ip or tc fails, up leaves nothing
mkdir "$work/bin"
for tool in ip tc; do
    cat >"$work/bin/$tool" <<SH
#!/bin/sh
n=\$((\$(cat "$work/calls") + 1))
echo \$n >"$work/calls"
[ \$n != "\$(cat "$work/fail")" ] || { echo "no, says the test" >&2; exit 9; }
exec $(command -v $tool) "\$@"
SH
    chmod +x "$work/bin/$tool"
done
export NETLAB=$broken
for n in $(seq 100); do
    echo "$n" >"$work/fail"
    echo 0 >"$work/calls"
    PATH=$work/bin:$PATH "$netlab" up 2 10mbit >"$work/out" 2>&1 && break
    [ -z "$(left)" ] || fail "up fails at call $n and leaves: $(left)"
done
[ "$n" -gt 20 ] || fail "up makes $n calls only, or hides that one failed"
[ "$n" -lt 100 ] || fail "up never succeeds: $(cat "$work/out")"
check "down" "$netlab" down
[ -z "$(left)" ] || fail "left behind: $(left)"
echo "two labs, five times the rate, and all $n calls of up may fail"
