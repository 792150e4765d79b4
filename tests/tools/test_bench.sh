#!/bin/sh
# test_bench.sh - weir bench: each test runs for a moment, over each transport
# and with each library that was built, and gives all of its figures.
set -u
. "$top_srcdir/tests/tools/tools.sh"

# bench CODE ARGUMENT...: weir bench ends with this code.
bench() {
    code_of_bench=$1
    shift
    run "$code_of_bench" bench "$@"
}

# has LIBRARY TEST TRANSPORT METRIC...: lines with these figures are in the
# file, and they are numbers above 0.
has() {
    what="\"impl\": \"$1\", \"test\": \"$2\", \"transport\": \"$3\""
    shift 3
    for metric; do
        grep -e "$what" "$dir/figures" | grep -q -e "\"metric\": \"$metric\", \"median\": [0-9.e+-]*[1-9][0-9.e+-]*, \"min\": [0-9.e+-]*, \"max\": [0-9.e+-]*, \"runs\": " ||
            wrong "no figure $what $metric: $(cat "$dir/figures")"
    done
}

# What was built to compare with.  Sanitizers that other libraries are not built
# with see races and leaks in them that are none of ours.
case ${WEIR_SANITIZE:-no} in
no) others='libzmq nng nanomsg' ;;
*) others= ;;
esac
peers=
for name in $others raw; do
    [ ! -x "$top_builddir/tools/weir-bench-$name" ] || peers="$peers $name"
done

# each TEST TRANSPORTS LIBRARIES METRICS ARGUMENT...: run it briefly with all
# that are built, and look for the figures of those that can do it.
each() {
    test=$1 transports=$2 libraries=$3 metrics=$4
    shift 4
    bench 0 "$test" --transport $transports ${peers:+--peer $peers} --runs 1 \
        --warm 0.02 --duration 0.05 --json "$dir/figures" "$@"
    for library in weir $peers; do
        case " weir $libraries " in *" $library "*) ;; *) continue ;; esac
        for transport in $transports; do
            [ "$library $transport" = "raw inproc" ] && continue
            has $library "$test" $transport $metrics
        done
    done
}

# ---- arguments ----

bench 2
complains 'usage: weir bench TEST'
bench 2 nosuch
complains 'nosuch: no such test'
tests='thr lat burst paced fanout fanin duplex idle conns topics plugins device swap'
bench 0 --help
for test in $tests; do
    says "^  $test "
done
for test in $tests; do
    bench 2 $test --no-such-option
    complains 'no-such-option'
    bench 2 $test extra
    complains 'extra: not an option'
    bench 0 $test --help
    says "usage: weir bench $test"
    says '--json FILE'
done
bench 2 thr --size big
complains 'big'
bench 2 burst --burst -1
complains '--burst -1'
bench 2 thr --peer nosuch
complains 'nosuch'
bench 2 thr --runs 1000
complains 'runs'
bench 2 thr --duration 0
complains 'duration'
bench 1 thr --json "$dir/no/where" --runs 1 --warm 0 --duration 0.01
complains 'no/where'

# A side that gives no figure is a failure.
bench 1 thr --transport tcp --url tcp://127.0.0.1:notaport --runs 1 --warm 0 \
    --duration 0.01
complains 'no result'

# ---- the tests ----

all='libzmq nng nanomsg raw'
each thr 'tcp ipc inproc' "$all" 'msg/s MB/s cpu_us' --size 64 1K
each lat 'tcp ipc inproc' "$all" 'p50_us p99_us p99.9_us cpu_us'
each burst 'tcp ipc inproc' "$all" 'p50_us p99_us cpu_us' --burst 1,20
each paced 'tcp ipc inproc' "$all" 'p50_us p99_us p99.9_us cpu_us msg/s' \
    --pace 10000
each fanout 'tcp ipc inproc' "$all" 'delivered/s sent/s cpu_us' \
    --subscribers 2
each fanin 'tcp ipc inproc' "$all" 'msg/s cpu_us' --senders 2
each duplex 'tcp ipc inproc' "$all" 'msg/s cpu_us'
each idle tcp "$all" 'msg/s cpu_us' --idle 0,100
each conns 'tcp ipc' "$all" 'conn/s cpu_us' --connections 100
each topics tcp libzmq 'match_ns cold_ns add_us' --topics 10,1000
each device 'tcp ipc' 'libzmq nng nanomsg' 'msg/s cpu_us device_% device_us'
each plugins 'tcp ipc inproc' "$all" 'first_us again_us'

# Only weir swaps, where there is the plugin for it.
if [ -f "$top_builddir/plugins/store_file/store_file.la" ]; then
    mkdir "$dir/swap"
    delays='calm_us p99_x half_x plain_x'
    each swap 'tcp ipc' '' \
        "msg/s p99_us MB/s raw_MB/s of_raw_% back/s $delays" \
        --size 64,1K --dir "$dir/swap" --store file
    grep -q '"store": "file", "metric": "of_raw_%"' "$dir/figures" ||
        wrong 'no store in the figures'
    ! grep -q '"impl": "raw"' "$dir/figures" || wrong 'raw has no swap'
    rmdir "$dir/swap" || wrong 'the swap left something behind'
    bench 1 swap --dir "$dir/no/where" --runs 1 --warm 0 --duration 0.01
    complains 'no/where'
    bench 1 swap --store nosuch --dir "$dir" --runs 1 --warm 0 --duration 0.01
    complains 'store_nosuch'
fi
bench 2 thr --dir "$dir"
complains '--dir'

