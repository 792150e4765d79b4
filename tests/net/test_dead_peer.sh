#!/bin/sh
# test_dead_peer.sh - a wire that is cut: both sides notice within three
# heartbeats, and go on by themselves when it is mended.

set -u
. "$top_srcdir/tests/net/namespaces.sh"

ip -n "$near" addr add 10.99.0.1/24 dev wire
ip -n "$far" addr add 10.99.0.2/24 dev wire

inside "$near" "$peer" pull 'tcp://10.99.0.1:7777' 90 >"$work/pull.log" 2>&1 &
pids="$pids $!"
inside "$far" "$peer" push 'tcp://10.99.0.1:7777' 90 >"$work/push.log" 2>&1 &
pids="$pids $!"
await "$work/pull.log" message 1 10 || fail "no messages at all"

# Each side notices, give or take what a busy machine is late: LOG SECONDS-AT-WHICH-IT-WAS-CUT TIMES-BEFORE
notices() {
    await "$work/$1.log" lost "$3" 10 || fail "$1 noticed nothing"
    lost_at=$(grep lost "$work/$1.log" | tail -n 1 | cut -d' ' -f1)
    echo "$1: cut at $2, noticed at $lost_at"
    awk "BEGIN { exit !($lost_at - $2 < 4) }" || fail "$1 noticed too late"
}

# WORDS CUT MEND
outage() {
    before=$(count "$work/pull.log" lost)
    before_too=$(count "$work/push.log" lost)
    cut_at=$(now)
    if ! eval "$2" 2>/dev/null; then
        echo "$1: cannot be done here"
        return
    fi
    echo "$1"
    notices pull "$cut_at" "$before"
    notices push "$cut_at" "$before_too"
    before=$(count "$work/pull.log" message)
    eval "$3"
    await "$work/pull.log" message "$before" 20 || fail "it did not recover"
    echo "recovered"
}

outage "the receiver's wire is unplugged" \
    'ip -n "$near" link set wire down' 'ip -n "$near" link set wire up'
outage "the sender's wire is unplugged" \
    'ip -n "$far" link set wire down' 'ip -n "$far" link set wire up'
outage "what the sender says is lost" \
    'inside "$far" tc qdisc add dev wire root netem loss 100%' \
    'inside "$far" tc qdisc del dev wire root'
outage "nobody knows the way" \
    'ip -n "$near" addr del 10.99.0.1/24 dev wire' \
    'ip -n "$near" addr add 10.99.0.1/24 dev wire'
