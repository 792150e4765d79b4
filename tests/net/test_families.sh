#!/bin/sh
# test_families.sh - namespaces with IPv4 only, with IPv6 only, with both:
# wildcards and names work in each, without a switch.

set -u
. "$top_srcdir/tests/net/namespaces.sh"

# One conversation: NAME BIND CONNECT
converse() {
    begin "$near" "$peer" pull "$2" 600 >"$work/$1-pull.log" 2>&1
    begin "$far" "$peer" push "$3" 600 >"$work/$1-push.log" 2>&1
    await "$work/$1-pull.log" message 0 60 || fail "$1: nothing arrived"
    echo "$1: good"
}

switch() { # KEY VALUE
    for side in "$near" "$far"; do
        inside "$side" sh -c "echo $2 >/proc/sys/net/ipv6/conf/all/$1" ||
            fail "cannot set $1"
    done
}

switch disable_ipv6 1
ip -n "$near" addr add 10.99.0.1/24 dev wire
ip -n "$far" addr add 10.99.0.2/24 dev wire
converse v4-wildcard 'tcp://*:7001' 'tcp://10.99.0.1:7001'
converse v4-interface 'tcp://wire:7002' 'tcp://10.99.0.1:7002'

switch disable_ipv6 0
ip -n "$near" addr add fd99::1/64 dev wire nodad
ip -n "$far" addr add fd99::2/64 dev wire nodad
converse both-4 'tcp://*:7003' 'tcp://10.99.0.1:7003'
converse both-6 'tcp://*:7004' 'tcp://[fd99::1]:7004'

ip -n "$near" addr del 10.99.0.1/24 dev wire
ip -n "$far" addr del 10.99.0.2/24 dev wire
ip -n "$near" addr del 127.0.0.1/8 dev lo
ip -n "$far" addr del 127.0.0.1/8 dev lo
converse v6-wildcard 'tcp://*:7005' 'tcp://[fd99::1]:7005'
converse v6-address 'tcp://[fd99::1]:7006' 'tcp://[fd99::1]:7006'
