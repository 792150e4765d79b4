#!/bin/sh
# test_readme.sh - the first programs of README compile and talk to each other,
# and core/README has every file of the core.
set -u
failed=0
work=$(mktemp -d)
trap 'status=$?; kill $(jobs -p) 2>/dev/null; rm -rf "$work"; exit $status' EXIT

wrong() {
    echo "$*"
    failed=1
}

# program NAME: the block of README that follows "NAME.c:", at another port.
program() {
    awk -v name="$1.c:" '
        !found { found = index($0, name); next }
        /^    / { sub(/^    /, ""); print; begun = 1; next }
        /^$/ { if (begun) print; next }
        begun { exit }' "$top_srcdir/README" |
        sed "s/5555/$port/" >"$work/$1.c"
}

build() {
    sanitize=
    [ "${WEIR_SANITIZE:-no}" = no ] || sanitize=-fsanitize=$WEIR_SANITIZE
    $CC -std=c11 -Wall -Wextra -Wpedantic -Werror $sanitize \
        -I "$top_srcdir/sdk" -c -o "$work/$1.o" "$work/$1.c" &&
        ./libtool --quiet --tag=CC --mode=link $CC $sanitize \
            -o "$work/$1" "$work/$1.o" core/libweir.la ||
        { wrong "$1.c of README does not build"; exit 1; }
}

cd "$top_builddir" || exit 1 # libtool takes no spaces in names of libraries
port=$((10000 + ($$ * 31 + 17) % 20000))
for name in receiver sender; do
    program $name
    grep -q 'int main' "$work/$name.c" || wrong "README has no $name.c"
    build $name
done
"$work/receiver" >"$work/out" &
receiver=$!
"$work/sender" || wrong "the sender fails"
wait $receiver || wrong "the receiver fails"
echo hello | cmp - "$work/out" || wrong "another message came"

cd "$top_srcdir/core" || exit 1
for file in *.[ch] */*.[ch]; do
    name=${file##*/}
    grep -qE "(^|[^a-z_])(${name%.*}|${name%.*}\.[ch])([^a-z_]|\$)" README ||
        wrong "core/README does not mention $file"
done
exit $failed
