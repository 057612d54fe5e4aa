# What the fence account's sh runs on the other host, after probe.sh's functions. Plain POSIX sh; remote.py puts before it:
#   verb=look|try|mute|kill|release   term=N   flags='notifications=off ...'   commands='DISABLE_NOTIFICATIONS ...'   victim=PID
#   until=EPOCH (of this host's clock; 0: for ever)
# It ends with the probe's lines, so that what came of it is seen in the same round trip.

setting() {
    awk -v wanted="$1" '
        /^[ \t]*#/ || !/=/ { next }
        {
            key = $0; sub(/[ \t]*=.*/, "", key); sub(/^[ \t]*/, "", key)
            value = $0; sub(/^[^=]*=[ \t]*/, "", value); sub(/[ \t\r]*$/, "", value)
            if (key == wanted) found = value
        }
        END { print found }
    ' "$nagios_cfg"
}

# Who gave the order waits no longer than that, and goes on without: an order that is carried out later (a disk that stood still)
# would come after the one that takes it back, and leave a master mute that nobody knows of.
too_late() { [ "$until" -gt 0 ] && [ "$(date +%s)" -gt "$until" ]; }

# On the disk; where sync knows no files it brings all of them there.
to_disk() { sync -- "$1" 2>/dev/null || sync; }

# The override goes first: from then on the suite there keeps Nagios mute by itself, after a restart and a boot, too.
write_override() {
    [ -e "$state/role" ] || { say 'override none'; return; }
    umask 027
    written="$state/.override.fence.$$"
    {
        for flag in $flags; do say "$flag"; done
        say "term=$term"
        say "since=$(date +%s)"
    } >"$written" && to_disk "$written" && ! too_late && mv "$written" "$state/override.fence" && say 'override written' && return
    rm -f "$written"
    say 'override failed'
}

remove_override() {
    [ -e "$state/override.fence" ] || return
    grep -qx "term=$term" "$state/override.fence" && rm -f "$state/override.fence" && say 'override removed'
}

# Nobody may be reading the pipe, and then to open it blocks: it is written by a child that is given two seconds.
tell_nagios() {
    [ -n "$commands" ] || return
    pipe=$(setting command_file)
    case $pipe in /*) ;; *) pipe=${nagios_cfg%/*}/$pipe ;; esac
    [ -p "$pipe" ] || { say "commands failed: $pipe is not there"; return; }
    too_late && { say 'commands failed: it is too late for them'; return; }
    (
        now=$(date +%s)
        for command in $commands; do say "[$now] $command;nagios-failover"; done >"$pipe"
    ) 2>/dev/null &
    writer=$! waited=0
    while kill -0 "$writer" 2>/dev/null && [ "$waited" -lt 20 ]; do
        sleep 0.1 2>/dev/null || sleep 1
        waited=$((waited + 1))
    done
    if kill -9 "$writer" 2>/dev/null; then
        say 'commands failed: nobody reads the command file'
    elif wait "$writer"; then
        say 'commands written'
    else
        say "commands failed: $pipe cannot be written"
    fi
}

# The main process first; then what it has left, which would still finish what it was told. By PID, and only if it is Nagios.
kill_nagios() {
    identify "$victim" || { say 'kill failed: the process cannot be seen'; return; }
    case $comm in *nagios* | *naemon* | *icinga*) ;; *) say "kill failed: PID $victim is $comm"; return ;; esac
    children=$(ps -A -o pid= -o ppid= 2>/dev/null | awk -v parent="$victim" '$2 == parent { print $1 }')
    kill -9 "$victim" $children 2>/dev/null
    waited=0
    while exists "$victim" && [ "$waited" -lt 20 ]; do
        sleep 0.1 2>/dev/null || sleep 1
        waited=$((waited + 1))
    done
    say 'kill done'
}

# May this account do all of it? Changes nothing.
try_all() {
    pipe=$(setting command_file)
    case $pipe in /*) ;; *) pipe=${nagios_cfg%/*}/$pipe ;; esac
    [ -w "$pipe" ] || say "failed: $pipe is not writable"
    [ ! -e "$state/role" ] || [ -w "$state" ] || say "failed: $state is not writable"
    [ "$victim" = 0 ] || kill -0 "$victim" 2>/dev/null || say "failed: PID $victim may not be ended"
}

say 'nagios-failover-fence 1'
say "interval $(setting status_update_interval)"
case $verb in
mute) write_override; tell_nagios ;;
kill) kill_nagios ;;
try) try_all ;;
release) remove_override; tell_nagios ;;
esac
say "fenced.at $(date +%s)"
probe </dev/null
