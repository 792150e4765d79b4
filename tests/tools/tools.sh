# tools.sh - what the tests of commands share; they source it.
#
# $weir is the command, $dir a folder of the test's own, which goes at the end
# with all that it has started.  A test ends with `exit $failed`.
weir=$top_builddir/tools/weir
dir=$(mktemp -d)
failed=0
unset WEIR_STATS

cleanup() {
    kill $(jobs -p) 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

# wrong WORDS...: something is not as it should be; what was said is shown.
wrong() {
    echo "FAILED: $*"
    for file in out err; do
        [ ! -s "$dir/$file" ] || sed "s/^/    $file: /" "$dir/$file"
    done
    failed=1
}

# run CODE ARGUMENT...: the command ends with this code.
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

# refused WORDS CODE ARGUMENT...: the command fails in this way, and says so.
refused() {
    words=$1
    shift
    run "$@"
    complains "$words"
}

# await COMMAND...: until it succeeds, for 20 seconds.
await() {
    i=0
    until "$@"; do
        i=$((i + 1))
        [ $i -lt 200 ] || { wrong "in vain: $*"; return 1; }
        sleep 0.1
    done
}

# cat_ ARGUMENT...: a weir cat that does not wait for ever.
cat_() {
    "$weir" cat --timeout 20 "$@"
}
