#!/bin/sh
# test_command.sh - the other subcommands: they list, check, compare and show
# what there is, and refuse what there is not.
set -u
weir=$top_builddir/tools/weir
dir=$(mktemp -d)
failed=0
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM

wrong() {
    echo "FAILED: $*"
    [ ! -s "$dir/out" ] || sed 's/^/    /' "$dir/out"
    [ ! -s "$dir/err" ] || sed 's/^/    /' "$dir/err"
    failed=1
}

# run CODE ARGUMENT...: it ends with this code.
run() {
    want=$1
    shift
    "$weir" "$@" >"$dir/out" 2>"$dir/err" </dev/null
    code=$?
    [ $code = "$want" ] || wrong "weir $*: exit code $code, not $want"
}

# says WORDS, complains WORDS: the last one did.
says() {
    grep -q -e "$1" "$dir/out" || wrong "no '$1' was said"
}

complains() {
    grep -q -e "$1" "$dir/err" || wrong "no '$1' on standard error"
}

# ---- the command itself ----

run 2
complains 'usage: weir'
run 2 nosuch
complains 'nosuch'
run 0 --help
says 'weir demo'
run 0 --version
says '^weir [0-9]'
for subcommand in cat plugins check options bench demo; do
    run 0 $subcommand --help
    says "usage: weir $subcommand"
    run 2 $subcommand --no-such-option
    complains 'no-such-option'
done

# A descriptor that is closed is not taken for another.
"$weir" --version >&- 2>"$dir/err" && wrong "--version into nothing"
complains 'standard output'

# ---- plugins and their options ----

run 0 plugins
for name in inproc ipc tcp; do
    says "^transport_$name  *transport .* loaded"
done
run 0 plugins show transport_tcp
says 'provides  *tcp'
says 'license  *MIT'
run 0 plugins show tcp
run 1 plugins show nosuch
complains nosuch

run 0 options
says '^  send-mark .* default 10000'
says 'Options of transport_tcp'
run 0 options --mdoc sockets
says '^.It Cm send-mark'
run 1 options nosuch
complains 'nosuch: no such plugin'
run 1 options tcp nosuch
complains 'nosuch: no such plugin'
says 'keepalive'
run 1 options inproc
complains 'inproc: it has no options'

# ---- conformance ----

run 1 check "$dir/nosuch.so"
complains 'nosuch.so'
run 2 check
echo 'no plugin' >"$dir/transport_tcp.so"
run 1 check "$dir/transport_tcp.so"
complains 'transport_tcp.so'

# ---- bench ----

run 2 bench
run 2 bench thr --size big
complains 'big'
run 2 bench thr --peer nosuch
complains 'nosuch'
run 0 bench thr --transport ipc inproc --size 64 1K --runs 2 --warm 0.05 \
    --duration 0.05 --peer raw --json "$dir/figures"
says '^ipc  *1024  *raw '
says '^inproc  *64  *weir '
[ "$(grep -c '"metric": "msg/s"' "$dir/figures")" = 6 ] ||
    wrong "not six figures: $(cat "$dir/figures")"
run 0 bench lat --transport tcp --runs 1 --warm 0.05 --duration 0.05 \
    --reqrep --json -
for metric in p50_us p99_us cpu_us; do
    says "\"impl\": \"weir\", \"test\": \"lat\", \"transport\": \"tcp\", \"size\": 64, \"metric\": \"$metric\", \"median\": [0-9.]*, \"min\": [0-9.]*, \"max\": [0-9.]*, \"runs\": 1}"
done
run 0 bench thr --transport inproc --runs 1 --warm 0.05 --duration 0.05 \
    --batch 64

# ---- demo ----

run 0 demo
says 'every one of them accounted for'
says 'transport_tcp'

exit $failed
