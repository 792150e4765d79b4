#!/bin/sh
# test_linkage.sh - what libweir and the plugins bring along and call.
# libweir needs libc, libltdl and libuuid alone and exports weir_ names only; a
# plugin needs libc alone (and what it is for, if that is a library), nothing of
# libweir, and exports one name; neither can end the process or print.
set -u
failed=0

wrong() {
    echo "$*"
    failed=1
}

# The libraries that a shared object names, less those of libc itself.
needed() {
    $OBJDUMP -p "$1" | awk '$1 == "NEEDED" { print $2 }' |
        grep -Ev '^(libc|libpthread|libdl|librt|ld-[a-z0-9_-]+)[.]' |
        grep -Ev '^lib([alt]san|ubsan|gcc_s|clang_rt)[.]'
}

# The names that a file uses and does not define.
undefined() {
    $NM -u "$1" | awk '$1 == "U" { sub(/@.*/, "", $2); print $2 }' | sort -u
}

exported() {
    $NM -D --defined-only "$1" | awk '$2 != "A" { print $3 }'
}

# A process ends, or a terminal speaks, through one of these.
check_calls() {
    calls=$(undefined "$1" | grep -Ex '(__)?(abort|_?exit|_Exit|quick_exit|assert|assert_fail|assert_rtn|v?f?printf(_chk)?|f?puts|f?putc|putchar|perror|v?warnx?|v?errx?|psignal|v?syslog)')
    [ -z "$calls" ] || wrong "$1 calls:" $calls
}

check_needs() {
    others=$(needed "$1" | grep -Ev "$2")
    [ -z "$others" ] || wrong "$1 needs:" $others
}

check_library() {
    check_calls "$1"
    check_needs "$1" '^lib(ltdl|uuid)[.]'
    others=$(exported "$1" | grep -v '^weir_')
    [ -z "$others" ] || wrong "$1 exports:" $others
}

check_plugin() {
    check_calls "$1"
    case $1 in
    */transport_pgm.so) check_needs "$1" '^lib(pgm|m)[-.]' ;;
    */store_lmdb.so) check_needs "$1" '^liblmdb[-.]' ;;
    *) check_needs "$1" '^$' ;;
    esac
    name=$(basename "$1" .so)_LTX_weir_plugin_v1
    [ "$(exported "$1")" = "$name" ] ||
        wrong "$1 exports, instead of $name:" $(exported "$1")
    inside=$(undefined "$1" | grep '^weir_')
    [ -z "$inside" ] || wrong "$1 wants of libweir:" $inside
}

[ "$(uname -s)" = Linux ] || { echo "knows only ELF on Linux"; exit 77; }

cd "$top_builddir" || exit 99
if [ -e core/.libs/libweir.so ]; then
    check_library core/.libs/libweir.so
    for plugin in plugins/*/.libs/*.so; do
        [ ! -e "$plugin" ] || check_plugin "$plugin"
    done
else
    check_calls core/.libs/libweir.a
fi
exit $failed
