# commands.sh - run what a page tells its readers to type, as it is written
# there: `cc`, `pkg-config`, `weir` and the library are those of this build.
#
# Sourced.  $work is a folder of the test's own; what failed makes it exit.
set -u
work=$(mktemp -d)
group=
trap 'status=$?; end_group; rm -rf "$work"; exit $status' EXIT
trap 'exit 1' HUP INT TERM

wrong() {
    echo "$*"
    failed=1
}
failed=0

# install_here: a reader who has weir installed.  Links keep spaces in the
# path of the build out of what pkg-config says.
install_here() {
    [ -n "$TIMEOUT" ] || { echo "skipped: there is no timeout"; exit 77; }
    sanitize=
    [ "${WEIR_SANITIZE:-no}" = no ] || sanitize=-fsanitize=$WEIR_SANITIZE
    mkdir "$work/bin" "$work/here"
    ln -s "$top_builddir/core/.libs" "$work/lib"
    ln -s "$top_srcdir/sdk" "$work/include"
    sed -e "s|^libdir=.*|libdir=$work/lib|" \
        -e "s|^includedir=.*|includedir=$work/include|" \
        "$top_builddir/weir.pc" >"$work/bin/weir.pc"
    printf '#!/bin/sh\nexec %s -Wall -Wextra -Wpedantic -Werror %s "$@"\n' \
        "$CC" "$sanitize" >"$work/bin/cc"
    printf '#!/bin/sh\nexec "%s" "$@"\n' "$top_builddir/tools/weir" \
        >"$work/bin/weir"
    chmod +x "$work/bin/cc" "$work/bin/weir"
    export PATH="$work/bin:$PATH"
    export PKG_CONFIG_PATH="$work/bin${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
    export LD_LIBRARY_PATH="$work/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
}

# Ports 5500 to 5599 of a page are ports of this test's own.
own_ports() {
    sed "s/:55\([0-9][0-9]\)\([^0-9]\|\$\)/:$((100 + $$ % 220))\1\2/g"
}

# run_block FILE: its lines are typed into one shell, in the folder
# $work/here, and end at the first that fails.  Shows what they print.
# Whatever they leave running ends with them: `timeout` makes them a group of
# processes.
run_block() {
    cd "$work/here" || exit 1
    "$TIMEOUT" -k 5 120 sh -eu "$1" </dev/null &
    group=$!
    cd "$work" || exit 1
    wait $group
    status=$?
    end_group
    return $status
}

end_group() {
    [ -z "$group" ] || kill -- -"$group" 2>/dev/null
    group=
}
