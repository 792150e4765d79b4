#!/bin/sh
# test_swap.sh - weir swap: queues that a process has left are listed, shown,
# drained and dropped, and what cannot be is said, with an exit code.
set -u
weir=$top_builddir/tools/weir
fill=$top_builddir/tests/tools/fill_queue
dir=$(mktemp -d)
failed=0

cleanup() {
    kill $(jobs -p) 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

wrong() {
    echo "FAILED: $*"
    failed=1
}

# run CODE ARGUMENT...: weir swap ends with it; what it says is in out and err.
run() {
    want=$1
    shift
    "$weir" swap "$@" >"$dir/out" 2>"$dir/err" </dev/null
    code=$?
    [ $code = "$want" ] ||
        wrong "swap $*: exit code $code, not $want: $(cat "$dir/err")"
}

says() {
    grep -qF -- "$1" "$dir/out" || wrong "no '$1' in: $(cat "$dir/out")"
}

complains() {
    grep -qF -- "$1" "$dir/err" || wrong "no '$1' in: $(cat "$dir/err")"
}

# What messages FROM to TO look like.
messages() {
    for i in $(seq "$1" "$2"); do
        if [ $((i % 3)) = 0 ]; then
            echo "{\"frames\": [\"message $i\", {\"base64\": \"AA==\"}]}"
        else
            echo "{\"frames\": [\"message $i\"]}"
        fi
    done
}

# listen TYPE ADDRESS ARGUMENT...: another process that takes what comes.
listen() {
    type=$1 address=$2
    shift 2
    "$weir" cat --type "$type" --bind "$address" --timeout 30 "$@" \
        >"$dir/heard" 2>"$dir/heard.err" &
    listener=$!
}

# A store is looked into through its plugin's file.
[ -f "$top_builddir/plugins/store_file/.libs/store_file.so" ] || {
    echo "plugins are no files here"
    exit 77
}
stores=file
[ ! -f "$top_builddir/plugins/store_lmdb/.libs/store_lmdb.so" ] ||
    stores="file lmdb"

# ---- what is refused ----

run 2
run 2 look "$dir"
run 2 list
run 2 list "$dir" a b
run 1 list "$dir/nosuch"
complains "$dir/nosuch: No such file"
mkdir "$dir/empty"
run 0 list "$dir/empty"
says "$dir/empty: no queue of "
run 0 list "$dir/empty" --json
[ ! -s "$dir/out" ] || wrong "there is none: $(cat "$dir/out")"
for verb in show drop; do
    run 1 $verb "$dir/empty"
    complains "$dir/empty: this is no store"
done
run 1 list "$dir" --store nosuch
complains nosuch
run 2 show "$dir" --format nosuch
run 2 drain "$dir" queue
complains '--bind'
run 2 drain "$dir" queue --type PULL --bind "ipc://$dir/socket"
complains PULL

for store in $stores; do
    spool=$dir/$store
    mkdir "$spool"

    # ---- list and show ----

    "$fill" $store "$spool" orders 25 || wrong "$store: orders"
    "$fill" $store "$spool" prices 3 || wrong "$store: prices"
    run 0 list "$spool"
    says queue
    grep -Eq "^orders  *$store  *24 .* 2  *25  *0" "$dir/out" ||
        wrong "$store: $(cat "$dir/out")"
    run 0 list "$spool" --json
    says "{\"queue\": \"prices\", \"store\": \"$store\", \"messages\": 2"
    says '"first": 2, "last": 25, "torn": 0}'
    run 1 show "$spool"
    complains 'say which'
    run 1 show "$spool" bills
    complains bills
    run 0 show "$spool" orders
    messages 2 25 | cmp -s - "$dir/out" ||
        wrong "$store: show: $(cat "$dir/out")"
    run 0 show "$spool" orders --count 12 --format text
    [ "$(wc -l <"$dir/out")" = 12 ] || wrong "$store: --count"

    # ---- a process has it ----

    mkfifo "$dir/hold"
    "$fill" $store "$spool" taken 5 hold <"$dir/hold" >"$dir/ready" &
    holder=$!
    exec 9>"$dir/hold"
    for try in $(seq 200); do
        ! grep -q ready "$dir/ready" || break
        sleep 0.05
    done
    run 3 show "$spool" taken
    complains "process $holder has this queue open"
    run 3 list "$spool"
    says orders
    run 3 drop "$spool" taken --yes
    exec 9>&-
    wait $holder
    rm "$dir/hold"
    run 0 show "$spool" taken
    [ "$(wc -l <"$dir/out")" = 4 ] || wrong "$store: taken"

    # ---- drain ----

    run 1 drain "$spool" orders --type PUSH --connect "ipc://$dir/nobody" \
        --timeout 0.3
    complains 'timed out'
    says '0 messages sent, 24 left'
    listen PULL "ipc://$dir/pull" --format json
    run 0 drain "$spool" orders --type push --connect "ipc://$dir/pull" --json
    says '{"sent": 24, "unmatched": 0, "left": 0}'
    for try in $(seq 200); do
        [ "$(wc -l <"$dir/heard")" != 24 ] || break
        sleep 0.05
    done
    kill $listener
    wait $listener
    messages 2 25 | cmp -s - "$dir/heard" ||
        wrong "$store: drained: $(cat "$dir/heard")"
    run 1 show "$spool" orders
    complains 'no queue orders'

    # ---- drop ----

    run 2 drop "$spool" prices
    complains '--yes'
    run 0 drop "$spool" prices --yes
    says '2 messages dropped'
    run 0 drop "$spool" --yes
    run 0 list "$spool"
    says 'no queue of'
    rmdir "$spool" || wrong "$store: something is left: $(ls -R "$spool")"
done

# ---- what cannot be dropped ----

case $stores in
*lmdb*)
    mkdir "$dir/kept"
    "$fill" lmdb "$dir/kept" q 25
    mkdir "$dir/kept/q.lmdb/of-another"
    run 1 drop "$dir/kept" q --yes
    complains 'q could not be removed'
    [ ! -s "$dir/out" ] || wrong "dropped: $(cat "$dir/out")"
    ;;
