#!/bin/sh
# Nightdrop on an OPNsense firewall, or any FreeBSD on ZFS: a full of the whole pool each month, what changed since each
# day, and /conf by itself, which is what a new firewall is set up from.
#
# An incremental goes from the base, the last snapshot of which a mirror has the receipt, to a new one. The new one becomes the
# base only when a mirror has its receipt, and only then the old base is destroyed. So a run that breaks off
# costs nothing: the next one starts from the same base again.
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
run      Drop conf-full, and the pool. --delayed waits for this firewall's own time first.
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
    [ -e "$folder/opnsense.conf" ] || settings >"$folder/opnsense.conf"
    [ -n "$root" ] || service configd restart
}

# A shell reads a script while it runs it. So what runs meanwhile goes on with the file that it has.
put_script() { # SCRIPT
    cp "$1" "$folder/${1##*/}.new"
    chmod 700 "$folder/${1##*/}.new"
    mv "$folder/${1##*/}.new" "$folder/${1##*/}"
}

settings() {
    cat <<'END'
# The pool that is backed up, as a whole; nothing: the one that / is on.
pool=

# Days after which the next full is due.
full_every=30
END
}

read_settings() {
    pool='' full_every=30
    [ ! -r "$folder/opnsense.conf" ] || while IFS= read -r line; do
        case $line in
        '' | '#'*) ;;
        pool=*) pool=${line#*=} ;;
        full_every=*) full_every=${line#*=} ;;
        *) complain "$folder/opnsense.conf: no setting: $line" "pool=NAME, full_every=DAYS"; exit 2 ;;
        esac
    done <"$folder/opnsense.conf"
    [ -n "$pool" ] || pool=$(zfs list -H -o name / 2>/dev/null | sed 's,/.*,,') || pool=
    if ! zfs list -H -o name "$pool" >/dev/null 2>&1; then
        complain "there is no pool \"$pool\"" "name it in $folder/opnsense.conf: pool=NAME"
        exit 2
    fi
    case $full_every in
    '' | *[!0-9]*) complain "$folder/opnsense.conf: full_every has to be days, and is \"$full_every\""; exit 2 ;;
    esac
    # A kind has no other characters.
    kind=$(printf %s "$pool" | tr '[:upper:]' '[:lower:]' | tr -c '[:lower:][:digit:]' _ | cut -c 1-32)
    memory=$folder/state/zfs.$kind
    mkdir -p "$folder/state"
}


# --- the pool ---

backup_pool() { # WISH
    read_settings
    recall_base
    choose_type "$1"
    until
        snapshot=nightdrop-$(date -u +%Y%m%dT%H%M%SZ)
        ! is_there "$pool@$snapshot"
    do sleep 1; done
    zfs snapshot -r "$pool@$snapshot" || fail "$pool@$snapshot: the snapshot cannot be made"
    raw=
    ! is_encrypted || raw=-w
    status=0
    if [ "$type" = full ]; then
        full_at=$(date +%s)
        "$here/nightdrop.sh" drop "$kind-full" zfs --what "$pool" -- zfs send -R $raw "$pool@$snapshot" || status=$?
    else
        "$here/nightdrop.sh" drop "$kind-inc" zfs --what "$pool" -- \
            zfs send -R $raw -I "@$base" "$pool@$snapshot" || status=$?
    fi
    case $status in
    0 | 3) become_base ;;
    *) destroy "$pool@$snapshot" ;;
    esac
    return $status
}

recall_base() {
    base='' full_at=0
    [ -e "$memory" ] || return 0
    read -r base full_at <"$memory" || :
    case $base,$full_at in
    *,*[!0-9]* | *,) ;;
    nightdrop-*,*) return ;;
    esac
    base='' full_at=0
    complain "$memory does not say what the last base was: making a full of $pool" "is the disk full, or was it?"
}

# Whether that works is no reason to end a run: what stays is tried again by the next.
destroy() { # SNAPSHOT
    zfs destroy -r "$1" || complain "$1: the snapshot cannot be destroyed now"
}

choose_type() { # WISH
    type=full
    if [ "$1" = full ] || [ -z "$base" ]; then
        return
    elif ! is_there "$pool@$base"; then
        complain "$pool@$base, the base of the next incremental, is gone: making a full of $pool instead" \
            "nothing is lost; who destroyed it? Snapshots named nightdrop-… are Nightdrop's own"
    elif [ $(($(date +%s) - full_at)) -lt $((full_every * 86400)) ]; then
        type=inc
    fi
}

is_there() { zfs list -H -t snapshot -o name "$1" >/dev/null 2>&1; } # SNAPSHOT

is_encrypted() {
    zfs get -H -r -o value encryption "$pool" 2>/dev/null | grep -qv -e '^off$' -e '^-$'
}

# Written down first: if that fails, all stays as it was, and the next run starts from the old base again.
become_base() {
    if ! { echo "$snapshot $full_at" >"$memory.new" && mv "$memory.new" "$memory"; }; then
        complain "$memory: cannot be written, so $pool@$snapshot does not become the base" "is the disk full?"
        destroy "$pool@$snapshot"
        return
    fi
    remove_older
}

# The base before, and what runs left that were killed. While a send that was killed still lets go of its snapshot, that is busy,
# and goes with the next base. What is newer belongs to a run that began meanwhile. A pool may have blanks in its name.
remove_older() {
    zfs list -H -t snapshot -o name -r "$pool" | while IFS= read -r older; do
        case $older in
        "$pool@nightdrop-"*) ! expr "$older" \< "$pool@$snapshot" >/dev/null || destroy "$older" </dev/null ;;
        esac
    done
}


# --- the command line ---

backup_conf() {
    "$here/nightdrop.sh" drop conf-full tar --what /conf -- tar -C "$root/" -cf - conf
}

run() { # WISH
    conf_status=0 pool_status=0
    backup_conf || conf_status=$?
    backup_pool "$1" || pool_status=$?
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
case $verb in
run) run "$wish" ;;
conf) backup_conf ;;
zfs) backup_pool "$wish" ;;
-h | --help) usage ;;
*) usage >&2; exit 2 ;;
esac
