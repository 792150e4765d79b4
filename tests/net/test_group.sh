#!/bin/sh
# test_group.sh - epgm and pgm between namespaces: weir to weir, weir to libzmq
# and libzmq to weir, one sender and four receivers, messages of one and of
# several parts from nothing to 1 MB.

set -u
. "$top_srcdir/tests/net/namespaces.sh"
. "$top_srcdir/tests/net/groups.sh"

count=${WEIR_TEST_FULL:+2000}
count=${count:-200}
has_pgm

ip -n "$near" addr add 10.99.0.1/24 dev wire
ip -n "$far" addr add 10.99.0.2/24 dev wire
ip -n "$near" addr add fd99::1/64 dev wire nodad
ip -n "$far" addr add fd99::2/64 dev wire nodad

# FROM TO SCHEME GROUP PORT [RECEIVERS]
converse() {
    url="$3://wire;$4:$5"
    from_url=$url to_url=$url
    [ "$1" = weir ] || from_url="$3://10.99.0.1;$4:$5"
    [ "$2" = weir ] || to_url="$3://10.99.0.2;$4:$5"
    echo "$1 to $2 over $url"
    for i in $(seq "${6:-1}"); do
        hear "sub$i" "$2" "$to_url" 1 "$count" 20
    done
    speak pub "$1" "$from_url" 1 "$count"
    for i in $(seq "${6:-1}"); do
        heard_all "sub$i"
    done
    hush pub
}

converse weir weir epgm 239.192.7.1 7001 4
converse weir weir pgm 239.192.7.1 7002 4
converse weir weir epgm ff02::7777 7003 2
has_zmq || exit 0
for scheme in epgm pgm; do
    converse weir zmq $scheme 239.192.7.2 7004
    converse zmq weir $scheme 239.192.7.3 7005 2
done
