#!/bin/sh
# test_group_life.sh - who comes late to a group, comes back, or is not alone
# there; and datagrams that do not belong there at all.

set -u
. "$top_srcdir/tests/net/namespaces.sh"
. "$top_srcdir/tests/net/groups.sh"
has_pgm

ip -n "$near" addr add 10.99.0.1/24 dev wire
ip -n "$far" addr add 10.99.0.2/24 dev wire

# A first number that is not the first one, and from there on all.
echo "a subscriber that comes late"
url='epgm://wire;239.192.9.1:7201?rate=100000'
hear sub1 weir "$url" 1 400 20
speak pub weir "$url" 1 400
await "$work/sub1.log" first 0 10 || fail "nothing comes"
hear sub2 weir "$url" 1 400 20
heard_all sub1
heard_all sub2
hush pub
grep -q 'got 400 ' "$work/sub2.log" && fail "it was not late"

# It is killed, and does not say that it ends; its second life is a source of
# its own, whose packets begin with another number.
echo "a publisher that starts again"
url='epgm://wire;239.192.9.2:7202'
hear sub1 weir "$url" 2 150 20
speak pub weir "$url" 1 150
await "$work/pub.log" sent 0 20 || fail "it does not send"
kill -9 "$pid_pub"
hush pub
speak pub weir "$url" 2 150
heard_all sub1
hush pub

# Their parts come in between each other.
echo "two publishers on one group"
url='epgm://wire;239.192.9.3:7203'
hear sub1 weir "$url" 2 300 20
hear sub2 weir "$url" 2 300 20
speaker=$near speak pub weir "$url" 1 300
speaker=$far speak pub2 weir "$url" 2 300
heard_all sub1
heard_all sub2
hush pub
hush pub2

echo "noise"
seconds=${WEIR_TEST_FULL:+60}
seconds=${seconds:-2}
url='epgm://wire;239.192.9.4:7204'
hear sub1 weir "$url" 2 100 $((seconds + 20))
inside "$near" "$top_builddir/tests/net/noise" 239.192.9.4 7204 10.99.0.1 \
    "$seconds" >"$work/noise.log" 2>&1 &
pids="$pids $!"
noise=$!
speak pub weir "$url" 1 100
await "$work/pub.log" sent 0 20 || fail "it does not send"
wait $noise || fail "there was no noise"
cat "$work/noise.log"
hush pub
speak pub2 weir "$url" 2 100
heard_all sub1
hush pub2
grep '^log: .* datagrams were dropped' "$work/sub1.log" | head -1 ||
    fail "the noise was not counted"
exit 0
