#!/bin/sh
# test_dead_peer.sh - a wire that is cut: both sides notice within three
# heartbeats, and go on by themselves when it is mended.

set -u
. "$top_srcdir/tests/net/namespaces.sh"

ip -n "$near" addr add 10.99.0.1/24 dev wire
ip -n "$far" addr add 10.99.0.2/24 dev wire

begin "$near" "$peer" pull 'tcp://10.99.0.1:7777' 600 >"$work/pull.log" 2>&1
begin "$far" "$peer" push 'tcp://10.99.0.1:7777' 600 >"$work/push.log" 2>&1
await "$work/pull.log" message 1 60 || fail "no messages at all"

# Each side notices, give or take what a busy machine is late, which was
# measured meanwhile: LOG SECONDS-AT-WHICH-IT-WAS-CUT TIMES-BEFORE.  There are
# some threads and timers between the wire and the event, each of them late.
notices() {
    await "$work/$1.log" late "$3" 60 || fail "$1 noticed nothing"
    lost_at=$(grep lost "$work/$1.log" | tail -n 1 | cut -d' ' -f1)
    late=$(grep late "$work/$1.log" | tail -n 1 | cut -d' ' -f3)
    echo "$1: cut at $2, noticed at $lost_at, threads up to $late s late"
    awk "BEGIN { exit !($lost_at - $2 < 4 + 8 * $late) }" ||
        fail "$1 noticed too late"
    grep lost "$work/$1.log" | tail -n 1 | grep -q 'not been heard of' ||
        fail "$1 noticed something else"
}

# A connection that has just been made has seen few round trips: its system
# does not know yet how long to wait for an answer.
settle() {
    await "$work/pull.log" message $(($(count "$work/pull.log" message) + 2)) 60 ||
        fail "no messages"
}

# WORDS CUT MEND
outage() {
    settle
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
    await "$work/pull.log" message "$before" 60 || fail "it did not recover"
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
