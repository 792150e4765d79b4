# namespaces.sh - two network namespaces joined by a wire; sourced by tests.
#
# $near and $far are their names.  Everything is removed at the end.

peer=$top_builddir/tests/net/peer
near=weir-near-$$
far=weir-far-$$
work=$(mktemp -d)

clean_up() {
    kill $pids 2>/dev/null
    wait 2>/dev/null
    ip netns del "$near" 2>/dev/null
    ip netns del "$far" 2>/dev/null
    rm -rf "$work"
}
pids=
trap clean_up EXIT

if ! ip netns add "$near" 2>/dev/null || ! ip netns add "$far" 2>/dev/null; then
    echo "network namespaces need root, and ip(8)"
    exit 77
fi
if ! ip -n "$near" link add wire type veth peer name wire netns "$far"; then
    echo "no pair of veth devices can be made here"
    exit 77
fi

for side in "$near" "$far"; do
    ip -n "$side" link set lo up
    ip -n "$side" link set wire up
done

inside() { # NAMESPACE COMMAND...
    ip netns exec "$@"
}

# NAMESPACE COMMAND...: in the background, and ended with the test.
begin() {
    ip netns exec "$@" &
    pids="$pids $!"
}

now() {
    cut -d' ' -f1 /proc/uptime
}

fail() {
    echo "$*"
    for log in "$work"/*.log; do
        echo "--- $log"
        tail -n 40 "$log"
    done
    exit 1
}

count() { # FILE WORD; a file that is not there yet has none
    cat "$1" 2>/dev/null | grep -c "$2"
}

# Wait until a file has more than N lines with a word: FILE WORD N SECONDS.
await() {
    i=0
    while [ "$(count "$1" "$2")" -le "$3" ]; do
        i=$((i + 1))
        [ $i -gt $(($4 * 10)) ] && return 1
        sleep 0.1
    done
}

