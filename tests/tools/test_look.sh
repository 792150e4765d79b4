#!/bin/sh
# test_look.sh - weir monitor, stats and top, looking into a weir device that
# opted in and one that did not.
set -u
. "$top_srcdir/tests/tools/tools.sh"
XDG_RUNTIME_DIR=$dir/run
export XDG_RUNTIME_DIR
mkdir "$XDG_RUNTIME_DIR"
front=ipc://$dir/front
back=ipc://$dir/back
here=ipc://$dir/here

# begin ARGUMENT...: a device that has begun, in $device.
begin() {
    rm -f "$dir/device"
    "$weir" device streamer --front "$front" --back "$back" "$@" \
        >"$dir/device" 2>&1 &
    device=$!
    await grep -qs '^back' "$dir/device"
}

# ---- a device with a name, and what can be seen of it ----

begin --stats-at jobs

# Events are told from when it says that it watches, so they come again until
# each of the two has seen some.
"$weir" monitor jobs >"$dir/events" 2>"$dir/monitor.err" &
monitor=$!
"$weir" monitor jobs --json --count 3 >"$dir/json" 2>&1 &
counted=$!
visit() {
    cat_ --type PULL --connect "$back" --count 2 --timeout 5 >/dev/null &
    printf 'a\nb\n' | cat_ --type PUSH --connect "$front" --send -
    wait $!
    grep -q "PULL.* connected  $front  uid " "$dir/events" &&
        grep -q 'disconnected' "$dir/events" &&
        [ "$(wc -l <"$dir/json")" -ge 3 ]
}
await visit
wait $counted || wrong "monitor --count: exit code $?"
[ "$(wc -l <"$dir/json")" = 3 ] || wrong "monitor --count: not 3 lines"
grep -q '^{"event": "[a-z]*", .*"endpoint": "ipc:' "$dir/json" ||
    wrong "monitor --json: $(cat "$dir/json")"
grep -q "PULL.* connected  $front  uid " "$dir/events" ||
    wrong "monitor: $(cat "$dir/events")"
grep -q "disconnected .*closed the connection" "$dir/events" ||
    wrong "monitor: no reason"

# shows WORDS ARGUMENT...: it does, once the device knows that its peers are gone.
shows() {
    words=$1
    shift
    run 0 "$@"
    grep -q -e "$words" "$dir/out"
}
await shows \
    '^  PULL  *[0-9]*  *0  *[0-9]*[02468]  *[0-9]*[02468]  *0  *0  *0  *0  *0$' \
    stats jobs
says '^jobs\.[0-9]*\.[0-9]*: weir, pid '"$device"
run 0 stats jobs --json
says '"pid": '"$device"', '
says '"lent": true'
run 0 stats --prometheus
says '^weir_up{target="jobs\.[0-9.]*"} 1$'
says '^weir_socket_delivered_messages_total{.*type="PULL"} [1-9]'
run 0 stats "ipc://$(echo "$XDG_RUNTIME_DIR"/weir/jobs.*)" --json
says '"sockets": \['

await shows '^PUSH  *[0-9]*  *0  *0  *0  *0  *0  *0  *0$' \
    top jobs --interval 0.1
says '^socket  *peers  *in/s  *out/s  *unread  *unsent  *drops/s  *dropped$'
says "^    at $front\$"
run 0 top --json --count 2 --interval 0.1
[ "$(grep -c '^{"programs": \[{"target": "jobs\.' "$dir/out")" = 2 ] ||
    wrong "top --json --count 2: not two lines"
says '"in_rate": 0\.0'
grep -q "$(printf '\033')" "$dir/out" && wrong "colours where there is none"

# ---- its end ----

kill -TERM "$device"
wait "$device" || wrong "the device: exit code $?"
wait $monitor
[ $? = 1 ] || wrong "monitor: exit code $?, not 1"
grep -q 'has ended' "$dir/monitor.err" || wrong "monitor does not say the end"
refused 'no program of that name' 1 monitor jobs
refused 'no program of that name' 1 top jobs

# ---- by URL, and by what the environment says ----

WEIR_STATS=$here
export WEIR_STATS
begin
unset WEIR_STATS
run 0 stats "$here"
says "^$here: weir, pid $device"
# One that is not there does not hide the one that is.
run 1 stats "$here" "ipc://$dir/nobody" --timeout 2
says "^$here: weir"
complains 'nobody'
run 1 stats --prometheus "$here" "ipc://$dir/nobody" --timeout 2
says '^weir_up{target=".*nobody"} 0$'
says '^weir_up{target=".*here"} 1$'
run 0 top "ipc://$dir/nobody" "$here" --once --timeout 0.5 --interval 0.1
says 'nobody: .*nobody'
says "^    at $front"
# A socket that is no stats endpoint.
refused "$front" 1 stats "$front" --timeout 0.5
# Who looks is not among those who can be looked into, nor are links.
mkdir -p "$XDG_RUNTIME_DIR/weir"
ln -s "$dir/here" "$XDG_RUNTIME_DIR/weir/link"
WEIR_STATS=me
export WEIR_STATS
refused 'me: no program of that name' 1 stats me
run 0 stats "$here"
refused 'me: no program of that name' 1 top me
refused 'me: no program of that name' 1 monitor me
unset WEIR_STATS
refused 'link: no program of that name' 1 stats link
# Ctrl-C is no failure.
"$weir" monitor "$here" >"$dir/watched" 2>"$dir/err" &
monitor=$!
watches() {
    cat_ --type PUSH --connect "$front" --send x
    [ -s "$dir/watched" ]
}
await watches
kill -TERM $monitor
wait $monitor || wrong "monitor, stopped: exit code $?"
kill -TERM "$device"
wait "$device"

# ---- files that nobody listens to, and others, are passed over ----

mkdir -p "$XDG_RUNTIME_DIR/weir"
begin --stats-at dead
kill -KILL "$device"
wait "$device" 2>/dev/null
[ -S "$(echo "$XDG_RUNTIME_DIR"/weir/dead.*)" ] || wrong "no file was left"
touch "$XDG_RUNTIME_DIR/weir/dead.file"
refused 'no program of that name' 1 top dead
refused 'no program can be looked into' 1 stats

# ---- what cannot be ----

refused 'want one URL or NAME' 2 monitor
refused 'one of --json and' 2 stats --json --prometheus x
refused 'at least 0.05' 2 top --interval 0 x
refused 'at most 100' 2 top --peers 101 x
refused '"a/b"' 1 device streamer --stats-at a/b --front "$front" \
    --back "$back"
for command in monitor stats top; do
    run 0 $command --help
    says "^usage: weir $command "
done
exit $failed
