# recipe.sh - a recipe's program is built, and its commands are run, as its
# manual page says; they print what the page says.
#
# Sourced.
. "$top_srcdir/tests/build/commands.sh"

# literal N PROGRAM PAGE: the block of a page that begins with the compilation
# of a program (1), or the one behind it, which has what it prints (2).
literal() {
    awk -v n="$1" -v begin="cc -o $2 " '
        /^\.Bd/ { inside = 1; fresh = 1; next }
        /^\.Ed/ { inside = 0; next }
        !inside { next }
        fresh { fresh = 0; block = index($0, begin) == 1 ? 1 : block + !!block }
        block == n {
            sub(/^\\&/, "")
            gsub(/\\e/, "\\")
            gsub(/\\-/, "-")
            print
        }' "$3" | own_ports
}

# recipe PAGE PROGRAM
recipe() {
    page=$top_srcdir/doc/recipes/weir_recipe_$1.7
    literal 1 "$2" "$page" >"$work/commands"
    literal 2 "$2" "$page" >"$work/expected"
    [ -s "$work/commands" ] && [ -s "$work/expected" ] ||
        { echo "$page has no commands for $2"; exit 1; }
    install_here
    cp "$top_srcdir"/doc/recipes/*.[ch] "$work/here"
    run_block "$work/commands" >"$work/printed" ||
        { cat "$work/printed"; echo "the commands failed"; exit 1; }
    diff "$work/expected" "$work/printed" || wrong "the page (<) says otherwise"
    exit $failed
}

# needs WHAT WHY: a test that cannot be run is skipped, not passed.
needs() {
    case " $WEIR_HAVE " in
    *" $1 "*) ;;
    *) echo "skipped: $2"; exit 77 ;;
    esac
}

# An interface that is up and can multicast, with a route to the group.
needs_multicast() {
    needs transport_pgm "configure found no openpgm"
    weir=$top_builddir/tools/weir
    "$weir" cat --type PUB --connect "epgm://;239.192.77.8:5570" \
        --send probe >"$work/probe" 2>&1 && return
    cat "$work/probe"
    grep -q 'multicast\|not there\|route' "$work/probe" || exit 1
    echo "skipped: this machine has no interface that can multicast"
    exit 77
}
