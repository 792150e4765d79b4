# Completion of weir for fish.  The command itself says what there is, so this
# knows no option by name: a line for each has its name, its value, the words
# that the value can be, and what it is for, with tabs between and - for none.

function __weir_complete
    set -l words (commandline -opc)
    set -l given $words[2]

    # bench has options for each of its tests
    if test "$given" = bench
        set -a given $words[3]
    end
    set -l lines ($words[1] $given --list-options 2>/dev/null)
    # the option before the cursor, which may take several values
    set -l at (count $words)
    while test $at -gt 1; and not string match -q -- '--*' $words[$at]
        set at (math $at - 1)
    end
    for line in $lines
        set -l part (string split \t -- $line)
        if test "$part[1]" != "$words[$at]" -o "$part[2]" = -
            continue
        end
        if test $at -lt (count $words)
            if string match -q -- '*...' $part[2]; and test "$part[3]" != -
                string split ' ' -- $part[3]
            end
            continue
        end
        if test "$part[3]" != -
            string split ' ' -- $part[3]
        else
            __fish_complete_path (commandline -ct)
        end
        return
    end
    for line in $lines
        set -l part (string split \t -- $line)
        if test "$part[4]" = -
            echo $part[1]
        else
            printf '%s\t%s\n' $part[1] $part[4]
        end
    end
    # what is no option of a command may be a file
    if set -q words[2]; and not string match -q -- '-*' (commandline -ct)
        __fish_complete_path (commandline -ct)
    end
end

complete -c weir -f -a '(__weir_complete)'
