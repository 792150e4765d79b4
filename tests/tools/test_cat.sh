#!/bin/sh
# test_cat.sh - weir cat in pairs: what one sends the other shows, over every
# format and pattern; counts, timeouts, errors and exit codes.
set -u
. "$top_srcdir/tests/tools/tools.sh"
number=0

# A new address each time, in $url.
fresh() {
    number=$((number + 1))
    url=ipc://$dir/$number
}

# listen ARGUMENT...: a second weir cat, whose output goes to $dir/heard.
listen() {
    "$weir" cat --timeout 20 "$@" >"$dir/heard" 2>"$dir/heard.err" &
    listener=$!
}

# heard WHAT CODE TEXT: how the second one ended, and what it showed.
heard() {
    wait "$listener"
    code=$?
    [ $code = "$2" ] ||
        wrong "$1: the other side: exit code $code: $(cat "$dir/heard.err")"
    [ "$(cat "$dir/heard")" = "$3" ] ||
        wrong "$1: the other side showed: $(cat "$dir/heard")"
}

# talk WHAT CODE TEXT ARGUMENT...: the first one, with $input for its input.
input=
talk() {
    what=$1 want=$2 text=$3
    shift 3
    said=$(printf "$input" | "$weir" cat --timeout 20 "$@" 2>"$dir/err")
    code=$?
    [ $code = "$want" ] ||
        wrong "$what: exit code $code, not $want: $(cat "$dir/err")"
    [ "$said" = "$text" ] || wrong "$what: showed: $said"
}

# ---- formats ----

fresh
listen --type pull --bind "$url" --count 4
input='one\ntwo\n\nfour' talk text 0 '' --type PUSH --connect "$url" --send -
heard text 0 'one
two

four'

fresh
listen --type PULL --bind "$url" --count 1 --format json
talk 'json in and out' 0 '' --type PUSH --connect "$url" --format json \
    --send '{"frames": ["a\u00e4\t", {"base64": "AP8="}, ""]}'
heard 'json in and out' 0 '{"frames": ["aä\t", {"base64": "AP8="}, ""]}'

fresh
listen --type PULL --bind "$url" --count 2 --format hex
input='{"frames": ["A"]}\n \n{"frames": ["", "BC"]}\n' \
    talk 'json to hex' 0 '' --type PUSH --connect "$url" --format json --send -
heard 'json to hex' 0 '41
- 4243'

fresh
listen --type PULL --bind "$url" --count 1
input='00ff 41 -\n' talk 'hex to text' 0 '' --type PUSH --connect "$url" \
    --format hex --send -
heard 'hex to text' 0 '\x00\xff	A	'

fresh
dd if=/dev/urandom of="$dir/octets" bs=1000 count=300 2>/dev/null
"$weir" cat --type PULL --bind "$url" --count 1 --format raw --timeout 20 \
    >"$dir/heard" &
listener=$!
"$weir" cat --type PUSH --connect "$url" --format raw --send - --timeout 20 \
    <"$dir/octets" || wrong "raw: exit code $?"
wait "$listener" || wrong "raw: the other side: exit code $?"
cmp "$dir/octets" "$dir/heard" || wrong "raw: other octets"

# ---- patterns ----

fresh
listen --type rep --bind "$url" --count 3 --reply pong
input='a\nb\nc\n' talk 'REQ and REP' 0 'pong
pong
pong' --type REQ --connect "$url" --send -
heard 'REQ and REP' 0 'a
b
c'

fresh
listen --type xrep --bind "$url" --echo --count 2
talk 'REQ and XREP' 0 'hello
hello' --type REQ --connect "$url" --send hello --count 2
wait "$listener" || wrong "REQ and XREP: the other side: exit code $?"

fresh
listen --type sub --connect "$url" --subscribe a --subscribe c --count 3
input='a1\nb1\nc1\na2\n' talk 'PUB to SUB' 0 '' --type pub --bind "$url" --send -
heard 'PUB to SUB' 0 'a1
c1
a2'

fresh
listen --type xsub --connect "$url" --subscribe a --count 1
input='b\na\n' talk 'XPUB to XSUB' 0 '\x01a' --type xpub --bind "$url" --send - \
    --count 1
heard 'XPUB to XSUB' 0 a

fresh
listen --type pair --bind "$url" --echo --count 2
input='x\ny\n' talk 'PAIR and PAIR' 0 'x
y' --type pair --connect "$url" --send - --count 2
heard 'PAIR and PAIR' 0 'x
y'

fresh
second=$url-too
listen --type pull --bind "$url" "$second" --count 2 --format json
talk 'two endpoints' 0 '' --type push --connect "$url" --send same
talk 'two endpoints' 0 '' --type push --connect "$second" --send same
heard 'two endpoints' 0 '{"frames": ["same"]}
{"frames": ["same"]}'

# ---- ends ----

refused 'received 0 of 1' 3 cat --type pull --bind "$url" --count 1 \
    --timeout 0.2
refused 'sent 0 of 1' 3 cat --type push --connect "$url" --send x --timeout 0.2
refused "no peer: $url: cannot connect" 3 cat --type push --connect "$url" \
    --send x --timeout 0.2
refused 'heard 0 of 1' 3 cat --type req --connect "$url" --send x --timeout 0.2
refused 'sent 0 of 1' 3 cat --type pub --bind "$url" --send x --timeout 0.2
talk 'timeout without a count' 0 '' --type pull --bind "$url" --timeout 0.2

for signal in INT TERM; do
    fresh
    listen --type pull --bind "$url"
    talk "until SIG$signal" 0 '' --type push --connect "$url" --send hello
    while ! [ -s "$dir/heard" ]; do
        kill -0 "$listener" || break
    done
    kill -s $signal "$listener"
    heard "until SIG$signal" 0 hello
done

# Standard input that is closed is not a connection that happens to have its
# number.
fresh
"$weir" cat --type push --connect "$url" --timeout 20 --send - \
    <&- 2>"$dir/err" && wrong "a closed standard input: exit code 0"
grep -q 'standard input' "$dir/err" || wrong "closed input: $(cat "$dir/err")"

# ---- what is wrong ----

refused '--type is missing' 2 cat
refused '--type pusch' 2 cat --type pusch --bind "$url"
refused '--bind URL or' 2 cat --type pull
refused 'want raw, text' 2 cat --type pull --bind "$url" --format xml
refused 'does not send' 2 cat --type pull --bind "$url" --send x
refused 'only sends' 2 cat --type push --bind "$url"
refused 'one of --send' 2 cat --type pair --bind "$url" --send x --echo
refused '--count 0' 2 cat --type pull --bind "$url" --count 0
refused 'name=value' 2 cat --type pull --bind "$url" --option linger
refused '--send: it can be given only once' 2 cat --type push --connect "$url" --send a --send b
refused 'no-such' 2 cat --type pull --bind "$url" --option no-such=1
refused 'soon' 2 cat --type pull --bind "$url" --option linger=soon
refused 'column 13' 2 cat --type push --bind "$url" --format json \
    --send '{"frames": [1]}'
refused 'nowhere' 1 cat --type pull --bind nowhere
refused 'nosuch' 1 cat --type pull --connect nosuch://x

fresh
listen --type pull --bind "$url" --count 1
input='{"frames": ["good"]}\n{"frames": ["bad]}\n' \
    talk 'bad json' 1 '' --type push --connect "$url" --format json --send -
grep -q 'line 2, column 13' "$dir/err" || wrong "bad json: $(cat "$dir/err")"
heard 'bad json' 0 good

exit $failed
