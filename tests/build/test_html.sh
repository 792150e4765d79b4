#!/bin/sh
# test_html.sh - every page of the manual and every recipe is a page of
# `make html`, none has a dead link or a missing anchor, and the index leads to
# all of them.
. "$top_srcdir/tests/build/html.sh"
failed=0

wrong() {
    echo "$*"
    failed=1
}

# links FILE: what it refers to, one a line.
links() {
    tr '\n' ' ' <"$1" | grep -oE '(href|src)="[^"]*"' | sed 's/.*="//; s/"$//'
}

# check FILE: each of its links leads somewhere.
check() {
    links "$1" | sort -u | while read -r link; do
        case $link in
        '#'*) ;;
        https://man7.org/linux/man-pages/man[1-8]/*.html | https://rfc.zeromq.org/)
            continue ;;
        *:*) echo "$1: a link to elsewhere: $link"; continue ;;
        esac
        target=${link%%#*}
        target=${target:-$1}
        [ -s "$target" ] || { echo "$1: dead link: $link"; continue; }
        case $link in
        *#*) tr '\n' ' ' <"$target" | grep -qF "id=\"${link#*#}\"" ||
            echo "$1: missing anchor: $link" ;;
        esac
    done
}

cd "$top_srcdir" || exit 1
for page in doc/man/*.[137] doc/recipes/*.7; do
    [ -s "$pages/${page##*/}.html" ] || wrong "there is no html of $page"
    links "$pages/index.html" | grep -qxF "${page##*/}.html" ||
        wrong "the index does not lead to $page"
done
for page in doc/recipes/weir_recipe_*.7; do
    name=$(basename "${page##*/weir_recipe_}" .7)
    links "$pages/${page##*/}.html" | grep -qxF "$name.svg" ||
        wrong "$page has no diagram"
done
cd "$pages" || exit 1
for page in *.html; do
    check "$page"
    grep -q '</html>' "$page" || echo "$page: is not whole"
done >"$work/dead"
[ ! -s "$work/dead" ] || { cat "$work/dead"; failed=1; }

# The checker is able to find something.
printf '<a href="weir.7.html#nowhere">x</a><a href="no.html">y</a></html>' \
    >"$pages/bad.html"
[ "$(check bad.html | wc -l)" = 2 ] || wrong "the link checker finds nothing"
exit $failed
