#!/bin/sh
# test_dead_peer.sh - a wire that is cut: both sides notice within three
# heartbeats, and go on by themselves when it is mended.

set -u
. "$top_srcdir/tests/net/namespaces.sh"

ip -n "$near" addr add 10.99.0.1/24 dev wire
ip -n "$far" addr add 10.99.0.2/24 dev wire

# The first connection is of a sender whose system is slow to ask again, as
# after a slow handshake: nothing tells then that it cannot send but what it has
# not sent.  The route goes with the wire, and comes back as an ordinary one.
ip -n "$far" route replace 10.99.0.0/24 dev wire src 10.99.0.2 rto_min 4s ||
    fail "no such route"

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

# WORDS CUT MEND [one-way]: if one side is cut off only, the other is heard until
# it has noticed.
outage() {
    before=$(count "$work/pull.log" lost)
    before_too=$(count "$work/push.log" lost)
    cut_at=$(now)
    echo "$1"
    eval "$2" || fail "it cannot be cut"
    notices pull "$cut_at" "$before"
    [ "${4-}" != one-way ] || cut_at=$lost_at
    notices push "$cut_at" "$before_too"
    before=$(count "$work/pull.log" message)
    eval "$3"
    await "$work/pull.log" message "$before" 60 || fail "it did not recover"
    echo "recovered"
}

outage "the wire of a patient sender is unplugged" \
    'ip -n "$far" link set wire down' 'ip -n "$far" link set wire up'
outage "the receiver's wire is unplugged" \
    'ip -n "$near" link set wire down' 'ip -n "$near" link set wire up'
outage "the sender's wire is unplugged" \
    'ip -n "$far" link set wire down' 'ip -n "$far" link set wire up'
outage "what the sender says goes to somebody else" \
    'ip -n "$far" neigh replace 10.99.0.1 lladdr 02:00:00:00:00:01 dev wire' \
    'ip -n "$far" neigh del 10.99.0.1 dev wire' one-way
outage "what the sender says may not leave" \
    'ip -n "$far" route add blackhole 10.99.0.1/32' \
    'ip -n "$far" route del blackhole 10.99.0.1/32' one-way
outage "nobody knows the way" \
    'ip -n "$near" addr del 10.99.0.1/24 dev wire' \
    'ip -n "$near" addr add 10.99.0.1/24 dev wire'
