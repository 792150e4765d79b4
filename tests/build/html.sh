# html.sh - the pages of `make html`, built for a test in the folder $pages.
#
# Sourced.
set -u
[ -n "$MANDOC" ] || { echo "skipped: configure found no mandoc"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
pages=$work/html
MANDOC=$MANDOC sh "$top_srcdir/doc/html/build.sh" "$top_srcdir" "$pages" 0 ||
    { echo "the pages cannot be built"; exit 1; }
