#!/bin/sh
# tables.sh WEIR PAGE - write a page with its option tables as the command
# WEIR has them.  A table stands between two comments in the page.
set -eu
weir=$1
page=$2

# What is the rule in a page is not said for each option; long lines are cut.
table() {
    "$weir" options --mdoc "$1" | sed -e '/^\.Ss /d' -e '/^Types: all\.$/d' \
        -e '/^Set on: URL\.$/d' -e '/^Set on: socket, URL\.$/d' | awk '
        /^\./ { print; next }
        {
            line = $1
            for (i = 2; i <= NF; i++)
                if (length(line) + 1 + length($i) > 78) {
                    print line
                    line = $i
                } else
                    line = line " " $i
            print line
        }'
}

inside=no
while IFS= read -r line; do
    case $line in
    '.\" table: '*)
        printf '%s\n' "$line"
        table "${line##* }"
        inside=yes
        ;;
    '.\" end of table')
        inside=no
        ;;
    esac
    [ $inside = yes ] || printf '%s\n' "$line"
done <"$page"
