#!/bin/sh
# Nightdrop's installer. `./install.sh --help` says what it does.
set -eu

usage() {
    cat <<'END'
usage: ./install.sh try [--keep] [FOLDER ...]
       ./install.sh mirror [--url URL] [--recipients FILE] [--wheels DIR] [--dry-run]
       ./install.sh client [--bundle FILE] [--job NAME] [--plain] [--wheels DIR] [--dry-run]
       ./install.sh admin [--wheels DIR] [--dry-run]
       ./install.sh uninstall [--dry-run]
       ./install.sh wheels DIR
       ./install.sh venv [tests]

try        Try Nightdrop out on this machine, for real and on loopback only: two mirrors, a key, a full and
           an incremental backup of the FOLDERs (default: /etc and /usr/share/doc), the check, a restore, and
           a comparison of what was restored with what was there. Your folders are only read. Installs what
           it needs first: Debian packages, and Python packages into .venv in this checkout.
           --keep leaves the mirrors running afterwards and says how to use them.

mirror     Make this machine a mirror: the user nightdrop, the vault, the door, the check, their units.
           With --url (what hosts call it, such as https://backup1.example.org:8443) and --recipients
           (certificates, PEM) it is configured and started, too.
client     Make this machine a host that backs itself up daily. --bundle is the file that `nightdrop enroll`
           made; it is kept encrypted where systemd can, or with --plain as /etc/nightdrop/bundle.toml.
           --job names another job than `client`, configured by /etc/nightdrop/NAME.toml.
admin      Install what restores and makes keys, on the machine that has the private key.
uninstall  Remove what the three above installed. Vault, state, configuration and the user stay.

The roles can share a machine. Each can be run again at any time: that repairs, upgrades to this checkout,
and leaves configuration and data alone. --dry-run prints each step and does nothing.

They write to /opt/nightdrop (a virtual environment of their own), /etc/nightdrop, /var/lib/nightdrop,
/srv/nightdrop (mirror), /etc/credstore.encrypted (client), /usr/local/bin/nightdrop, nightdrop's units in
/usr/local/lib/systemd/system, what `systemctl enable` links, and nightdrop's manual pages and completion
in /usr/local/share. Python packages come by hash from PyPI or, with --wheels, from a folder that
`./install.sh wheels DIR` filled on a machine of the same kind with Internet access. Debian packages are
installed only where Python lacks venv, and on 32-bit ARM, where some Python packages have to be built.

venv       Only make or refresh .venv in this checkout; with `tests`, for developing, too.

exit status: 0 done, 1 failed, 2 wrong usage
END
}

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=install/steps.sh
. "$here/install/steps.sh"
# shellcheck source=install/python.sh
. "$here/install/python.sh"
# shellcheck source=install/mirror.sh
. "$here/install/mirror.sh"
# shellcheck source=install/client.sh
. "$here/install/client.sh"
# shellcheck source=install/admin.sh
. "$here/install/admin.sh"
# shellcheck source=install/uninstall.sh
. "$here/install/uninstall.sh"

wrong_usage() { # MESSAGE [HINT]
    echo "nightdrop: error: $1" >&2
    echo "hint: ${2:-see ./install.sh --help}" >&2
    exit 2
}

# Files are taken from where they are named; everything else is relative to the checkout.
from=$PWD
absolute() { # FILE
    case $1 in
    /*) echo "$1" ;;
    *) echo "$from/$1" ;;
    esac
}

need_file() { # FILE HINT: where such files come from
    [ -e "$1" ] || wrong_usage "$1: there is no such file" "$2"
    [ -f "$1" ] || wrong_usage "$1: is not a file" "$2"
    [ -r "$1" ] || wrong_usage "$1: cannot be read" "look whose it is, and at its mode"
}

# As strict as what reads mirror.toml, in which it will stand: here a typing error costs nothing yet.
is_url() { # URL
    case $1 in *[[:space:]]*) return 1 ;; esac
    printf '%s\n' "$1" | grep -qxE 'https://([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*' || return
    port=$(printf '%s\n' "$1" | sed -nE 's,^https://[^/]*[]A-Za-z0-9]:([0-9]+)(/.*)?$,\1,p')
    [ "${port:-443}" -ge 1 ] && [ "${port:-443}" -le 65535 ]
}

read_options() { # ROLE ARGUMENT ...
    role=$1
    shift
    url='' recipients='' bundle='' job=client plain=''
    while [ $# -gt 0 ]; do
        option=$1
        shift
        case $role:$option in
        *:-h | *:--help) usage; exit 0 ;;
        *:--dry-run) dry_run=yes ;;
        client:--plain) plain=yes ;;
        mirror:--url | mirror:--recipients | client:--bundle | client:--job | mirror:--wheels | client:--wheels | admin:--wheels)
            [ -n "${1:-}" ] || wrong_usage "$option needs a value"
            case $option in
            --url) url=$1 ;;
            --recipients) recipients=$(absolute "$1") ;;
            --bundle) bundle=$(absolute "$1") ;;
            --job) job=$1 ;;
            --wheels) wheels=$(absolute "$1") ;;
            esac
            shift
            ;;
        *) wrong_usage "$role: there is no option $option" ;;
        esac
    done
    # A typing error must not become a part of a path, or of a configuration.
    case $job in
    '' | mirror | -* | *[!a-z0-9-]*) wrong_usage "--job: a name begins with a letter or digit, has small letters, digits and hyphens, and is not mirror" ;;
    esac
    url=${url%/}
    [ -z "$url" ] || is_url "$url" || wrong_usage "--url: expected something like https://backup1.example.org:8443"
    [ -z "$recipients" ] || need_file "$recipients" "it is the certificate.pem that \`nightdrop key new\` made on the administrator's machine"
    [ -z "$bundle" ] || need_file "$bundle" "\`nightdrop enroll HOST -o FILE\` on a mirror makes it"
    [ -z "$wheels" ] || [ -d "$wheels" ] || wrong_usage "$wheels: there is no such folder" "\`./install.sh wheels DIR\` fills it"
}

cd "$here"
case ${1:-} in
try)
    shift
    make_venv client server check restore
    cd "$from"
    exec "$here/.venv/bin/python" "$here/tests/tryout.py" "$@"
    ;;
venv)
    [ $# -le 2 ] || wrong_usage "venv: there is nothing called $3"
    case ${2:-} in
    tests) make_venv client server check restore tests ;;
    '') make_venv client server check restore ;;
    *) wrong_usage "venv: there is nothing called $2" ;;
    esac
    ;;
wheels)
    { [ $# = 2 ] && [ -n "$2" ]; } || wrong_usage "wheels: one folder is needed"
    download_wheels "$(absolute "$2")"
    ;;
mirror | client | admin | uninstall)
    read_options "$@"
    [ -n "$dry_run" ] || [ "$(id -u)" = 0 ] || die "root is needed to install" "with --dry-run, anybody can look at the steps"
    umask 022
    "install_$role"
    [ "$role" = uninstall ] || remove_old_apps
    say_end
    ;;
-h | --help) usage ;;
'') usage >&2; exit 2 ;;
*) wrong_usage "there is nothing called $1" ;;
esac
