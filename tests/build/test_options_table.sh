#!/bin/sh
# test_options_table.sh - tests/OPTIONS has every option of sockets, in the
# order of the manual, and each of its tests is defined, called, and part of a
# program that `make check` runs.
set -u
cd "$top_srcdir" || exit 1
table=tests/OPTIONS
failed=0

wrong() {
    echo "$table: $*"
    failed=1
}

wanted=$(sed -n '/^\.\\" table: sockets/,/^\.El/s/^\.It Cm \([a-z-]*\) .*/\1/p' \
    doc/man/weir_options.7)
has=$(sed -n '/^===/,$s/^\([a-z-]*\)$/\1/p' $table | grep .)
[ "$(echo "$wanted" | wc -l)" -gt 30 ] || wrong "the manual was not understood"
[ "$has" = "$wanted" ] || wrong "does not have the options of the manual"

# Every option is followed by a test at least.
awk '/^===/ { body = 1 }
     body && /^[a-z-]+$/ { if (name && !tests) print name; name = $1; tests = 0 }
     /^    tests\// { tests++ }
     END { if (name && !tests) print name }' $table | grep . &&
    wrong "the options above have no test"

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
while read -r program test; do
    check "$program" "$test"
done <<END
$tests
END
[ "$(grep -c '^  *tests/' $table)" -eq "$(echo "$tests" | wc -l)" ] ||
    wrong "has a line that names no test"
exit $failed