# Other forms.
bench 0 lat --transport tcp --runs 1 --warm 0.02 --duration 0.05 --reqrep \
    --one-cpu --json -
says '"impl": "weir", "test": "lat", "transport": "tcp", "size": 64, "one-cpu": true, "metric": "p50_us", "median": [0-9.]*, "min": [0-9.]*, "max": [0-9.]*, "runs": 1}'
bench 0 thr --transport inproc --runs 1 --warm 0.02 --duration 0.05 --batch 64
bench 0 fanout --transport tcp --runs 1 --warm 0.02 --duration 0.05 \
    --subscribers 2 --nodrop --json "$dir/figures"
has weir fanout tcp delivered/s
bench 0 idle --runs 1 --warm 0.02 --duration 0.05 --idle 10 --reqrep \
    --json "$dir/figures"
has weir idle tcp msg/s p50_us

for library in $peers; do
    [ $library = libzmq ] || continue
    bench 0 device --transport tcp --runs 1 --warm 0.02 --duration 0.05 \
        --peer libzmq --ends libzmq --json -
    says '"impl": "weir", "test": "device", .* "ends": "libzmq", "metric": "msg/s"'
    says '"impl": "libzmq", "test": "device", .* "ends": "libzmq"'
done
# Groups, where two machines can be made.  Beside libzmq is for people: its
# subscriber may hear nothing more when a busy machine makes it lose packets.
if [ -f "$top_builddir/plugins/transport_pgm/transport_pgm.la" ] &&
    [ "$(id -u)" = 0 ] && unshare -n ip link add wire type veth 2>/dev/null
then
    bench 0 thr --transport epgm --runs 1 --warm 0.1 --duration 0.3 \
        --size 1K --rate 50000 --json "$dir/figures"
    has weir thr epgm msg/s MB/s cpu_us came_%
    grep -q '"rate": 50000' "$dir/figures" || wrong 'no rate in the figures'
    rate=$(sed -n 's|.*"weir".*"msg/s", "median": \([0-9]*\).*|\1|p' \
        "$dir/figures")
    # 50 Mbit/s are 5800 messages of 1 KB, and what had to wait before comes
    # on top; without a limit it would be some ten times as many.
    [ "$rate" -le 20000 ] ||
        wrong "$rate messages a second: the rate is not kept"
else
    echo 'not done: groups, which need root, ip(8) and the plugin transport_pgm'
fi
bench 2 thr --transport nosuch --runs 2 --duration 0.01
complains '--transport nosuch: no such transport'
[ "$(wc -l <"$dir/err")" = 1 ] || wrong "more than once: $(cat "$dir/err")"
[ ! -s "$dir/out" ] || wrong "nothing was run: $(cat "$dir/out")"
bench 2 lat --transport epgm
complains '--transport epgm'
bench 2 thr --rate 0
complains '--rate'

# Options of weir's sockets, beside weir without them.
bench 0 thr --transport tcp --runs 1 --warm 0.02 --duration 0.05 \
    --set pace=latency spin=0 --peer plain --json -
says '"impl": "weir", .* "set": \["pace=latency", "spin=0"\], "metric": "msg/s"'
says '"impl": "plain", .* "size": 64, "metric": "msg/s"'
bench 2 thr --set pace
complains '--set pace: want NAME=VALUE'
bench 1 thr --transport tcp --runs 1 --warm 0 --duration 0.01 --set pace=sideways
complains 'sideways'
bench 2 device --ends nosuch
complains 'nosuch'

# ---- charts ----

bench 0 thr --transport tcp,ipc --size 16,256 --runs 2 --warm 0.02 \
    --duration 0.02 --svg "$dir/chart.svg"
says '^ipc  *256  *weir '
for words in '<svg ' '>messages per second, one way<' \
    '>weir bench thr: the median, least and most of 2 runs<' '>weir ipc<' \
    '>size of a message, octets<' '>msg/s (more is better)<' '>256<' '</svg>'
do
    grep -q -e "$words" "$dir/chart.svg" || wrong "no $words in the chart"
done

# ---- without plugins ----

# One sentence, however many runs there were to be.  Plugins that are inside of
# the library are there wherever one looks, and are disabled.
if [ -n "${WEIR_PLUGIN_PATH-}" ]; then
    mkdir "$dir/none"
    path=$WEIR_PLUGIN_PATH
    WEIR_PLUGIN_PATH=$dir/none WEIR_PLUGINS='^inproc,^ipc,^pgm,^tcp'
    export WEIR_PLUGINS
    bench 1 thr --size 16,64 --runs 3
    complains 'WEIR_PLUGIN_PATH'
    [ "$(wc -l <"$dir/err")" = 1 ] || wrong "more than one sentence"
    bench 1 targets
    [ "$(wc -l <"$dir/err")" = 1 ] || wrong "more than one sentence"
    WEIR_PLUGIN_PATH=$path
    unset WEIR_PLUGINS
fi

# ---- targets ----

bench 0 targets --list
says '^throughput of 16 to 256 B against libzmq$'
bench 2 targets --only nosuch
complains 'nosuch'
bench 2 targets --duration 0
# The verdict is up to the machine; that there is one is not.
"$weir" bench targets --only 'topic match' --runs 1 --warm 0.01 \
    --duration 0.02 --json "$dir/figures" >"$dir/out" 2>"$dir/err" </dev/null
says '^topic match.*tcp 1000000  *match_ns  *[0-9.]* .*<= 3.0  *\(yes\|NO\)'
says '^[01] of 1 reach'
has weir topics tcp match_ns

exit $failed
