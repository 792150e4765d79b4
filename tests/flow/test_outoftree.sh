#!/bin/sh
# test_outoftree.sh - a plugin that is built outside the tree, against what is
# installed and nothing else, is loaded by its scheme and carries messages.
set -eu
umask 022
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES 2>/dev/null || :
work=$(mktemp -d)
trap 'status=$?; kill $(jobs -p) 2>/dev/null || :; rm -rf "$work"; exit $status' \
    EXIT

fail() {
    echo "$*" >&2
    exit 1
}

for tool in autoreconf pkg-config; do
    command -v "$tool" >/dev/null ||
        { echo "skipped: no $tool, which builds the template"; exit 77; }
done

# ---- install weir into a folder of its own ----

(cd "$top_builddir" && make -s install "DESTDIR=$work/root") \
    >"$work/install.log" 2>&1 || { cat "$work/install.log"; fail "install"; }
pc=$(find "$work/root" -name weir.pc)
weir=$(find "$work/root" -path '*/bin/weir')
template=$(find "$work/root" -path '*/template/configure.ac')
[ -n "$pc" ] && [ -n "$weir" ] && [ -n "$template" ] ||
    fail "weir.pc, weir or the template is not installed"
PKG_CONFIG_PATH=${pc%/*}
PKG_CONFIG_SYSROOT_DIR=$work/root
PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1
libdir=$(PKG_CONFIG_SYSROOT_DIR= PKG_CONFIG_PATH=$PKG_CONFIG_PATH \
    pkg-config --variable=libdir weir)
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_ALLOW_SYSTEM_CFLAGS
LD_LIBRARY_PATH=$work/root$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH

# ---- build the template there, with no path into the tree ----

cp -R "${template%/*}" "$work/plugin"
cd "$work/plugin"
chmod -R u+w .
(autoreconf --install && ./configure --quiet CC="$CC" &&
    make -s install plugindir="$work/plugins") >"$work/plugin.log" 2>&1 ||
    { cat "$work/plugin.log"; fail "the template does not build"; }
unset CPATH C_INCLUDE_PATH
plugin=$work/plugins/transport_loop.so
[ -f "$plugin" ] || fail "no $plugin"
exported=$(${NM:-nm} -D --defined-only "$plugin" | awk '{ print $3 }')
[ "$exported" = transport_loop_LTX_weir_plugin_v1 ] ||
    fail "it exports: $exported"
if ${NM:-nm} -D -u "$plugin" | grep -q ' weir_'; then
    fail "it wants symbols of libweir"
fi

# ---- load it by scheme ----

WEIR_PLUGIN_PATH=$work/plugins
export WEIR_PLUGIN_PATH
cd "$work"

# listening FILE: wait for where a command listens, which it says there.
listening() {
    i=0
    until url=$(sed -n 's/^listening at //p' "$1") && [ -n "$url" ]; do
        i=$((i + 1))
        [ $i -le 600 ] || { cat "$1"; fail "nobody listens"; }
        sleep 0.1
    done
}

# expect WHAT: the file `out` has these lines, in this order.
expect() {
    printf "$1" >expected
    cmp -s expected out || { echo "--- got"; cat out; fail "wanted: $1"; }
}

"$weir" plugins show transport_loop >out || fail "weir plugins show"
grep -q 127.0.0.1 out || { cat out; fail "no summary of transport_loop"; }

"$weir" cat --type REP --bind loop://0 --reply pong --count 2 --timeout 60 \
    >served 2>where &
rep=$!
listening where
printf 'ping\nping again\n' | "$weir" cat --type REQ --connect "$url" \
    --send - --count 2 --timeout 60 >out || fail "REQ"
expect 'pong\npong\n'
wait $rep || fail "REP"
mv served out
expect 'ping\nping again\n'

(printf 'news 1\nweather\nnews 2\n' | "$weir" cat --type PUB \
    --bind 'loop://0?backlog=7' --send - --timeout 60 2>whereto) &
pub=$!
listening whereto
"$weir" cat --type SUB --connect "$url" --subscribe news --count 2 \
    --timeout 60 >heard || fail "SUB"
wait $pub || fail "PUB"
mv heard out
expect 'news 1\nnews 2\n'

# What is wrong is said, with the token.
if "$weir" cat --type PUSH --connect loop://port --send x 2>out; then
    fail "loop://port was taken"
fi
grep -q '"port"' out || { cat out; fail "the error does not name the port"; }

# The conformance suite has no mercy.
"$weir" check --bind-url loop://0 --wildcard-url loop://0 "$plugin" \
    >out 2>&1 || { cat out; fail "weir check"; }
