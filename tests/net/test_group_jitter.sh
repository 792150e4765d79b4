#!/bin/sh
# test_group_jitter.sh - a group over a wire with delay and jitter, where
# packets overtake each other: nothing is missing, nothing out of order.

set -u
. "$top_srcdir/tests/net/namespaces.sh"
. "$top_srcdir/tests/net/groups.sh"
has_pgm

count=${WEIR_TEST_FULL:+3000}
count=${count:-200}
[ -c /dev/net/tun ] || { echo "there is no /dev/net/tun"; exit 77; }

# DELAY JITTER, in ms: a wire of TAP devices, slow0 and slow1.
impair() {
    : >"$work/impair.log" # what the last one said is over
    ip netns exec "$near" "$top_builddir/tests/net/impair" slow0 slow1 \
        "$1" "$2" >"$work/impair.log" 2>&1 &
    impair=$!
    pids="$pids $impair"
    await "$work/impair.log" ready 0 5 || {
        cat "$work/impair.log"
        exit 77
    }
    ip -n "$near" link set slow1 netns "$far"
    ip -n "$near" addr add 10.98.0.1/24 dev slow0
    ip -n "$far" addr add 10.98.0.2/24 dev slow1
    ip -n "$near" link set slow0 up
    ip -n "$far" link set slow1 up
}

mend() {
    kill "$impair"
    wait "$impair" 2>/dev/null
}

# DELAY JITTER URL
converse() {
    echo "delay $1 ms, jitter $2 ms"
    impair "$1" "$2"
    hear sub1 weir "$3" 1 "$count" 20
    hear sub2 weir "$3" 1 "$count" 20
    speak pub weir "$3" 1 "$count"
    heard_all sub1
    heard_all sub2
    hush pub
    mend
}

rate='rate=30000&recovery=5s'
converse 20 0 "epgm://10.98.0.0/24;239.192.10.1:7301?$rate"
converse 5 10 "epgm://10.98.0.0/24;239.192.10.2:7302?$rate"
exit 0
