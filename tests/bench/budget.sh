#!/bin/sh
# budget.sh - instructions per message, counted by callgrind, compared with
# the budgets beside this file.  Not a time, so other work on the machine does
# not matter; another compiler does.
#
# usage: budget.sh [--update]
#
# Each work is counted twice, the second time for twice as many messages: the
# difference is what the messages cost.  More than its budget and the tolerance
# fails.  --update writes what was counted into the file.
set -u
budgets=$top_srcdir/tests/bench/budgets
work=$top_builddir/tests/bench/work
messages=18000 # a multiple of the works' batches
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM

command -v valgrind >/dev/null || { echo "budget.sh: no valgrind"; exit 77; }

# The same forms of memcpy and its like on every processor.
GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-AVX2_Usable,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM
export GLIBC_TUNABLES

# count NAME MESSAGES: print how many instructions that takes.
count() {
    timeout 120 valgrind --tool=callgrind --callgrind-out-file="$dir/out" "$work" \
        "$1" "$2" >"$dir/log" 2>&1 || { cat "$dir/log" >&2; return 1; }
    sed -n 's/^\(totals\|summary\): *\([0-9]*\).*/\2/p' "$dir/out" | head -n 1
}

# The budgets' lines: "NAME INSTRUCTIONS"; "tolerance PERCENT"; and comments.
tolerance=$(sed -n 's/^tolerance //p' "$budgets")
[ -n "$tolerance" ] || { echo "budget.sh: $budgets has no tolerance"; exit 1; }
grep '^#' "$budgets" >"$dir/new"
echo "tolerance $tolerance" >>"$dir/new"
grep -v -e '^#' -e '^tolerance ' -e '^$' "$budgets" >"$dir/list"

failed=0
printf '%-8s %12s %8s\n' work instructions budget
while read -r name budget; do
    once=$(count "$name" $messages) &&
        twice=$(count "$name" $((2 * messages))) || exit 1
    echo "$once $twice $messages $budget $tolerance $name" |
        awk '{
            each = ($2 - $1) / $3
            verdict = "ok"
            if (each > $4 * (1 + $5 / 100)) verdict = "MORE than allowed"
            else if (each < $4 * (1 - $5 / 100))
                verdict = "less: the budget can come down"
            printf "%-8s %12.1f %8.1f  %s\n", $6, each, $4, verdict
        }' >"$dir/line"
    cat "$dir/line"
    awk '{ print $1, $2 }' "$dir/line" >>"$dir/new"
    ! grep -q MORE "$dir/line" || failed=1
done <"$dir/list"

if [ "${1-}" = --update ]; then
    cp "$dir/new" "$budgets" || exit 1
    exit 0
fi
[ $failed = 0 ] ||
    echo "a message costs more instructions than its budget, $budgets"
exit $failed
