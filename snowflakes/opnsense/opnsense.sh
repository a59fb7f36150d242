#!/bin/sh
# Nightdrop on an OPNsense firewall, or any FreeBSD on ZFS: a full of the whole pool each month, what changed since each
# day, and /conf by itself, which is what a new firewall is set up from.
#
# An incremental goes from the base, the last snapshot of which a mirror has the receipt, to a new one. The new one
# becomes the base only when a mirror has its receipt, and only then the old base is destroyed. So a run that breaks off
# costs nothing: the next one starts from the same base again. Between two runs the base is the only snapshot
# called nightdrop-TIME. (Those of a configuration in another folder are called nightdrop-NUMBER-TIME, and nobody else's.)
#
# ROOT stands before every path of the system, so that tests need no firewall.
set -eu
umask 077
# configd has these in its PATH, cron has not: zfs is in the first, curl in the third.
PATH=$PATH:/sbin:/usr/sbin:/usr/local/bin:/usr/local/sbin

root=${ROOT:-}
here=$(dirname "$0")
folder=${NIGHTDROP_FOLDER:-$root/usr/local/etc/nightdrop}
NIGHTDROP_FOLDER=$folder
export NIGHTDROP_FOLDER

usage() {
    cat <<'END'
usage: opnsense.sh install BUNDLE | run [--delayed] [--full] | conf | zfs [--full]

install  Put Nightdrop into /usr/local/etc/nightdrop, with the bundle that `nightdrop enroll` made, and its action
         into configd: then System, Settings, Cron offers it.
run      Drop conf-full, and the pool unless opnsense.conf says pool=none. --delayed waits for this firewall's own time
         first.
conf     Drop /conf.
zfs      Drop the pool: a full if there is no base, or the last full is a month old; what changed otherwise.
--full   Make a full now.

exit status: 0 done; 1 failed; 2 wrong usage or configuration; 3 done, but not on every mirror
END
}

complain() { # MESSAGE [HINT]
    printf 'nightdrop: error: %s\n' "$1" >&2
    [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
    logger -t nightdrop -p daemon.err -- "$1" 2>/dev/null || :
}

fail() { complain "$@"; exit 1; }

misused() { complain "$@"; exit 2; }


# --- install ---

install() { # BUNDLE
    actions=$root/usr/local/opnsense/service/conf/actions.d
    mkdir -p "$folder" "$actions"
    # What is installed already may be what is run here: then there is only a bundle to be installed.
    if [ -e "$here/../nightdrop.sh" ]; then
        put_script "$here/../nightdrop.sh"
        put_script "$here/opnsense.sh"
        cp "$here/actions_nightdrop.conf" "$actions/actions_nightdrop.conf"
    fi
    "$folder/nightdrop.sh" install "$1"
    if [ ! -e "$folder/opnsense.conf" ]; then
        pool=
        if [ -z "$(pool_of_root)" ]; then
            pool=none
            echo "nightdrop: / is on no ZFS pool, so /conf is backed up alone; $folder/opnsense.conf says so"
        fi
        settings >"$folder/opnsense.conf"
    fi
    [ -n "$root" ] || service configd restart
}

# A shell reads a script while it runs it. So what runs meanwhile goes on with the file that it has.
put_script() { # SCRIPT
    cp "$1" "$folder/${1##*/}.new"
    chmod 700 "$folder/${1##*/}.new"
    mv "$folder/${1##*/}.new" "$folder/${1##*/}"
}

settings() {
    cat <<END
# The pool that is backed up, as a whole; nothing: the one that / is on; none: /conf is backed up alone.
pool=$pool

# Days after which the next full is due.
full_every=30
END
}

read_settings() {
    pool='' full_every=30
    [ ! -r "$folder/opnsense.conf" ] || while IFS= read -r line || [ -n "$line" ]; do
        case $line in
        '' | '#'*) ;;
        pool=*) pool=${line#*=} ;;
        full_every=*) full_every=${line#*=} ;;
        *) misused "$folder/opnsense.conf: no setting: $line" "pool=NAME, full_every=DAYS" ;;
        esac
    done <"$folder/opnsense.conf"
    case $full_every in
    '' | *[!0-9]* | 0?* | ?????*) misused "$folder/opnsense.conf: full_every has to be days, and is \"$full_every\"" ;;
    esac
}

