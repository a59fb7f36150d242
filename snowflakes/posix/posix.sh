#!/bin/sh
# Nightdrop on any Unix: folders as a tar, or a disk as it is. For a command's output, nightdrop.sh itself is
# enough: nightdrop.sh drop database sql -- pg_dumpall
set -eu

here=$(dirname "$0")
nightdrop=$here/nightdrop.sh
[ -e "$nightdrop" ] || nightdrop=$here/../nightdrop.sh

usage() {
    cat <<'END'
usage: posix.sh folders KIND FOLDER ... | disk KIND DEVICE

folders  Drop a tar of folders, as KIND-full.TIME.tar.p7m.
disk     Drop a disk or partition, as KIND-full.TIME.img.p7m. What is mounted for writing changes meanwhile: take a
         snapshot, or mount it read-only.

NIGHTDROP_FOLDER names the folder of the configuration (/etc/nightdrop).

exit status: 0 done; 1 failed; 2 wrong usage or configuration; 3 done, but not on every mirror
END
}

folders() { # KIND FOLDER ...
    kind=$1
    shift
    for each; do
        case $each in
        /*) [ -e "$each" ] || misused "$each: is not there" ;;
        *) misused "$each: a folder begins with /" ;;
        esac
    done
    exec "$nightdrop" drop "$kind-full" tar --what "$*" -- "$0" tar "$@"
}

# As seen from /, so that it can be unpacked anywhere.
tar_of() { # FOLDER ...
    for each; do
        shift
        set -- "$@" "./${each#/}"
    done
    status=0
    tar -C / -cf - "$@" || status=$?
    # With GNU's tar, 1 means that a file changed while it was read. That happens; with other tars 1 is worse.
    if [ $status = 1 ] && tar --version 2>/dev/null | grep -q GNU; then status=0; fi
    return $status
}

misused() {
    printf 'nightdrop: error: %s\n' "$1" >&2
    exit 2
}

case ${1:-} in
folders | disk) [ $# -ge 3 ] || { usage >&2; exit 2; } ;;
esac
case ${1:-} in
folders) shift; folders "$@" ;;
disk)
    [ -r "$3" ] || misused "$3: cannot be read"
    exec "$nightdrop" drop "$2-full" img --what "$3" -- dd if="$3" bs=1048576
    ;;
tar) shift; tar_of "$@" ;;
-h | --help) usage ;;
*) usage >&2; exit 2 ;;
esac
