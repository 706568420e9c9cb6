#!/usr/bin/env bash
# Hosts on one machine whose links are as slow as you like: see --help, which is
# the text at the end of this file.
#
# A host is a network namespace with one interface, e0, whose other end is a port
# of a bridge in one more namespace, the switch. Bridge and links exist within
# these namespaces only, so that two labs cannot meet, all labs may use the same
# addresses, and removing the namespaces removes everything.
#
#     netlab-NAME-sw          bridge sw0, ports p0 to p<N-1>
#     netlab-NAME-<i>         e0 at 10.99.0.<i + 1>/24
set -euo pipefail

HOSTS_MAX=200
NETWORK=10.99.0
BURST_BYTES_MIN=32768 # What a link may send at once: 2 ms of it, or this.
QUEUE=50ms            # How long a packet may wait before it is dropped.
DOWN_TENTHS=30        # Of a second that processes have between TERM and KILL.

lab=${NETLAB:-lab}

die() {
    echo "netlab: $*" >&2
    exit 1
}

wrong() {
    echo "netlab: $*; see netlab.sh --help" >&2
    exit 2
}

# The namespaces of the lab, a line each.
namespaces() {
    ip netns list | awk -v lab="netlab-$lab-" 'index($1, lab) == 1 { print $1 }'
}

hosts() {
    namespaces | sed -n "s/^netlab-$lab-\([0-9]*\)\$/\1/p" | sort -n
}

address() {
    echo "$NETWORK.$(($1 + 1))"
}

# host_check HOST: there is one of that number.
host_check() {
    local all
    [[ $1 =~ ^(0|[1-9][0-9]*)$ ]] || wrong "host '$1' is not a number"
    all=$(hosts)
    [ -n "$all" ] ||
        die "there is no lab '$lab': begin with: netlab.sh up HOSTS RATE"
    grep -qx "$1" <<<"$all" ||
        die "lab '$lab' has no host $1: they are 0 to $(tail -1 <<<"$all")"
}

# rate_bits RATE: bits a second.
rate_bits() {
    local unit=1
    [[ $1 =~ ^([1-9][0-9]*)([kmg]?)bit$ ]] ||
        wrong "'$1' is not a rate: 100mbit, 1gbit, 500kbit, or none"
    [ ${#BASH_REMATCH[1]} -le 9 ] || wrong "rate $1 is too large"
    case ${BASH_REMATCH[2]} in
    k) unit=1000 ;;
    m) unit=1000000 ;;
    g) unit=1000000000 ;;
    esac
    echo $((BASH_REMATCH[1] * unit))
}

# shape NAMESPACE DEVICE BITS: what leaves there has this rate.
shape() {
    local burst=$(($3 / 8 / 500))
    [ $burst -ge $BURST_BYTES_MIN ] || burst=$BURST_BYTES_MIN
    tc -n "$1" qdisc add dev "$2" root tbf rate "${3}bit" burst $burst \
        latency $QUEUE
}

# without_ipv6 NAMESPACE: its greetings would be counted as bytes of a link.
without_ipv6() {
    local all=/proc/sys/net/ipv6/conf/default/disable_ipv6
    ip netns exec "$1" sh -c "[ ! -e $all ] || echo 1 >$all"
}

host_up() {
    local i=$1 bits=$2 host=netlab-$lab-$1 switch=netlab-$lab-sw
    ip netns add "$host"
    without_ipv6 "$host"
    ip -n "$host" link set lo up
    ip link add name e0 netns "$host" type veth peer name "p$i" netns "$switch"
    ip -n "$host" address add "$(address "$i")/24" dev e0
    ip -n "$switch" link set "p$i" master sw0
    if [ "$bits" != 0 ]; then
        shape "$host" e0 "$bits"
        shape "$switch" "p$i" "$bits"
    fi
    ip -n "$switch" link set "p$i" up
    ip -n "$host" link set e0 up
}

# What is left of an up that did not end.
undo() {
    local status=$?
    trap - EXIT
    down || true
    echo "netlab: lab '$lab' could not be made; nothing of it is left" >&2
    exit $status
}

up() {
    local n=$1 rate=$2 bits=0 i said there
    [[ $n =~ ^[1-9][0-9]{0,3}$ && $n -le $HOSTS_MAX ]] ||
        wrong "'$n' is not a number of hosts from 1 to $HOSTS_MAX"
    [ "$rate" = none ] || bits=$(rate_bits "$rate")
    there=$(namespaces)
    [ -z "$there" ] || die "lab '$lab' is up already: end it with:" \
        "netlab.sh --lab $lab down, or choose another name"
    # Of two calls for one name only one can make this; the other leaves it be.
    said=$(ip netns add "netlab-$lab-sw" 2>&1) ||
        die "cannot make a network namespace: $said"
    trap undo EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    without_ipv6 "netlab-$lab-sw"
    ip -n "netlab-$lab-sw" link add name sw0 type bridge mcast_snooping 0
    ip -n "netlab-$lab-sw" link set sw0 up
    for ((i = 0; i < n; i++)); do
        host_up "$i" "$bits"
    done
    trap - EXIT INT TERM HUP
    for ((i = 0; i < n; i++)); do
        echo "$i $(address "$i")"
    done
}

