#!/bin/sh
# test_conformance_table.sh - tests/CONFORMANCE names every line of the
# checklist that weir implements, once and in order, and each of its tests is
# defined, called, and part of a program that `make check` runs.
set -u
cd "$top_srcdir" || exit 1
table=tests/CONFORMANCE
failed=0

wrong() {
    echo "$table: $*"
    failed=1
}

# What must be there; the others are of parts that are still to come.
wanted() {
    for range in 1-7 10-13 18-23 34-49 76-92 95-99 101-104 106-107 110-115 \
        117-119 124-128 134-138 140-147; do
        seq "${range%-*}" "${range#*-}"
    done
}

has=$(sed -n 's/^\([0-9][0-9]*\)  [A-Z0-9].*/\1/p' $table)
[ "$has" = "$(wanted)" ] || wrong "does not have the lines it should have"

# Every line is followed by a test at least.
awk '/^[0-9]/ { if (line && !tests) print line; line = $1; tests = 0 }
     /^    tests\// { tests++ }
     END { if (line && !tests) print line }' $table | grep . &&
    wrong "the lines above have no test"

check() {
    program=$1
    test=$2
    source=$program.c
    [ -f "$source" ] || { wrong "there is no $source"; return; }
    grep -q "^static void $test(void \*\*state)" "$source" ||
        wrong "$source has no $test"
    [ "$(grep -c "\<$test\>" "$source")" -ge 2 ] ||
        wrong "$source does not call $test"
    grep -q "%D%/$(basename "$program")\>" "$(dirname "$program")/module.am" ||
        wrong "$program is not built"
}

tests=$(sed -n 's/^    \(tests\/[^ ]*\)  *\([a-z0-9_]*\)$/\1 \2/p' $table)
[ "$(echo "$tests" | wc -l)" -gt 80 ] || wrong "was not understood"
while read -r program test; do
    check "$program" "$test"
done <<END
$tests
END
[ "$(grep -c '^  *tests/' $table)" -eq "$(echo "$tests" | wc -l)" ] ||
    wrong "has a line that names no test"
exit $failed