esac

# ---- a block that is damaged ----

# The first octet of the first block, behind two heads.
mkdir "$dir/damaged"
"$fill" file "$dir/damaged" q 25
segment=$(echo "$dir"/damaged/q.weir/*.seg)
printf X | dd of="$segment" bs=1 seek=130 conv=notrunc 2>"$dir/dd"
listen PULL "ipc://$dir/pull" --format json
for left in 15 0; do
    run 1 drain "$dir/damaged" q --type PUSH --connect "ipc://$dir/pull" --json
    complains 'is not what was written'
    says "{\"sent\": $left, \"unmatched\": 0, \"left\": 9}"
done
for try in $(seq 200); do
    [ "$(wc -l <"$dir/heard")" != 15 ] || break
    sleep 0.05
done
kill $listener
wait $listener
messages 11 25 | cmp -s - "$dir/heard" ||
    wrong "behind the damage: $(cat "$dir/heard")"
run 1 show "$dir/damaged" q

# ---- a torn tail ----

mkdir "$dir/torn"
"$fill" file "$dir/torn" q 20
segment=$(echo "$dir"/torn/q.weir/*.seg)
size=$(wc -c <"$segment")
head -c $((size - 5)) "$segment" >"$dir/cut" && cat "$dir/cut" >"$segment"
for i in 1 2; do
    run 0 list "$dir/torn" --json
    says '"messages": 9,'
    ! grep -q '"torn": 0' "$dir/out" || wrong "nothing is torn"
done

# ---- a queue that nobody takes from ----

for store in $stores; do
    spool=$dir/alone.$store
    mkdir "$spool"
    "$weir" cat --type PUSH --connect "ipc://$dir/nobody" --send alone \
        --count 3 --timeout 30 --option swap-mode=durable \
        --option swap-name=orders --option swap-dir="$spool" \
        --option swap-store=$store --option send-swap=1000000 \
        --option linger=0 >"$dir/out" 2>"$dir/err" </dev/null ||
        wrong "$store: exit code $?: $(cat "$dir/err")"
    run 0 show "$spool" --format text
    [ "$(grep -c '^alone$' "$dir/out")" = 3 ] ||
        wrong "$store: shows $(cat "$dir/out")"
done

# ---- what a process that was killed has left ----

# wait_for COMMAND...: until it succeeds, ten seconds at most.
wait_for() {
    for try in $(seq 200); do
        ! "$@" || return 0
        sleep 0.05
    done
    wrong "waited in vain for: $*"
}

for store in $stores; do
    spool=$dir/killed.$store
    mkdir "$spool"
    mkfifo "$dir/input"
    # It sends the first message, and keeps the others, for a peer that left.
    listen PULL "ipc://$dir/left" --count 1
    "$weir" cat --type PUSH --connect "ipc://$dir/left" --send - \
        --option swap-mode=durable --option swap-name=orders \
        --option swap-dir="$spool" --option swap-store=$store \
        --option send-swap=16777216 <"$dir/input" 2>"$dir/cat.err" &
    sender=$!
    exec 9>"$dir/input"
    echo first >&9
    wait $listener || wrong "$store: $(cat "$dir/heard.err" "$dir/cat.err")"
    seq -f 'message %03.0f.' 500 >"$dir/sent"
    cat "$dir/sent" >&9
    wait_for grep -raq 'message 500\.' "$spool"
    # What is seen may be half written; it is whole when the next one is seen.
    echo 'the next one.' | tee -a "$dir/sent" >&9
    wait_for grep -raq 'the next one\.' "$spool"
    run 3 drain "$spool" --type PUSH --connect "ipc://$dir/pull"
    complains "process $sender has this queue open"
    kill -9 $sender
    wait $sender 2>"$dir/killed"
    exec 9>&-
    rm "$dir/input"
    run 0 list "$spool" --json
    left=$(sed -n 's/.*"messages": \([0-9]*\),.*/\1/p' "$dir/out")
    [ "${left:-0}" -ge 500 ] || wrong "$store: left: $(cat "$dir/out")"
    head -n "$left" "$dir/sent" >"$dir/those"
    run 0 show "$spool" --format text
    cmp -s "$dir/those" "$dir/out" || wrong "$store: show: $(cat "$dir/out")"

    cp -Rp "$spool" "$dir/copy.$store"
    queue=$("$weir" swap list "$dir/copy.$store" --json |
        sed -n 's/.*"queue": "\([^"]*\)".*/\1/p')
    run 2 drop "$dir/copy.$store" "$queue"
    run 0 drop "$dir/copy.$store" "$queue" --yes
    says "$left messages dropped"
    rmdir "$dir/copy.$store" || wrong "$store: dropped, and something is left"

    listen PULL "ipc://$dir/pull"
    run 0 drain "$spool" --type PUSH --connect "ipc://$dir/pull"
    says "$left messages sent, 0 left"
    wait_for cmp -s "$dir/those" "$dir/heard"
    kill $listener
    wait $listener
    run 0 list "$spool"
    says 'no queue of'
done
exit $failed