# Which pool, and what is called after it.
find_pool() {
    [ "$pool" != none ] || misused "$folder/opnsense.conf says pool=none" "\`opnsense.sh conf\` drops /conf"
    [ -n "$pool" ] || pool=$(pool_of_root)
    [ -n "$pool" ] || misused "/ is on no ZFS pool, or zfs does not say" \
        "in $folder/opnsense.conf, pool=NAME names one, and with pool=none /conf is backed up alone"
    zfs list -H -o name "$pool" >/dev/null 2>&1 ||
        misused "there is no pool \"$pool\"" "name it in $folder/opnsense.conf: pool=NAME"
    # A kind has no other characters.
    kind=$(printf %s "$pool" | tr '[:upper:]' '[:lower:]' | tr -c '[:lower:][:digit:]' _ | cut -c 1-32)
    memory=$folder/state/zfs.$kind
    # Of another configuration, by its folder: neither may take the other's base for its own, and destroy it.
    ours=nightdrop
    [ "$folder" = "$root/usr/local/etc/nightdrop" ] || ours=nightdrop-$(cd "$folder" && pwd | cksum | cut -d ' ' -f 1)
}

pool_of_root() { zfs list -H -o name "$root/" 2>/dev/null | sed 's,/.*,,'; }


# --- one run at a time, and nothing left behind ---

# Or two would destroy what the other sends, be it for another configuration. Each says first that it is there, and looks
# for others then: of two that begin in one moment both may give way, but never neither.
take_turn() {
    turn=$root/var/run/nightdrop/$kind
    { mkdir -p "${turn%/*}" && echo >"$turn.$$"; } 2>/dev/null ||
        fail "${turn%/*}: cannot be written to" "is the disk full, or read-only?"
    for mark in "$turn".*; do
        owner=${mark##*.}
        if [ "$owner" = $$ ]; then
            continue
        elif is_alive "$owner"; then
            fail "a run is under way already, of the pool: process $owner" "this one was skipped"
        fi
        rm -f "$mark"
    done
}

is_alive() { # PID: and it is a run of ours, not a later process that got its number, after a reboot maybe
    kill -0 "$1" 2>/dev/null &&
        { tr '\000' ' ' <"/proc/$1/cmdline" || ps -o args= -p "$1"; } 2>/dev/null | grep -qF -e "${0##*/}"
}

# In the background, so that a signal is heeded at once, and not when all has been sent.
drop() { # ARGUMENT ...
    "$here/nightdrop.sh" drop "$@" &
    dropping=$!
    drop_status=0
    wait $dropping || drop_status=$?
    dropping=
    return $drop_status
}

interrupted() { # STATUS
    trap '' HUP INT QUIT PIPE TERM
    ending=$1 # mksh forgets it
    # It says so, and heeds no INT, being in the background.
    if [ -n "$dropping" ]; then
        { kill -s TERM "$dropping" && wait "$dropping"; } 2>/dev/null || :
    else
        complain interrupted
    fi
    exit "$1"
}

clean_up() {
    status=$?
    [ -z "$ending" ] || status=$ending
    trap '' HUP INT QUIT PIPE TERM
    trap - EXIT
    [ -z "$pending" ] || destroy "$pending"
    [ -z "$turn" ] || rm -f "$turn.$$"
    exit "$status"
}


# --- the pool ---

backup_pool() { # WISH
    find_pool
    take_turn
    recall_base
    # What runs left that were killed: a pool that is full of it could never be dropped.
    remove_all_but_base
    until
        snapshot=$ours-$(date -u +%Y%m%dT%H%M%SZ)
        ! is_there "$pool@$snapshot"
    do sleep 1; done
    take_snapshot
    choose_type "$1"
    choose_options
    since='' status=0
    if [ "$type" = inc ]; then since=@$base; else full_at=$(date +%s); fi
    drop "$kind-$type" zfs --what "$pool" -- \
        zfs send -R ${raw:+-w} ${skip:+-s} ${since:+-I "$since"} "$pool@$snapshot" || status=$?
    case $status in
    0 | 3) become_base ;;
    esac
    return $status
}

recall_base() {
    base='' full_at=0 raw=
    [ -e "$memory" ] || return 0
    read -r base full_at raw <"$memory" || :
    case $base,$full_at,$raw in
    *,*[!0-9]*,* | *,,* | *,0?*,*) ;;
    "$ours-"????????T??????Z,*, | "$ours-"????????T??????Z,*,-w) return ;;
    esac
    base='' full_at=0 raw=
    complain "$memory does not say what the last base was: making a full of $pool" \
        "is the disk full, or was it? Or is this folder a copy of another configuration's?"
}

choose_type() { # WISH
    type=full
    if [ "$1" = full ] || [ -z "$base" ]; then
        return
    fi
    if is_there "$pool@$base"; then gone=$(lacking "$base" | head -n 1); else gone=$pool; fi
    if [ -n "$gone" ]; then
        complain "$gone@$base, the base of the next incremental, is gone: making a full of $pool instead" \
            "nothing is lost; was it destroyed, or rolled back? Snapshots named nightdrop-TIME are Nightdrop's own"
    elif expr "$snapshot" \< "$base" >/dev/null; then
        complain "the clock is behind $pool@$base, the base of the next incremental: making a full of $pool instead" \
            "see whether the clock is set over the network"
    elif [ $(($(date +%s) - full_at)) -lt $((full_every * 86400)) ]; then
        type=inc
    fi
}

