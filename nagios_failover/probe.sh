# What one ssh round trip brings from the other Nagios host, as `key value` lines. Plain POSIX sh, read from standard input
# by the maintenance account's `sh -s`; nothing of ours is needed on that host. remote.py puts these lines before it:
#   nagios_cfg='/etc/nagios4/nagios.cfg'   state='/var/lib/nagios-failover'
# (nagios_cfg='': the usual places; tests: proc='/nowhere'). It changes nothing.

LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
unset COLUMNS # ps would cut its lines there
proc=${proc:-/proc}

say() { printf '%s\n' "$*"; }

# Is the file there? 0 yes, 1 no (proved: its directory can be entered), 2 cannot tell.
there() {
    [ -e "$1" ] && return 0
    (cd "${1%/*}/") 2>/dev/null && return 1
    return 2
}

# Does the PID exist? 0 yes, 1 no (proved), 2 cannot tell. "Not permitted" means that it does.
exists() {
    answer=$(kill -0 "$1" 2>&1) && return 0
    case $answer in
        *[Nn]'o such process'*) return 1 ;;
        *ermitted* | *denied*) return 0 ;;
    esac
    return 2
}

# Who is it? Sets run_state, parent, comm and args; fails where other users' processes are hidden.
identify() {
    run_state= parent= comm= args=
    if [ -r "$proc/$1/stat" ] && read -r line 2>/dev/null <"$proc/$1/stat"; then
        comm=${line#*\(}
        comm=${comm%\)*}
        set -- "$1" ${line##*\) }
        run_state=$2 parent=$3
        args=$(tr '\000\n' '  ' 2>/dev/null <"$proc/$1/cmdline")
        return 0
    fi
    line=$(ps -o stat= -o ppid= -o args= -p "$1" 2>/dev/null) || return 1
    set -f
    set -- $line
    set +f
    [ $# -ge 2 ] || return 1
    run_state=$1 parent=$2
    shift 2
    args=$*
}

settings() {
    awk '
        /^[ \t]*#/ || !/=/ { next }
        {
            key = $0; sub(/[ \t]*=.*/, "", key); sub(/^[ \t]*/, "", key)
            value = $0; sub(/^[^=]*=[ \t]*/, "", value); sub(/[ \t\r]*$/, "", value)
            if (key == "status_file" || key == "lock_file") found[key] = value
        }
        END { print found["status_file"]; print found["lock_file"] }
    ' "$1"
}

# The two blocks at the top; the rest (up to 64 MB) is not read.
status_top() {
    awk '
        /^[ \t]*info[ \t]*[{]/ { block = "info"; next }
        /^[ \t]*programstatus[ \t]*[{]/ { block = "programstatus"; next }
        /^[ \t]*[}]/ { if (block == "programstatus") { print "status.complete 1"; exit } block = ""; next }
        NR > 400 { exit }
        block == "" { next }
        {
            line = $0; sub(/^[ \t]*/, "", line); eq = index(line, "=")
            key = substr(line, 1, eq - 1); value = substr(line, eq + 1)
            if (block == "info" && key == "created") print "status.created " value
            if (block == "programstatus" && (key == "nagios_pid" || key == "program_start" || key == "enable_notifications" \
                || key == "enable_event_handlers" \
                || key == "active_service_checks_enabled" || key == "active_host_checks_enabled")) print "status." key " " value
        }
    ' "$1" 2>/dev/null
}

probe_pid() {
    say "pid $1"
    say "pid.from $2"
    exists "$1"
    case $? in
        1)
            # On systems that hide other users' processes from signals too, everything is "no such process".
            if exists 1; then say 'process missing'; else say 'process hidden'; fi
            return
            ;;
        2)
            say "process unknown $answer"
            return
            ;;
    esac
    if ! identify "$1"; then
        # It may have ended just now.
        exists "$1"
        if [ $? = 1 ]; then say 'process missing'; else say 'process hidden'; fi
        return
    fi
    say 'process exists'
    say "process.state $run_state"
    say "process.comm $comm"
    printf 'process.args %.300s\n' "$args"
    case $parent in
        '' | 0 | 1) ;;
        *) identify "$parent" && printf 'parent.args %.300s\n' "$args" ;;
    esac
}

