#!/bin/sh
# test_tcp_v4only.sh - test_tcp where the system has no IPv6 addresses: in a
# network namespace of its own, with IPv6 switched off.  That takes root, or a
# system that gives users namespaces.

set -u
test_tcp=$top_builddir/tests/plugins/test_tcp

inside() {
    unshare -rn sh -c "ip link set lo up && \
        echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6 && $1"
}

if ! inside true 2>/dev/null; then
    echo "no network namespace with IPv6 switched off can be made here"
    exit 77
fi
inside "'$test_tcp'"
