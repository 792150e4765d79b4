#!/bin/sh
# test_packages.sh - each plugin of the tree, and each alias, is named where the
# library says which package to install, and no other is.
set -u
source=$top_srcdir/core/plugin_search.c
failed=0

wrong() {
    echo "FAILED: $*"
    failed=1
}

# Each plugin has a folder, and is a package of its own; an alias is in that of
# the plugin that it stands for.
plugins=$(cd "$top_srcdir/plugins" && for folder in *_*/; do
    plugin=${folder%/}
    echo "$plugin $plugin"
    sed -n 's,^plugin_aliases .*/\([a-z_]*\)\.alias$,\1,p' \
        "$plugin/module.am" | sed "s/\$/ $plugin/"
done)
rows=$(sed -n 's/^ *{"\([a-z_]*\)", "\(weir-[a-z-]*\)"},.*/\1 \2/p' "$source")

want=$(echo "$plugins" | while read -r stem plugin; do
    echo "$stem weir-$(echo "$plugin" | tr _ -)"
done | sort)
[ "$(echo "$want" | wc -l)" -ge 6 ] || wrong "no plugins in plugins: $want"
[ "$want" = "$(echo "$rows" | sort)" ] ||
    wrong "core/plugin_search.c has
$rows
and not
$want"
exit $failed
