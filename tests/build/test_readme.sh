#!/bin/sh
# test_readme.sh - what README.md tells its readers to type does what it says,
# its first programs talk to each other, what it links to is there, and
# core/README has every file of the core.
. "$top_srcdir/tests/build/commands.sh"
readme=$top_srcdir/README.md

# fenced LANGUAGE N: the N-th block of a language.
fenced() {
    awk -v fence="\`\`\`$1" -v n="$2" '
        /^```/ { inside = !inside && $0 == fence; count += inside; next }
        inside && count == n' "$readme" | own_ports
}

# program NAME: the block that follows "NAME.c:".
program() {
    awk -v name="$1.c:" '
        $0 == name { found = 1; next }
        found && /^```/ { if (inside) exit; inside = 1; next }
        inside' "$readme" | own_ports >"$work/here/$1.c"
    grep -q 'int main' "$work/here/$1.c" || wrong "README.md has no $1.c"
}

# The benchmark as it stands takes a minute; a short one has all its options.
# Of the other libraries those take part that were there to be built against.
benchmark() {
    for peer in libzmq nng nanomsg; do
        [ -x "$top_builddir/tools/weir-bench-$peer" ] || echo "s/ $peer//"
    done >"$work/absent"
    [ -n "${WEIR_TEST_FULL-}" ] ||
        echo 's/$/ --runs 1 --duration 0.05 --warm 0.05/' >>"$work/absent"
    sed -f "$work/absent" "$1" | sed 's/ --peer \(--\|$\)/ \1/' >"$work/bench"
    run_block "$work/bench" >"$work/out" 2>&1 && grep -q '^tcp.*weir' "$work/out"
}

# A device runs until it is told to end; requests go through it meanwhile.
device() {
    front=$(sed -n 's/.*--front \([^ ]*\).*/\1/p' "$1")
    back=$(sed -n 's/.*--back \([^ ]*\).*/\1/p' "$1")
    cat >"$work/device" <<END
$(cat "$1") & device=\$!
weir cat --timeout 20 --type REP --connect $back --reply world --count 1 &
weir cat --timeout 20 --type REQ --connect $front --send hello
kill \$device
wait \$device
END
    run_block "$work/device" >"$work/out" 2>&1 && grep -qx world "$work/out"
}

# said TEXT: exactly this was shown.
said() {
    echo "$1" | cmp -s - "$work/out"
}

install_here
program receiver
program sender
n=0
while n=$((n + 1)); fenced sh $n >"$work/block"; [ -s "$work/block" ]; do
    case $(head -n 1 "$work/block") in
    "./bootstrap demo")
        grep -q '\./bootstrap demo' "$top_srcdir/.ci/run" &&
            grep -q '\./bootstrap shell' "$top_srcdir/.ci/run" ;;
    "weir cat --type PULL"*)
        # The next block is for a second terminal.
        n=$((n + 1))
        { sed 's/$/ \&/' "$work/block"; fenced sh $n; echo wait; } >"$work/both"
        run_block "$work/both" >"$work/out" && said hello ;;
    "cc -o receiver"*) run_block "$work/block" >"$work/out" && said hello ;;
    "weir bench "*) benchmark "$work/block" ;;
    "weir device "*) device "$work/block" ;;
    "mkdir jobs") run_block "$work/block" >"$work/out" &&
        grep -q '^jobs~tcp.* file  *1 ' "$work/out" ;;
    *) echo "no test runs this"; false ;;
    esac || { cat "$work/block" "$work/out"; wrong "README.md: block $n fails"; }
done
[ $n -gt 5 ] || wrong "README.md has only $((n - 1)) blocks of commands"

tr '\n' ' ' <"$readme" | grep -o '](\([^)]*\))' | tr -d '()]' >"$work/links"
while read -r link; do
    [ -e "$top_srcdir/$link" ] || wrong "README.md: dead link: $link"
done <"$work/links"

cd "$top_srcdir/core" || exit 1
for file in *.[ch] */*.[ch]; do
    name=${file##*/}
    grep -qE "(^|[^a-z_])(${name%.*}|${name%.*}\.[ch])([^a-z_]|\$)" README ||
        wrong "core/README does not mention $file"
done
exit $failed