# What of the pool is older than a snapshot of the pool, and lacks it all the same.
#
# If that is the base, it was rolled back, say: zfs send would send it from its beginning without a word, and zfs receive
# refuses that where there are other snapshots of it. If it is the new one, it is being received, or was in part:
# then it has none at all, so it is never looked for among what lacks the base.
lacking() { # SNAPSHOT
    zfs list -H -t filesystem,volume,snapshot -o createtxg,name -r "$pool" | pool=$pool wanted=$1 new=$snapshot awk -F '\t' '
        BEGIN { pool = ENVIRON["pool"]; wanted = ENVIRON["wanted"]; new = ENVIRON["new"] }
        { split($2, part, "@"); made[part[1], part[2]] = $1 }
        part[2] == "" { names[part[1]] }
        END {
            for (name in names) if (!((name, wanted) in made) && made[name, ""] + 0 < made[pool, wanted] + 0)
                if (wanted == new || (name, new) in made) print name
        }'
}

is_there() { zfs list -H -t snapshot -o name "$1" >/dev/null 2>&1; } # SNAPSHOT

# Raw, so that what is encrypted stays so. What follows in the chain is raw from then on, even if nothing is encrypted any
# more: zfs receive refuses what is not, after that.
choose_options() {
    skip=
    [ "$type" = inc ] || raw=
    if zfs list -H -r -o encryption "$pool" 2>/dev/null | grep -qv -e '^off$' -e '^-$'; then raw=-w; fi
    unready=$(lacking "$snapshot" | tr '\n' ' ')
    if [ -n "$unready" ]; then
        complain "not in this backup, because it is being received, or was in part: ${unready% }" \
            "zfs receive -A gives up what is not to be gone on with"
        skip=yes
    fi
}

take_snapshot() {
    pending=$pool@$snapshot
    said=$(zfs snapshot -r "$pending" 2>&1) && return
    pending=''
    fail "$pool@$snapshot: the snapshot cannot be made: $(legible)"
}

# Written down first: if that fails, all stays as it was, and the next run starts from the old base again.
become_base() {
    pending=''
    if { echo "$snapshot $full_at $raw" >"$memory.new" && mv "$memory.new" "$memory"; } 2>/dev/null; then
        base=$snapshot
    else
        complain "$memory: cannot be written, so $pool@$snapshot does not become the base" "is the disk full?"
    fi
    remove_all_but_base
}

# A pool may have blanks in its name, and somebody else's snapshots may begin as ours do.
remove_all_but_base() {
    zfs list -H -t snapshot -o name -d 1 "$pool" | while IFS= read -r one; do
        case $one in
        "$pool@$base") ;;
        "$pool@$ours-"????????T??????Z) destroy "$one" ;;
        esac
    done
}

# Whether that works is no reason to end a run: what stays is tried again by the next.
destroy() { # SNAPSHOT
    said=$(zfs destroy -r "$1" 2>&1 </dev/null) || complain "$1: the snapshot cannot be destroyed now: $(legible)" \
        "held, cloned (zfs list -o name,origin) or still being sent: the next run tries again"
}

legible() { printf %s "$said" | tr '\n' ' ' | cut -c 1-300; }


# --- the command line ---

backup_conf() {
    drop conf-full tar --what /conf -- tar -C "$root/" -cf - conf
}

run() { # WISH
    conf_status=0 pool_status=0
    backup_conf || conf_status=$?
    read_settings
    [ "$pool" = none ] || backup_pool "$1" || pool_status=$?
    # What failed is worse than what is only not everywhere.
    case $conf_status,$pool_status in
    0,* | 3,[123]) exit $pool_status ;;
    *) exit $conf_status ;;
    esac
}

wish=due
verb=${1:-}
[ $# = 0 ] || shift
if [ "$verb" = install ]; then
    [ $# = 1 ] || { usage >&2; exit 2; }
    install "$1"
    exit
fi
for option; do
    case $option in
    --full) wish=full ;;
    --delayed) "$here/nightdrop.sh" delay ;;
    *) usage >&2; exit 2 ;;
    esac
done
dropping='' pending='' ending='' turn=''
trap clean_up EXIT
trap 'interrupted 129' HUP
trap 'interrupted 130' INT
trap 'interrupted 131' QUIT
trap 'interrupted 141' PIPE
trap 'interrupted 143' TERM
case $verb in
run) run "$wish" ;;
# yash ends without clean_up where a function's status ends it.
conf) backup_conf || exit ;;
zfs)
    read_settings
    backup_pool "$wish" || exit
    ;;
-h | --help) usage ;;
*) usage >&2; exit 2 ;;
esac
