#!/bin/sh
# Nightdrop's installer. `./install.sh --help` says what it does.
set -eu

usage() {
    cat <<'END'
usage: ./install.sh try [--keep] [FOLDER ...]
       ./install.sh venv [tests]

try    Try Nightdrop out on this machine, for real and on loopback only: two mirrors, a key, a full and
       an incremental backup of the FOLDERs (default: /etc and /usr/share/doc), the check, a restore, and
       a comparison of what was restored with what was there. Your folders are only read. Installs what
       it needs first: Debian packages, and Python packages into .venv in this checkout.
       --keep leaves the mirrors running afterwards and says how to use them.
venv   Only make or refresh .venv; with `tests`, for developing, too.

exit status: 0 done, 1 failed, 2 wrong usage
END
}

die() { # MESSAGE [HINT]
    echo "nightdrop: error: $1" >&2
    [ -z "${2:-}" ] || echo "hint: $2" >&2
    exit 1
}

need_debian_packages() { # PACKAGE ...
    command -v apt-get >/dev/null || die "this machine has no apt-get" "install by hand: $*"
    [ "$(id -u)" = 0 ] || die "root is needed to install Debian packages" "as root: apt-get install $*"
    echo "installing Debian packages: $*"
    apt-get update -qq || die "apt-get update failed" "see whether this machine reaches its Debian mirror"
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null ||
        die "these Debian packages could not be installed: $*" "try: apt-get install $*"
}

python_can() { python3 -c "$1" >/dev/null 2>&1; }

make_venv() { # ROLE ...
    command -v python3 >/dev/null || need_debian_packages python3
    python_can 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "python3 is older than 3.11" "Debian 12 and newer have one that is new enough"
    python_can 'import ensurepip, venv' || need_debian_packages python3-venv

    # A stamp says which lock was installed. What a stamp already says is not done again.
    base=$(sum_of pyproject.toml install.sh core/*requirements.txt; python3 --version; pwd)
    if [ "$(cat .venv/stamps/core 2>/dev/null)" != "$base" ]; then
        echo "making .venv with Python packages, by hash, for: core"
        python3 -m venv --clear .venv || die "python3 could not make .venv"
        mkdir .venv/stamps
        install_locked core/build-requirements.txt
        install_locked core/requirements.txt
        pip --no-build-isolation --editable . || die "Nightdrop itself could not be installed into .venv"
        echo "$base" >.venv/stamps/core
    fi
    for role; do
        stamp=$(sum_of "$role/requirements.txt")
        [ "$(cat ".venv/stamps/$role" 2>/dev/null)" != "$stamp" ] || continue
        echo "installing Python packages into .venv, by hash, for: $role"
        install_locked "$role/requirements.txt"
        echo "$stamp" >".venv/stamps/$role"
    done
}

sum_of() { cat "$@" | sha256sum; }

install_locked() { # LOCK
    pip --require-hashes -r "$1" ||
        die "the packages in $1 could not be installed" "see whether this machine reaches PyPI"
}

pip() { # ARGUMENT ...
    # The locks are complete, so nothing is resolved: what is not named there is not installed.
    PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/python -m pip --quiet install --no-deps "$@"
}

cd "$(dirname "$0")"
case ${1:-} in
try)
    shift
    make_venv client server check restore
    exec .venv/bin/python tests/tryout.py "$@"
    ;;
venv)
    case ${2:-} in
    tests) make_venv client server check restore tests ;;
    '') make_venv client server check restore ;;
    *) usage >&2; exit 2 ;;
    esac
    ;;
-h | --help) usage ;;
*) usage >&2; exit 2 ;;
esac
