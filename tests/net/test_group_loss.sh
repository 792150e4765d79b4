#!/bin/sh
# test_group_loss.sh - a group where packets are lost: what the publisher still
# has is repaired, and what it has not lies inside gaps that are reported.

set -u
. "$top_srcdir/tests/net/namespaces.sh"
. "$top_srcdir/tests/net/groups.sh"
has_pgm

count=${WEIR_TEST_FULL:+5000}
count=${count:-600}
ip -n "$near" addr add 10.99.0.1/24 dev wire
ip -n "$far" addr add 10.99.0.2/24 dev wire

lose() { # RULE...: packets that meet it are lost in $far
    inside "$far" nft add table inet loss &&
        inside "$far" nft 'add chain inet loss in { type filter hook input priority 0 ; }' &&
        inside "$far" nft add rule inet loss in "$@" counter drop
}

lose_nothing() {
    inside "$far" nft list table inet loss | grep -o 'counter packets [0-9]*'
    inside "$far" nft delete table inet loss
}

lose udp dport 1 2>"$work/nft.log" || {
    echo "nftables cannot be used here: $(cat "$work/nft.log")"
    exit 77
}
lose_nothing >/dev/null

# PERCENT URL: of what comes, some is lost at random.
random_loss() {
    echo "$1 % are lost over $2"
    hear sub1 weir "$2" 1 "$count" 20
    hear sub2 weir "$2" 1 "$count" 20
    lose numgen random mod 100 '<' "$1"
    speak pub weir "$2" 1 "$count"
    heard_all sub1
    heard_all sub2
    lose_nothing
    hush pub
}

random_loss 1 'epgm://wire;239.192.8.1:7101'
random_loss 5 'epgm://wire;239.192.8.2:7102'
random_loss 5 'pgm://wire;239.192.8.3:7103'

# Nothing comes for longer than the publisher keeps it: a thousand messages a
# second, of which it keeps a tenth.
echo "the wire is silent for longer than repairs reach back"
GROUP_SIZE=1000
export GROUP_SIZE
url='epgm://wire;239.192.8.4:7104?rate=8600&recovery=100'
hear sub1 weir "$url" 1 3000 20
hear sub2 weir "$url" 1 3000 20
speak pub weir "$url" 1 3000 1000
await "$work/sub1.log" first 0 10 || fail "nothing comes"
lose udp dport 7104
sleep 1
lose_nothing
heard sub1
heard sub2
hush pub
for i in 1 2; do
    grep -q ', missing 0,' "$work/sub$i.log" && fail "nothing was lost"
    grep -q '^gap: ' "$work/sub$i.log" || fail "no gap was reported"
done
exit 0
