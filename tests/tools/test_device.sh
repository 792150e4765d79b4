#!/bin/sh
# test_device.sh - weir device between weir cats: each shape, capture, counters,
# wrong arguments, and its unit of systemd.
set -u
. "$top_srcdir/tests/tools/tools.sh"

# device ARGUMENT...: one that runs.
device() {
    "$weir" device "$@" >"$dir/out" 2>"$dir/err" &
    device=$!
}

# ended CODE WORDS...: it is asked to end, does so, and has said these words.
ended() {
    want=$1
    shift
    kill -TERM "$device"
    wait "$device"
    code=$?
    [ $code = "$want" ] || wrong "exit code $code, not $want"
    for words in "$@"; do
        grep -q -e "$words" "$dir/out" || wrong "no '$words' was said"
    done
}

front=ipc://$dir/front
back=ipc://$dir/back
tap=ipc://$dir/tap

# ---- each shape ----

device queue --front "$front" --back "$back"
cat_ --type REP --connect "$back" --reply yes --count 1 >"$dir/asked" &
[ "$(cat_ --type REQ --connect "$front" --send maybe)" = yes ] ||
    wrong "queue: no answer"
wait $!
[ "$(cat "$dir/asked")" = maybe ] || wrong "queue: no question"
ended 0 "^front (ROUTER) at $front\$" '^front (ROUTER): received 1, sent 1'

device streamer --front "$front" --back "$back" --workers 2
cat_ --type PULL --connect "$back" --count 3 >"$dir/heard" &
printf 'a\nb\nc\n' | cat_ --type PUSH --connect "$front" --send - ||
    wrong "streamer: not sent"
wait $!
[ "$(tr -d '\n' <"$dir/heard")" = abc ] || wrong "streamer: not heard"
ended 0 '^front (PULL): received 3, sent 0' '^back (PUSH): received 0, sent 3'

device forwarder --front "$front" --back "$back"
cat_ --type SUB --connect "$back" --subscribe yes --count 1 >"$dir/heard" &
printf 'no\nyes: it is\n' | cat_ --type PUB --connect "$front" --send -
wait $!
[ "$(cat "$dir/heard")" = 'yes: it is' ] || wrong "forwarder: not heard"
ended 0 '^front (XSUB): received 1'

# ---- other types, connecting, options ----

cat_ --type PULL --bind "$back" --count 1 >"$dir/heard" &
heard=$!
device SUB push --front "$front" --back-connect "$back" --subscribe yes \
    --back-option send-mark=5 --back-option linger=0
printf 'no\nyes\n' | cat_ --type PUB --connect "$front" --send -
wait $heard
[ "$(cat "$dir/heard")" = yes ] || wrong "SUB and PUSH: not heard"
ended 0 '^back (PUSH): received 0, sent 1'

# ---- capture and counters ----

device queue --front "$front" --back "$back" --capture "$tap" --stats 0.05 \
    --json
cat_ --type SUB --connect "$tap" --count 2 --format json >"$dir/tapped" &
tapped=$!
cat_ --type REP --connect "$back" --reply answer --count 400 >/dev/null &
n=0
while [ $n -lt 400 ] && kill -0 $tapped 2>/dev/null; do
    n=$((n + 1))
    cat_ --type REQ --connect "$front" --send question >/dev/null ||
        wrong "queue with a capture: no answer"
done
wait $tapped
grep -q question "$dir/tapped" || wrong "capture: no question"
grep -q answer "$dir/tapped" || wrong "capture: no answer"
await grep -q '^{"seconds"' "$dir/out"
ended 0 '^{"bound": "front", "url": "ipc:' \
    '^{"seconds": [0-9.]*, "forth": [0-9]' \
    '"front": {"peers": [0-9]*, "delivered": [1-9]' \
    '^{"account": true, "held": 0, "front": {' '"capture": {"peers"'

# ---- what cannot be ----

refused 'want queue' 2 device --front "$front" --back "$back"
refused 'nosuch: want queue' 2 device nosuch --front "$front" --back "$back"
refused 'second type' 2 device pull --front "$front" --back "$back"
refused 'want --front' 2 device queue --back "$back"
refused 'want --back' 2 device queue --front "$front"
refused 'there is no --capture' 2 device queue --front "$front" \
    --back "$back" \
    --capture-option linger=0
refused 'neither of the types is SUB' 2 device queue --front "$front" \
    --back "$back" --subscribe x
refused 'at most 16' 2 device queue --front "$front" --back "$back" \
    --workers 17
refused 'want name=value' 2 device queue --front "$front" --back "$back" \
    --front-option linger
refused 'nosuch' 2 device queue --front "$front" --back "$back" \
    --back-option nosuch=1
refused 'a PULL does not send' 1 device router pull --front "$front" \
    --back "$back"
refused 'nosuch' 1 device queue --front nosuch://a --back "$back"
NOTIFY_SOCKET=$dir/nobody
export NOTIFY_SOCKET
refused 'NOTIFY_SOCKET' 1 device queue --front "$front" --back "$back"
unset NOTIFY_SOCKET

# ---- the unit ----

unit=$dir/weir-device@test.service
sed -e "s|@bindir@/weir|$weir|" -e 's|@sysconfdir@|/etc|' \
    "$top_srcdir/tools/weir-device@.service.in" >"$unit"
grep -q '@[a-z]*@' "$unit" && wrong "the unit has words to be replaced"
grep -q '^Type=notify$' "$unit" || wrong "the unit does not wait to be told"
if command -v systemd-analyze >/dev/null; then
    systemd-analyze verify --man=no "$unit" >"$dir/out" 2>"$dir/err" ||
        wrong "systemd-analyze verify"
    grep -q "$unit" "$dir/err" && wrong "systemd-analyze verify: warnings"
else
    echo "there is no systemd-analyze, so the unit was not verified"
fi
exit $failed
