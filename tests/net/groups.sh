# groups.sh - publishers in $near and subscribers in $far that check what they
# get; sourced by tests, after namespaces.sh.

group=$top_builddir/tests/net/group

has_pgm() {
    [ -f "$top_builddir/plugins/transport_pgm/transport_pgm.la" ] && return
    echo "the plugin transport_pgm was not built"
    exit 77
}

has_zmq() {
    "$group" zmq has && return
    echo "not done: conversations with libzmq, which is not here, or lacks pgm"
    return 1
}

# As the last command of a process in the background: its number is that of
# the process.
exec_inside() { # NAMESPACE COMMAND...
    exec ip netns exec "$@"
}

# A subscriber's LIBRARY URL SENDERS COUNT SECONDS; its log is $1 of $work.
hear() { # NAME LIBRARY URL SENDERS COUNT SECONDS
    : >"$work/$1.log"
    exec_inside "${hearer:-$far}" "$group" "$2" sub "$3" "$4" "$5" "$6" \
        >"$work/$1.log" 2>&1 &
    pids="$pids $!"
    eval "pid_$1=$!"
    await "$work/$1.log" ready 0 10 || fail "$1 does not begin to hear"
}

# A publisher's LIBRARY URL NAME COUNT [SIZE]; it stays until hush.
speak() { # NAME LIBRARY URL WHO COUNT [SIZE]
    mkfifo "$work/$1.hold"
    : >"$work/$1.log" # what the last one of that name said is over
    exec_inside "${speaker:-$near}" "$group" "$2" pub "$3" "$4" "$5" ${6-} \
        <"$work/$1.hold" >"$work/$1.log" 2>&1 &
    pids="$pids $!"
    eval "pid_$1=$!"
    sleep 1000 >"$work/$1.hold" &
    pids="$pids $!"
    eval "hold_$1=$!"
}

# End a publisher, in which nothing may have gone wrong; 137: it was killed.
hush() { # NAME
    eval "kill \$hold_$1"
    eval "wait \$hold_$1 \$pid_$1 2>/dev/null"
    code=$?
    rm -f "$work/$1.hold"
    [ $code = 0 ] || [ $code = 137 ] || fail "$1 ended with $code"
}

# Wait for a subscriber, which must have found nothing wrong.
heard() { # NAME
    eval "wait \$pid_$1" || fail "$1 ended with $?"
    echo "$1: $(tail -n 1 "$work/$1.log")"
}

# It must have got everything.
heard_all() { # NAME
    heard "$1"
    grep -q ', missing 0,' "$work/$1.log" || fail "$1 misses messages"
}