# Every variable that a command on a host finds.
on_host() {
    local i=$1 all="" h
    host_check "$i"
    shift
    for h in $(hosts); do
        all="$all${all:+ }$(address "$h")"
    done
    LYRE_RANK=$i LYRE_HOST=$(address "$i") LYRE_HOSTS=$all \
        exec ip netns exec "netlab-$lab-$i" "$@"
}

bytes() {
    local all h
    all=$(hosts)
    [ -n "$all" ] || die "there is no lab '$lab'"
    for h in $all; do
        # shellcheck disable=SC2046 # Two numbers.
        echo "$h" $(ip netns exec "netlab-$lab-$h" cat \
            /sys/class/net/e0/statistics/{tx,rx}_bytes)
    done
}

# processes NAMESPACE...: those that live in any of them, but not this script.
processes() {
    local ns
    for ns in "$@"; do
        ip netns pids "$ns" 2>/dev/null | grep -vx $$ || true
    done
}

down() {
    local all tenths status=0
    all=$(namespaces)
    # shellcheck disable=SC2086 # Lists of names.
    processes $all | xargs -r kill 2>/dev/null || true
    for ((tenths = 0; tenths < DOWN_TENTHS; tenths++)); do
        [ -n "$(processes $all)" ] || break
        sleep 0.1
    done
    processes $all | xargs -r kill -9 2>/dev/null || true
    for ns in $all; do
        ip netns del "$ns" || status=1
    done
    return $status
}

help() {
    cat <<'END'
usage: netlab.sh [--lab NAME] up HOSTS RATE
       netlab.sh [--lab NAME] exec HOST COMMAND...
       netlab.sh [--lab NAME] bytes
       netlab.sh [--lab NAME] down

Hosts on this machine, for tests and measurements: each has a network of its own
and a link of RATE, in either direction, to a switch that joins them. Needs root,
and the Debian package iproute2.

  up HOSTS RATE       make so many hosts, 1 to 200. RATE: 100mbit, 1gbit,
                      500kbit, or none for links that are not slowed. Prints a
                      line for each host: its number and its address.
  exec HOST COMMAND   run COMMAND on a host, numbered from 0, in this directory
                      and with these files. It finds in its environment
                        LYRE_RANK    the host's number
                        LYRE_HOST    the host's address
                        LYRE_HOSTS   the addresses of all, from host 0
  bytes               a line for each host: its number, and the bytes that its
                      link has sent and received since `up`, as the kernel
                      counts them. Headers of Ethernet, IP and TCP are in it, but
                      those of packets that left as one large one only once.
  down                end what runs on the hosts (TERM, after 3 s KILL) and
                      remove them. Nothing to do is no error.

  --lab NAME          which lab; several can be up at once, each for itself
                      (default: $NETLAB, or else `lab`)
  --help              this text

Peers of lyre on such hosts meet by tcp://, at the address of host 0: with
file:// they would not know which of their interfaces leads to the others.

Exit codes: 0; 1 if the machine refuses; 2 if the call is wrong; that of COMMAND.

Examples:

  scripts/netlab.sh up 4 100mbit
  scripts/netlab.sh exec 0 ip address

  # A job of four peers, one on each host.
  for host in 0 1 2 3; do
      scripts/netlab.sh exec $host sh -c 'lyre train mlr --data train.svm \
          --run run --peers 4 --rank $LYRE_RANK --threads 1 \
          --rendezvous tcp://${LYRE_HOSTS%% *}:7070' &
  done; wait
  scripts/netlab.sh bytes

  # Two labs at once.
  NETLAB=slow scripts/netlab.sh up 2 10mbit
  scripts/netlab.sh --lab fast up 2 1gbit

  scripts/netlab.sh down
  for name in slow fast; do scripts/netlab.sh --lab $name down; done
END
}

need() {
    [[ $lab =~ ^[A-Za-z0-9_]{1,32}$ ]] ||
        wrong "'$lab' is no name: up to 32 letters, digits and _"
    [ "$(id -u)" = 0 ] || die "needs root, to make network namespaces"
    for tool in ip tc; do
        command -v $tool >/dev/null || die "needs $tool: apt-get install iproute2"
    done
}

main() {
    local command
    while [[ ${1-} == --* ]]; do
        case $1 in
        --help) help; exit 0 ;;
        --lab) [ $# -ge 2 ] || wrong "--lab needs a name"; lab=$2; shift 2 ;;
        --lab=*) lab=${1#*=}; shift ;;
        *) wrong "there is no option $1" ;;
        esac
    done
    [ $# -gt 0 ] || wrong "a command is missing: up, exec, bytes or down"
    command=$1
    shift
    case $command in
    up) [ $# = 2 ] || wrong "up takes a number of hosts and a rate" ;;
    exec) [ $# -ge 2 ] || wrong "exec takes a host and a command" ;;
    bytes | down) [ $# = 0 ] || wrong "$command takes nothing more" ;;
    *) wrong "there is no command '$command'" ;;
    esac
    need
    case $command in
    exec) on_host "$@" ;;
    *) "$command" "$@" ;;
    esac
}

main "$@"
