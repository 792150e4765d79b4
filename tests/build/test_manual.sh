#!/bin/sh
# test_manual.sh - every public function has a manual page, the pages are
# sound and refer to what there is, their examples compile, and their tables
# of options are those of the library.
set -u
cd "$top_srcdir" || exit 1
pages=$(echo doc/man/*.[137] doc/recipes/*.7)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

wrong() {
    echo "$*"
    failed=1
}

# The names that a page is about.
names() {
    sed -n '/^\.Sh NAME/,/^\.Nd/s/^\.Nm //p' "$@" | tr -d ' ,'
}

# ---- functions ----

sed -n '/^WEIR_API/,/;/p' sdk/weir/weir.h |
    grep -o '\bweir_[a-z_]*(' | tr -d '(' | sort -u >"$work/functions"
names doc/man/*.3 | sort -u >"$work/documented"
[ "$(wc -l <"$work/functions")" -gt 40 ] || wrong "weir.h was not understood"
for name in $(comm -23 "$work/functions" "$work/documented"); do
    wrong "$name has no manual page"
done
for name in $(comm -13 "$work/functions" "$work/documented"); do
    wrong "$name has a manual page and is not in weir.h"
done
for page in doc/man/*.3; do
    for name in $(names "$page"); do
        grep -q "^\.F[no] $name\b" "$page" ||
            wrong "$page: no synopsis of $name"
    done
done

# A prototype in one line, with blanks where they are needed alone.
plain() {
    sed -e 's/[[:blank:]][[:blank:]]*/ /g' -e 's/ *\([(),*]\) */\1/g' \
        -e 's/^ //' -e 's/ $//'
}

# From weir.h.
awk '/^WEIR_API/ { text = "" ; inside = 1 }
    inside { text = text " " $0 }
    inside && /;/ {
        inside = 0
        sub(/ WEIR_API/, "", text)
        sub(/;.*/, "", text)
        print text
    }' sdk/weir/weir.h | plain | sort >"$work/declared"
# From the synopses; an argument with blanks is quoted there.
for page in doc/man/*.3; do
    sed -n '/^\.Sh SYNOPSIS/,/^\.Sh DESCRIPTION/p' "$page" | awk '
        /^\.Ft / { type = substr($0, 5) }
        /^\.Fo / { text = type " " $2 "("; comma = "" }
        /^\.Fa / {
            argument = substr($0, 5)
            gsub(/"/, "", argument)
            text = text comma argument
            comma = ","
        }
        /^\.Fc/ { print text ")" }
        /^\.Fn / {
            line = substr($0, 5)
            name = line
            sub(/ .*/, "", name)
            line = substr(line, length(name) + 1)
            gsub(/" "/, ",", line)
            gsub(/"/, "", line)
            print type " " name "(" line ")"
        }'
done | plain | sort >"$work/synopses"
diff "$work/declared" "$work/synopses" ||
    wrong "prototypes of weir.h (<) and of the manual (>) differ"

# The codes in the comment above a function, on the page about it.
awk '/^\/\*/ { codes = "" }
    /^[\/ ]\*/ {
        while (match($0, /-(WEIR_)?E[A-Z0-9]+/)) {
            codes = codes " " substr($0, RSTART + 1, RLENGTH - 1)
            $0 = substr($0, RSTART + RLENGTH)
        }
    }
    /^(WEIR_API|weir_)/ && match($0, /weir_[a-z_]+\(/) {
        print substr($0, RSTART, RLENGTH - 1) codes
    }' sdk/weir/weir.h >"$work/codes"
[ "$(grep -c E "$work/codes")" -gt 20 ] || wrong "no codes found in weir.h"
while read -r name codes; do
    page=$(grep -l "^\.F[no] $name\b" doc/man/*.3)
    for code in $codes; do
        grep -q "\b$code\b" $page || wrong "$page: $name can give -$code"
    done
done <"$work/codes"

# ---- commands: each has a page, and each of its options is there ----

weir=$top_builddir/tools/weir
"$weir" --list-options | cut -f 1 | grep '^[a-z]' >"$work/commands"
[ "$(wc -l <"$work/commands")" -gt 8 ] || wrong "weir lists no commands"
while read -r command; do
    page=doc/man/weir-$command.1
    [ -f "$page" ] || { wrong "weir $command has no manual page"; continue; }
    grep -q "^\.Xr weir-$command 1" doc/man/weir.1 ||
        wrong "weir(1) does not refer to weir-$command(1)"
    "$weir" "$command" --list-options | cut -f 1 >"$work/words"
    [ "$command" != bench ] || for test in $(grep '^[a-z]' "$work/words"); do
        "$weir" bench "$test" --list-options | cut -f 1
    done >>"$work/words"
    grep '^--' "$work/words" | grep -vx -e --help | sort -u |
        while read -r option; do
            grep -qE -e "Fl $(echo "$option" | sed 's/^-//')( |\$)" "$page" ||
                echo "weir-$command(1) does not tell of $option"
        done >"$work/untold"
    [ ! -s "$work/untold" ] || wrong "$(cat "$work/untold")"
done <"$work/commands"

# ---- pages ----

for page in $pages; do
    grep -q "/${page##*/}\b" "${page%/*}/module.am" ||
        wrong "$page is not in ${page%/*}/module.am"
    section=${page##*.}
    for name in $(names "$page"); do
        echo "$name $section"
    done
    echo "$(basename "$page" ".$section") $section"
done | sort -u >"$work/known"
sed -n 's/^\.Xr \(weir[a-z_]*\) \([0-9]\).*/\1 \2/p' $pages | sort -u |
    comm -23 - "$work/known" >"$work/unknown"
while read -r name section; do
    wrong "there is no $name($section), but a page refers to it:" \
        "$(grep -l "^\.Xr $name $section" $pages | tr '\n' ' ')"
done <"$work/unknown"

if command -v mandoc >/dev/null; then
    mandoc -T lint -W warning $pages >"$work/lint" 2>/dev/null ||
        { cat "$work/lint"; wrong "mandoc -T lint"; }
else
    echo "there is no mandoc, so the pages were not linted"
fi

# ---- examples: those that begin with an #include are whole files ----

compiled=0
for page in $pages; do
    awk -v prefix="$work/example-${page##*/}-" '
        /^\.Bd/ { inside = 1; n++; next }
        /^\.Ed/ { inside = 0; next }
        inside { gsub(/\\e/, "\\"); print >(prefix n ".c") }' "$page"
done
for file in "$work"/example-*.c; do
    head -n 1 "$file" | grep -q '^#include' || continue
    $CC -std=c11 -Wall -Wextra -Wpedantic -Werror -I sdk -fsyntax-only \
        "$file" || wrong "$(basename "$file"): the example does not compile"
    compiled=$((compiled + 1))
done
[ $compiled -gt 3 ] || wrong "only $compiled examples were compiled"

# ---- tables of options ----

for page in $(grep -l '^\.\\" table: ' $pages); do
    owner=$(sed -n 's/^\.\\" table: //p' "$page")
    # A transport that was not built has no table to compare with.
    "$top_builddir/tools/weir" options "$owner" >/dev/null 2>&1 || continue
    sh doc/man/tables.sh "$top_builddir/tools/weir" "$page" >"$work/page"
    diff "$page" "$work/page" ||
        wrong "$page: the options have changed; run: make update-manual"
done
exit $failed
