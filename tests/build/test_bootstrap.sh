#!/bin/sh
# test_bootstrap.sh - what bootstrap makes of its arguments, without building:
# in a folder where a weir seems to be built already.
. "$top_srcdir/tests/build/commands.sh"

# says WHAT STATUS ARGUMENT...: what bootstrap says to these.
says() {
    what=$1 want=$2
    shift 2
    said=$("$work/bootstrap" "$@" 2>&1)
    status=$?
    [ $status = "$want" ] || wrong "$*: exit status $status, not $want"
    case $said in
    *"$what"*) ;;
    *) wrong "$*: no '$what' in: $said" ;;
    esac
}

mkdir "$work/tools"
ln -s "$(cd "$top_srcdir" && pwd)/doc" "$work/doc"
cp "$top_srcdir/bootstrap" "$work"
cp "$top_builddir/weir.pc" "$work"

says "nothing is built yet" 1 shell true
printf '#!/bin/sh\necho "weir was asked: $*"\n' >"$work/tools/weir"
chmod +x "$work/tools/weir"

for help in help --help -h "check --help" "demo --disable-shared -h" \
    "shell --help"; do
    says "usage: ./bootstrap" 0 $help
done
says "weir was asked: bench --help" 0 shell weir bench --help
says "frob: no such command" 2 frob

# A command of the caller's is run where the caller is.
[ "$(cd / && "$work/bootstrap" shell pwd)" = / ] || wrong "shell: another folder"
exit $failed
