#!/bin/sh
# build.sh SOURCE OUT VERSION - the manual, the recipes and the diagrams of the
# tree SOURCE as static pages in the folder OUT, which is made anew.
# MANDOC names the program mandoc.
set -eu
source=$1
out=$2
version=$3
mandoc=${MANDOC:-mandoc}
pages=$(cd "$source" && echo doc/man/*.[137] doc/recipes/*.7)

escape() {
    sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/>/\&gt;/g' "$@"
}

# The names that a page is about.
names() {
    sed -n '/^\.Sh NAME/,/^\.Nd/s/^\.Nm //p' "$source/$1" | tr -d ' ,'
}

summary() {
    sed -n 's/^\.Nd //p' "$source/$1" | head -n 1 | escape | tr -d '\\'
}

# head TITLE: what each page begins with.
head_of() {
    cat <<END
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$1 - weir</title>
<link rel="stylesheet" href="style.css">
</head>
<body>
<header><a href="index.html">weir</a> <a href="weir_choosing.7.html">which
pattern?</a> <a href="weir_recipes.7.html">recipes</a>
<a href="weir_options.7.html">options</a> <a href="weir.7.html">manual</a></header>
<h1 class="page">$1</h1>
END
}

foot() {
    printf '<footer>weir %s</footer>\n</body>\n</html>\n' "$version"
}

# figure NAME: a diagram, with its own description for those who cannot see it.
figure() {
    printf '<figure><img src="%s.svg" alt="%s"></figure>\n' "$1" \
        "$(sed -n 's|.*<desc[^>]*>\(.*\)</desc>|\1|p' \
            "$source/doc/diagrams/$1.svg" | sed 's/"/\&quot;/g')"
}

# listing FILE: a file of the tree as it is.
listing() {
    name=${1##*/}
    printf '<section class="Sh">\n<h1 class="Sh" id="%s">%s</h1>\n<pre>' \
        "$name" "$name"
    escape "$source/$1"
    printf '</pre>\n</section>\n'
}

# The diagram of a page, if it has one.
diagram_of() {
    case $1 in
    doc/man/weir.7) echo way ;;
    doc/man/weir_choosing.7) echo choosing ;;
    doc/recipes/weir_recipe_*) basename "${1##*/weir_recipe_}" .7 ;;
    esac
}

# The programs of a recipe.
programs_of() {
    case $1 in
    doc/recipes/weir_recipe_*)
        sed -n 's/^cc -o [a-z_]* \([a-z_]*\.c\) .*/\1/p' "$source/$1" ;;
    doc/recipes/weir_recipes.7) echo recipe.h ;;
    esac
}

# What mandoc makes of a page: its table of contents marked as one, a figure
# behind its name, tables in boxes that scroll, and what is about several
# functions found by the name of each.
body() {
    figure=$(diagram_of "$1")
    [ -z "$figure" ] || figure=$(figure "$figure")
    (cd "$out" && "$mandoc" -T html -O "fragment,toc,man=$links" "$source/$1") |
        sed -f "$out/aliases.sed" | FIGURE=$figure awk '
        /^<table class="head">/, /^<\/table>/ { next }
        /^<table class="foot">/, /^<\/table>/ { next }
        /TABLE OF CONTENTS/ { print "<nav class=\"toc\">"; toc = 1; next }
        toc && /^<\/ul>/ { print $0 "</nav>"; toc = 0; next }
        /^<table/ { print "<div class=\"scroll\">" }
        { print }
        /^<\/table>/ { print "</div>" }
        /^<\/section>/ && !named { print ENVIRON["FIGURE"]; named = 1 }'
}

page() {
    file=${1##*/}
    {
        head_of "${file%.*}(${file##*.})"
        body "$1"
        for program in $(programs_of "$1"); do
            listing "doc/recipes/$program"
        done
        foot
    } >"$out/$file.html"
}

# What those who write plugins read beside weir_plugin(7).
plugin_pages() {
    {
        head_of "The smallest plugin"
        listing sdk/template/README
        for file in "$source"/sdk/template/*.c; do
            listing "sdk/template/${file##*/}"
        done
        foot
    } >"$out/template.html"
    {
        head_of "Headers for plugins"
        for header in plugin transport store; do
            listing "sdk/weir/$header.h"
        done
        foot
    } >"$out/headers.html"
}

# entries PAGE...: lines of the index.
entries() {
    echo '<dl class="index">'
    for entry in "$@"; do
        file=${entry##*/}
        printf '<dt><a href="%s.html">%s(%s)</a></dt><dd>%s</dd>\n' \
            "$file" "${file%.*}" "${file##*.}" "$(summary "$entry")"
    done
    echo '</dl>'
}

index() {
    head_of "weir"
    echo '<p>A C library of message sockets: an application sends and receives'
    echo 'whole messages, and the library finds the peers, connects and'
    echo 'reconnects, queues, and counts what it cannot deliver.</p>'
    figure way
    echo '<h2>To begin with</h2>'
    entries doc/man/weir.7 doc/man/weir_choosing.7 doc/man/weir_socket.7 \
        doc/recipes/weir_recipes.7
    echo '<h2>Recipes</h2>'
    entries $(cd "$source" && echo doc/recipes/weir_recipe_*.7)
    echo '<h2>Commands</h2>'
    entries $(cd "$source" && echo doc/man/*.1)
    echo '<h2>Calls</h2>'
    entries $(cd "$source" && echo doc/man/*.3)
    echo '<h2>Options, transports, stores and more</h2>'
    entries $(cd "$source" && ls doc/man/*.7 |
        grep -v -e '/weir\.7' -e _choosing -e _socket -e _plugin)
    echo '<h2>For those who write plugins</h2>'
    entries doc/man/weir_plugin.7
    echo '<dl class="index"><dt><a href="template.html">The smallest' \
        'plugin</a></dt><dd>to copy and rename</dd>'
    echo '<dt><a href="headers.html">Headers for plugins</a></dt>' \
        '<dd>what its functions have to do</dd></dl>'
    foot
}

rm -rf "$out"
mkdir -p "$out"
# mandoc links to a page here if its file exists, else to one of the system.
links='%N.%S.html;https://man7.org/linux/man-pages/man%S/%N.%S.html'
for page in $pages; do
    file=${page##*/}
    : >"$out/$file.html"
    for name in $(names "$page"); do
        [ "$name.${file##*.}" = "$file" ] && continue
        : >"$out/$name.${file##*.}.html"
        echo "s|\"$name\.${file##*.}\.html\"|\"$file.html\"|g"
    done
done >"$out/aliases.sed"
for page in $pages; do
    page "$page"
done
plugin_pages
index >"$out/index.html"
cp "$source"/doc/html/style.css "$source"/doc/diagrams/*.svg "$out"
find "$out" -name '*.html' -size 0 -exec rm {} +
rm "$out/aliases.sed"
