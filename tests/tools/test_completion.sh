#!/bin/sh
# test_completion.sh - completion in bash, zsh and fish, each in its shell; and
# the lists that they are made from have every option that --help has.
set -u
. "$top_srcdir/tests/tools/tools.sh"
scripts=$top_srcdir/tools/completion
PATH=$(cd "$top_builddir/tools" && pwd):$PATH
export PATH

# ---- the lists ----

run 0 --list-options
commands=$(cut -f 1 "$dir/out" | grep '^[a-z]')
[ "$(echo "$commands" | wc -l)" -gt 8 ] || wrong "not all commands are listed"
for command in $commands; do
    says "^$command	-	-	[a-z]"
done
run 0 bench --list-options
for test in $(cut -f 1 "$dir/out" | grep '^[a-z]'); do
    commands="$commands bench,$test"
done
for command in $commands; do
    run 0 $(echo "$command" | tr , ' ') --help
    sed -n 's/^  \(--[a-z-]*\).*/\1/p' "$dir/out" | sort >"$dir/help"
    awk 'length > 80' "$dir/out" | grep . &&
        wrong "$command: --help is wider than a terminal"
    run 0 $(echo "$command" | tr , ' ') --list-options
    cut -f 1 "$dir/out" | grep '^--' | sort >"$dir/listed"
    [ "$command" = bench ] || diff "$dir/help" "$dir/listed" ||
        wrong "$command: --help (<) and --list-options (>) differ"
    grep -v '^[^	]\{1,\}	[^	]\{1,\}	[^	]\{1,\}	[^	]\{1,\}$' \
        "$dir/out" && wrong "$command: a line of --list-options"
done

# expect SHELL WANTED LINE: what completing LINE gives has this word.
expect() {
    shell=$1 want=$2 line=$3
    complete_in_$shell "$line" >"$dir/out" 2>"$dir/err"
    grep -qwF -e "$want" "$dir/out" || wrong "$shell: '$line' gives no '$want'"
}

# unexpected SHELL WORD LINE: it has not.
unexpected() {
    shell=$1 word=$2 line=$3
    complete_in_$shell "$line" >"$dir/out" 2>"$dir/err"
    ! grep -qwF -e "$word" "$dir/out" || wrong "$shell: '$line' gives '$word'"
}

# What a user of that shell would ask.
try() {
    expect $1 device 'weir dev'
    expect $1 --type 'weir cat --ty'
    expect $1 ROUTER 'weir cat --type RO'
    expect $1 json 'weir cat --format js'
    expect $1 forwarder 'weir device f'
    expect $1 --prometheus 'weir stats --prom'
    expect $1 thr 'weir bench th'
    expect $1 --warm 'weir bench thr --wa'
    expect $1 ipc 'weir bench thr --transport ip'
    expect $1 libzmq 'weir bench thr --peer raw li'
    expect $1 --size 'weir bench thr --peer raw --si'
    expect $1 drain 'weir swap d'
    expect $1 DEALER 'weir swap drain folder --type DE'
    expect $1 lmdb 'weir swap list folder --store lm'
    expect $1 --json 'weir check --js'
}

missing() {
    echo "there is no $1, so its completion was not loaded"
}

# ---- bash ----

complete_in_bash() {
    bash --norc -c '
        . "$1/weir"
        complete -p weir >/dev/null || exit 1
        COMP_WORDS=($2)
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _weir
        printf "%s\n" "${COMPREPLY[@]}"' bash "$scripts" "$1"
}
if command -v bash >/dev/null; then
    try bash
    touch "$dir/a-file"
    expect bash "$dir/a-file" "weir bench thr --svg $dir/a-f"
    unexpected bash libzmq 'weir bench thr --size 64 li'
else
    missing bash
fi

# ---- fish ----

complete_in_fish() {
    HOME=$dir XDG_CONFIG_HOME=$dir XDG_DATA_HOME=$dir fish -c '
        source $argv[1]/weir.fish
        complete -C $argv[2]' "$scripts" "$1"
}
if command -v fish >/dev/null; then
    try fish
    touch "$dir/a-file"
    expect fish "$dir/a-file" "weir check $dir/a-f"
    unexpected fish libzmq 'weir bench thr --size 64 li'
else
    missing fish
fi

# ---- zsh: what it would show is caught where it is added ----

complete_in_zsh() {
    zsh -f -c '
        fpath=($1 $fpath)
        autoload -Uz compinit
        compinit -u -D
        [[ $_comps[weir] = _weir ]] || exit 1
        compadd() { shift $((${@[(i)--]})); print -l -- "$@" }
        _describe() { print -l -- ${${(P)2}%%:*} }
        _files() { print files }
        words=(${=2})
        CURRENT=$#words
        _weir' zsh "$scripts" "$1"
}
if command -v zsh >/dev/null; then
    try zsh
    expect zsh files 'weir bench thr --svg x'
else
    missing zsh
fi
exit $failed
