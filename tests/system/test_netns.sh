#!/usr/bin/env bash
# Peers on hosts of their own: network namespaces behind a bridge. They meet by
# tcp:// with names' stand-ins (addresses), one is killed and all resume.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "network namespaces need root"
command -v ip >/dev/null || skip "there is no ip command"
tag=ly$$
ip netns add ${tag}sw 2>/dev/null || skip "network namespaces cannot be made here"

netns_down() {
    local ns
    for ns in $(ip netns list | awk '{print $1}' | grep "^$tag" || true); do
        ip netns pids "$ns" | xargs -r kill -9 2>/dev/null || true
        ip netns del "$ns"
    done
}
trap 'netns_down; cleanup' EXIT

ip -n ${tag}sw link add name sw0 type bridge
ip -n ${tag}sw link set sw0 up
for i in 0 1 2; do
    ip netns add $tag$i
    ip -n $tag$i link set lo up
    ip link add name e0 netns $tag$i type veth peer name p$i netns ${tag}sw
    ip -n $tag$i addr add 10.83.0.$((i + 1))/24 dev e0
    ip -n $tag$i link set e0 up
    ip -n ${tag}sw link set p$i master sw0 up
done
on() {
    local i=$1
    shift
    exec ip netns exec $tag"$i" "$@"
}

make_data 3000
settings="--data $work/train.svm --peers 3 --threads 1 --batch 8
    --digest-every 50 --peer-timeout 3s"
# shellcheck disable=SC2086 # A list of options.
check "undisturbed run" "$lyre" train mlr $settings --clocks 800 \
    --run "$work/whole" --quiet

# start WHAT...: every host runs its peer; their statuses go to work/status-R.
start() {
    for i in 0 1 2; do
        (
            status=0
            (on $i "$lyre" "$@" --rank $i --quiet \
                --rendezvous tcp://10.83.0.1:7070) >"$work/host$i" 2>&1 ||
                status=$?
            echo $status >"$work/status-$i"
        ) &
    done
}

# shellcheck disable=SC2086
start train mlr $settings --clocks 800 --run "$work/run"
for _ in $(seq 100); do
    sleep 0.1
    [ -e "$work/run/peer-1/index.db" ] && break
done
sleep 0.5
ip netns pids ${tag}1 | xargs -r kill -9
wait
for i in 0 2; do
    case $(cat "$work/status-$i") in
    3) grep -q 'peer 1 is gone since clock' "$work/host$i" ||
        { cat "$work/host$i"; fail "host $i does not say who is gone"; } ;;
    0) ;; # It was through already.
    *) cat "$work/host$i"; fail "host $i: status $(cat "$work/status-$i")" ;;
    esac
done

start resume "$work/run"
wait
for i in 0 1 2; do
    [ "$(cat "$work/status-$i")" = 0 ] ||
        { cat "$work/host$i"; fail "resume on host $i"; }
    [ "$(last_digest "$work/run" $i)" = "$(last_digest "$work/whole" 0)" ] ||
        fail "host $i ends with another model"
done
echo "three hosts lose one and end with the same bits"
