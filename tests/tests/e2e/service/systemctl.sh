#!/bin/sh
# A user's systemd as far as `sm` knows it. Beside it lie: `calls` (what was asked), `variables` (of its
# environment), `no-bus` (it can't be reached), `broken` (it refuses to start anything), `idle` (it says that it
# did, and does not), `pretend` (the version that the daemon takes for its own).
here=$(dirname "$0")
units=$HOME/.config/systemd/user
name=skillmeatd
printf '%s\n' "$*" >>"$here/calls"
env | sed 's/=.*//' | sort >"$here/variables"
if [ -e "$here/no-bus" ]; then
    echo 'Failed to connect to bus: No medium found' >&2
    exit 1
fi
[ "$1 $2" = '--user --no-ask-password' ] || exit 64
shift 2
# A process that has ended may wait to be reaped, which is no life.
alive() { [ -s "$here/pid" ] && readlink "/proc/$(cat "$here/pid")/exe" >/dev/null; }
stop() {
    if alive; then
        kill -TERM "$(cat "$here/pid")" && kill -CONT "$(cat "$here/pid")"
        while alive; do sleep 0.02; done
    fi
    rm -f "$here/pid"
}
start() {
    alive && return 0
    [ -e "$here/idle" ] && return 0
    if [ -e "$here/broken" ] || ! [ -e "$units/$name.service" ]; then
        echo "Failed to start $name.service: Unit has a bad unit file setting." >&2
        exit 1
    fi
    # What the last one said is no word of this one.
    : >"$here/said"
    if [ -s "$here/pretend" ]; then
        SKILLMEAT_PRETEND_VERSION=$(cat "$here/pretend")
        export SKILLMEAT_PRETEND_VERSION
    fi
    command=$(sed -n 's/^ExecStart=//p' "$units/$name.service")
    export here
    eval "setsid sh -c 'echo \$\$ >\"\$here/pid\"; exec \"\$@\"' - $command" >"$here/said" 2>&1 </dev/null &
    until grep -q serving "$here/said"; do
        sleep 0.02
        if [ -s "$here/pid" ] && ! alive; then
            echo "Job for $name.service failed because the control process exited with error code." >&2
            exit 1
        fi
    done
}
case $1 in
show)
    case $* in
    *Version*) echo 252 ;;
    *)
        if [ -e "$here/loaded" ]; then echo LoadState=loaded; else echo LoadState=not-found; fi
        if alive; then printf 'ActiveState=active\nSubState=running\n'; else printf 'ActiveState=inactive\nSubState=dead\n'; fi
        if [ -e "$here/enabled" ]; then echo UnitFileState=enabled; else echo UnitFileState=disabled; fi
        echo NeedDaemonReload=no
        ;;
    esac
    ;;
daemon-reload) if [ -e "$units/$name.service" ]; then : >"$here/loaded"; else rm -f "$here/loaded"; fi ;;
reset-failed) ;;
enable)
    : >"$here/enabled"
    case $* in *--now*) start ;; esac
    ;;
disable)
    rm -f "$here/enabled"
    stop
    ;;
start) start ;;
stop) stop ;;
restart) stop && start ;;
*) exit 64 ;;
esac
