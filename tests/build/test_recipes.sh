#!/bin/sh
# test_recipes.sh - each recipe is on the page of recipes, and each of its
# programs has a test that builds it and runs the page's commands.
set -u
cd "$top_srcdir" || exit 1
failed=0

wrong() {
    echo "$*"
    failed=1
}

for program in doc/recipes/*.c; do
    name=$(basename "$program" .c)
    grep -l "^cc -o $name $name.c " doc/recipes/*.7 >/dev/null ||
        wrong "no page compiles $program"
    grep -q "^recipe .* $name\$" "tests/recipes/test_$name.sh" ||
        wrong "no test in tests/recipes for $program"
    grep -q "/test_$name\.sh\b" tests/recipes/module.am ||
        wrong "test_$name.sh is not in tests/recipes/module.am"
    grep -q "/$name\.c\b" doc/recipes/module.am ||
        wrong "$program is not in doc/recipes/module.am"
done
for page in doc/recipes/weir_recipe_*.7; do
    name=$(basename "$page" .7)
    grep -q "^\.It Xr $name 7" doc/recipes/weir_recipes.7 ||
        wrong "weir_recipes.7 does not list $name"
    grep -q "^recipe ${name#weir_recipe_} " tests/recipes/test_*.sh ||
        wrong "no test runs the commands of $page"
    # Each block of commands compiles a program, so that a test finds it.
    awk -v page="$page" '
        /^\.Bd/ { inside = 1; first = 1; next }
        /^\.Ed/ { inside = 0; next }
        inside && first { compiles = /^cc -o /; first = 0 }
        inside && /^(\\&\.\/|weir |cc )/ && !compiles {
            print page ": no test runs: " $0
            bad = 1
        }
        END { exit bad }' "$page" || failed=1
done
exit $failed
