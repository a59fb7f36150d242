#!/bin/sh
# Nightdrop on an OpenWrt router: every day its settings with the list of packages (sysupgrade-full), and every
# flash partition as it is (mtd-full), for the day the router itself is lost.
#
# Everything lies in /etc/nightdrop, because a firmware upgrade keeps only what /lib/upgrade/keep.d names.
# ROOT stands before every path, so that tests need no router.
set -eu
umask 077

root=${ROOT:-}
here=$(dirname "$0")
folder=$root/etc/nightdrop

usage() {
    cat <<'END'
usage: openwrt.sh install BUNDLE | daily | mtd

install  Put Nightdrop into /etc/nightdrop, with the bundle that `nightdrop enroll` made; have cron run it daily,
         at a time of this router's own; and have upgrades keep it.
daily    Drop sysupgrade-full and mtd-full.
mtd      Write every flash partition to standard output, as a tar.

exit status: 0 done; 1 failed; 2 wrong usage or configuration; 3 done, but not on every mirror
END
}

fail() { # MESSAGE [HINT]
    printf 'nightdrop: error: %s\n' "$1" >&2
    [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
    logger -t nightdrop -p daemon.err -- "$1" 2>/dev/null || :
    exit 1
}


# --- install ---

install() { # BUNDLE
    mkdir -p "$folder" "$root/etc/crontabs" "$root/lib/upgrade/keep.d"
    for script in nightdrop.sh openwrt.sh; do
        # As a package they lie side by side, in the source one folder apart.
        from=$here/$script
        [ -e "$from" ] || from=$here/../$script
        # A shell reads a script while it runs it. So what runs meanwhile goes on with the file that it has.
        cp "$from" "$folder/$script.new"
        chmod 700 "$folder/$script.new"
        mv "$folder/$script.new" "$folder/$script"
    done
    "$folder/nightdrop.sh" -C "$folder" install "$1"
    printf '%s\n' /etc/nightdrop /etc/crontabs/root /lib/upgrade/keep.d/nightdrop >"$root/lib/upgrade/keep.d/nightdrop"
    schedule
}

# Some time after two, each router at its own.
schedule() {
    later=$("$folder/nightdrop.sh" -C "$folder" delay --show)
    crontab=$root/etc/crontabs/root
    {
        grep -v 'openwrt\.sh daily' "$crontab" 2>/dev/null || :
        echo "$((later / 60 % 60)) $(((2 + later / 3600) % 24)) * * * /etc/nightdrop/openwrt.sh daily >/dev/null"
    } >"$crontab.new"
    mv "$crontab.new" "$crontab"
    if [ -x "$root/etc/init.d/cron" ]; then
        "$root/etc/init.d/cron" enable
        "$root/etc/init.d/cron" restart
    fi
}


# --- daily ---

daily() {
    worst=0
    drop sysupgrade-full tar.gz --what 'sysupgrade -k -b' -- sysupgrade -k -b -
    drop mtd-full tar --what /proc/mtd -- "$0" mtd
    exit $worst
}

drop() { # ARGUMENT ...
    status=0
    "$here/nightdrop.sh" -C "$folder" drop "$@" || status=$?
    # What failed is worse than what is only not everywhere.
    case $worst,$status in
    *,0 | 1,* | 2,3) ;;
    *) worst=$status ;;
    esac
}


# --- mtd: the partitions, as a tar ---

# Every partition once, as NN-NAME.img, after proc-mtd, which tells their sizes. The headers are written here, because
# tar would take a device for a device, and there is no room for a copy.
mtd() {
    [ -r "$root/proc/mtd" ] || fail "$root/proc/mtd: there is no flash here that Linux knows"
    exec 3>&1
    member proc-mtd "$(wc -c <"$root/proc/mtd")"
    cat "$root/proc/mtd"
    pad "$(wc -c <"$root/proc/mtd")"
    # mtd0: 00040000 00010000 "u-boot"
    while read -r device size _ name; do
        case $device in
        mtd[0-9]*:) ;;
        *) continue ;;
        esac
        device=${device%:}
        number=${device#mtd}
        [ ${#number} -gt 1 ] || number=0$number
        name=$(printf %s "$name" | tr -d '"' | tr -c 'A-Za-z0-9._-' _)
        member "$number-$name.img" $((0x$size))
        partition "$device" $((0x$size))
    done <"$root/proc/mtd"
    zeros 1024
}

partition() { # DEVICE SIZE
    device=$root/dev/${1}ro
    [ -e "$device" ] || device=$root/dev/$1
    block=65536
    while [ $(($2 % block)) != 0 ]; do block=$((block / 2)); done
    said=$(dd if="$device" bs=$block count=$(($2 / block)) 2>&1 >&3 3>&-) || fail "$device cannot be read: $said"
    # The header has promised so many octets.
    case $said in
    "$(($2 / block))+0 records in"*) ;;
    *) fail "$device has not the size that /proc/mtd says: $said" ;;
    esac
    pad "$2"
}

# A header of POSIX' ustar format: fields that end in NUL, numbers in octal, and the sum of all octets. awk writes it as
# a format for printf, because not every awk can write NUL.
member() { # NAME SIZE
    format=$(awk -v name="$1" -v size="$2" -v time="$(date +%s)" '
    BEGIN {
        for (i = 32; i < 127; i++) code[sprintf("%c", i)] = i
        field(name, 100); field("0000600", 8); field("0000000", 8); field("0000000", 8)
        field(sprintf("%011o", size), 12); field(sprintf("%011o", time), 12)
        before = header; header = ""; sum += 8 * 32
        field("0", 1); field("", 100); field("ustar", 6); field("00", 2)
        field("root", 32); field("root", 32); field("0000000", 8); field("0000000", 8); field("", 155); field("", 12)
        printf "%s%06o\\000 %s", before, sum, header
    }
    function field(text, width,  i, octet) {
        for (i = 1; i <= width; i++) {
            sum += code[substr(text, i, 1)]
            # Not in one: to busybox 1.30 a name before a parenthesis is a function.
            octet = i <= length(text) ? substr(text, i, 1) : "\\000"
            header = header octet
        }
    }')
    # shellcheck disable=SC2059 # it is a format
    printf "$format"
}

pad() { zeros $(((512 - $1 % 512) % 512)); } # SIZE

zeros() { # COUNT
    [ "$1" = 0 ] || dd if=/dev/zero bs="$1" count=1 2>/dev/null
}


case ${1:-} in
install)
    [ $# = 2 ] || { usage >&2; exit 2; }
    install "$2"
    ;;
daily) daily ;;
mtd) mtd ;;
-h | --help) usage ;;
*) usage >&2; exit 2 ;;
esac
