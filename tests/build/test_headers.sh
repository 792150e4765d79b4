#!/bin/sh
# test_headers.sh - each public header compiles alone, without the compiler's
# extensions and without config.h, as C11 and, where there is a C++ compiler,
# as C++11.
set -u
failed=0

compile() {
    language=$1
    standard=$2
    shift 2
    echo "#include <weir/$header>" | "$@" -x "$language" "-std=$standard" \
        -Wall -Wextra -Wpedantic -Werror -I "$top_srcdir/sdk" \
        -fsyntax-only - || { echo "$header is not $standard"; failed=1; }
}

for path in "$top_srcdir"/sdk/weir/*.h; do
    header=$(basename "$path")
    compile c c11 $CC
    ! c++ --version >/dev/null 2>&1 || compile c++ c++11 c++
done
exit $failed