# No file names a PID: is there a Nagios for this nagios.cfg all the same? It only ever speaks for life: by name alone nothing
# is dead, since workers and the command-file child outlive a kill -9.
probe_name() {
    if ! command -v ps >/dev/null; then
        say 'process no-ps'
        return
    fi
    if ! identify 1 || ! everybody=$(ps -A -o pid= -o ppid= -o args= 2>/dev/null) || [ -z "$everybody" ]; then
        say 'process hidden'
        return
    fi
    found=$(printf '%s\n' "$everybody" | awk -v cfg="$nagios_cfg" '
        $3 ~ /(nagios|naemon|icinga)[^\/]*$/ && $0 !~ / --worker/ && $0 !~ / -[a-zA-Z]*v/ && index($0 " ", " " cfg " ") {
            pid[$1] = 1; parent[$1] = $2
        }
        END { for (p in pid) if (!(parent[p] in pid)) { print p; exit } }
    ')
    if [ -n "$found" ]; then probe_pid "$found" name; else say 'process missing'; fi
}

probe_gone() {
    directory=${status_file%/*}/
    say 'status gone'
    say "status.gone_since $(stat -c %Y "$directory" 2>/dev/null || stat -f %m "$directory" 2>/dev/null)"
    pid=
    if [ -n "$lock_file" ] && [ -r "$lock_file" ]; then
        read -r pid <"$lock_file"
        case $pid in *[!0-9]*) pid= ;; esac
    fi
    if [ -n "$pid" ]; then
        exists "$pid"
        if [ $? != 1 ]; then
            probe_pid "$pid" lock
            return
        fi
    fi
    probe_name
}

probe_nagios() {
    for candidate in /etc/nagios4 /usr/local/nagios/etc /etc/nagios /usr/local/etc/nagios /etc/nagios3 /etc/naemon; do
        [ -z "$nagios_cfg" ] && [ -e "$candidate/nagios.cfg" ] && nagios_cfg=$candidate/nagios.cfg
    done
    nagios_cfg=${nagios_cfg:-/etc/nagios4/nagios.cfg}
    there "$nagios_cfg"
    case $? in
        1) say "status.problem $nagios_cfg does not exist"; return ;;
        2) say "status.problem the directory of $nagios_cfg cannot be entered"; return ;;
    esac
    if [ ! -r "$nagios_cfg" ]; then
        say "status.problem $nagios_cfg is not readable"
        return
    fi
    { read -r status_file; read -r lock_file; } <<END
$(settings "$nagios_cfg")
END
    if [ -z "$status_file" ]; then
        say "status.problem $nagios_cfg names no status_file"
        return
    fi
    case $status_file in /*) ;; *) status_file=${nagios_cfg%/*}/$status_file ;; esac
    case $lock_file in '' | /*) ;; *) lock_file=${nagios_cfg%/*}/$lock_file ;; esac
    say "status.file $status_file"
    there "$status_file"
    case $? in
        1) probe_gone; return ;;
        2) say "status.problem the directory of $status_file cannot be entered"; return ;;
    esac
    if [ ! -r "$status_file" ]; then
        say "status.problem $status_file is not readable"
        return
    fi
    top=$(status_top "$status_file")
    say "$top"
    pid=
    case $top in *'status.nagios_pid '*) pid=${top#*status.nagios_pid } pid=${pid%%[!0-9]*} ;; esac
    case $top in *'status.complete 1'*) ;; *) pid= ;; esac
    if [ -n "$pid" ]; then
        probe_pid "$pid" status
    else
        say "status.problem $status_file is not complete"
    fi
}

probe_file() {
    there "$2"
    case $? in
        1) say "$1.problem there is no $2"; return ;;
        2)
            if [ -d "$state" ]; then say "$1.problem $state cannot be entered"; else say "$1.problem there is no $state"; fi
            return
            ;;
    esac
    if [ ! -r "$2" ]; then
        say "$1.problem $2 is not readable"
        return
    fi
    awk -v name="$1" 'NR > 20 { exit } { print name ": " $0 }' "$2"
}

probe() {
    say 'nagios-failover-probe 1'
    say "now $(date +%s)"
    probe_nagios
    probe_file role "$state/role"
    probe_file paused "$state/paused"
    # When did that host last look at this one? A standby that does not look would not take over.
    [ -e "$state/looks" ] && say "looks $(stat -c %Y "$state/looks" 2>/dev/null || stat -f %m "$state/looks" 2>/dev/null)"
    say 'end'
}

probe </dev/null
