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
    for line in ($words[1] $given --list-options 2>/dev/null)
        set -l part (string split \t -- $line)
        if test "$part[1]" = "$words[-1]" -a "$part[2]" != -
            if test "$part[3]" != -
                string split ' ' -- $part[3]
            else
                __fish_complete_path (commandline -ct)
            end
            return
        end
    end
    for line in ($words[1] $given --list-options 2>/dev/null)
        set -l part (string split \t -- $line)
        printf '%s\t%s\n' $part[1] $part[4]
    end
end

complete -c weir -f -a '(__weir_complete)'
