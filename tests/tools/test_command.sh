#!/bin/sh
# test_command.sh - the other subcommands: they list, check, compare and show
# what there is, and refuse what there is not.
set -u
. "$top_srcdir/tests/tools/tools.sh"

# ---- the command itself ----

run 2
complains 'usage: weir'
run 2 nosuch
complains 'nosuch'
run 0 --help
says 'weir demo'
run 0 --version
says '^weir [0-9]'
for subcommand in cat device top monitor stats plugins check swap options \
    bench demo; do
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
run 0 options --json sockets
says '^{"of": "sockets", "name": "send-mark", "type": "number", "unit": "'
run 0 plugins --json
says '^{"abi": 1, "name": "transport_tcp", .* "state": "loaded"'
run 0 plugins show tcp --json
[ "$(wc -l <"$dir/out")" = 1 ] || wrong "more than one line for one plugin"
run 2 options --json --mdoc
complains 'one of --mdoc and'
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
# Where plugins are files.
store=$top_builddir/plugins/store_file/.libs/store_file.so
if [ -f "$store" ]; then
    run 0 check "$store"
    says 'spill: the budget holds'
    says ' 0 failed, 0 skipped'
fi
ipc=$top_builddir/plugins/transport_ipc/.libs/transport_ipc.so
if [ -f "$ipc" ]; then
    run 0 check --json "$ipc"
    says '^{"of": "ipc", "case": ".*", "result": "passed", "detail": ""}$'
    says '^{"passed": [1-9][0-9]*, "failed": 0, "skipped": [0-9]*}$'
    grep -v '^{.*}$' "$dir/out" && wrong "check --json: no JSON"
fi

# ---- demo ----

run 0 demo
says 'every one of them accounted for'
says 'transport_tcp'
awk 'length > 80 && !/transport_|store_/' "$dir/out" | grep . &&
    wrong "demo: wider than 80 columns"
run 0 demo --json
says '^{"transport": "tcp", "pattern": "PUSH to PULL", "sent": 100001, '
says '^{"account": true, .*"accounted": true, "failed": false}$'
grep -v '^{.*}$' "$dir/out" && wrong "demo --json: no JSON"
complains 'A server that is killed'

# Who says why a part of it failed is heard.
WEIR_PLUGINS=^transport_tcp
export WEIR_PLUGINS
run 1 demo
says 'tcp .*no plugin'
says 'PUB binds: plugin transport_tcp is disabled'
unset WEIR_PLUGINS

exit $failed
