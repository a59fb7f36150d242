# shellcheck shell=sh
# Python environments: .venv in a checkout for trying and developing, and /opt/nightdrop/.venv, installed.

need_debian_packages() { # PACKAGE ...
    command -v apt-get >/dev/null || die "this machine has no apt-get" "install by hand: $*"
    [ -n "$dry_run" ] || [ "$(id -u)" = 0 ] || die "root is needed to install Debian packages" "as root: apt-get install $*"
    say "installing Debian packages: $*"
    changed=yes
    [ -z "$dry_run" ] || return 0
    apt-get update -qq || die "apt-get update failed" "see whether this machine reaches its Debian mirror"
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null ||
        die "these Debian packages could not be installed: $*" "try: apt-get install $*"
}

python=python3

python_can() { "$python" -c "$1" >/dev/null 2>&1; }

need_python() {
    command -v "$python" >/dev/null || need_debian_packages python3
    # In a dry run there may be none yet.
    ! command -v "$python" >/dev/null || python_can 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "$python is older than 3.11" "Debian 12 and newer have one that is new enough"
    # Not what the kernel is: a Raspberry Pi OS of 32 bits may have one of 64.
    architecture=$(dpkg --print-architecture 2>/dev/null || uname -m)
    # Nor would Debian's cryptography do, which is years older than the one that is needed.
    case $architecture:$(uname -m) in
    armel:* | armhf:armv6*)
        die "cryptography is not ready for this processor, and takes more to build than such a machine has" \
            "ARMv7, as of a Raspberry Pi 2, is the least; the shell client in snowflakes/ runs here, too"
        ;;
    esac
    python_can 'import ensurepip, venv' || need_debian_packages python3-venv
    case $architecture in
    # There are no wheels of cffi, duplicity, zstandard and PyYAML for these.
    armhf | armv*)
        builders='build-essential python3-dev librsync-dev libffi-dev gettext'
        # shellcheck disable=SC2086 # a list of words
        dpkg -s $builders >/dev/null 2>&1 || need_debian_packages $builders
        ;;
    esac
}

sum_of() { cat "$@" | sha256sum; }

install_locked() { # VENV LOCK
    pip "$1" --require-hashes -r "$2" ||
        die "the packages in $2 could not be installed" "pip says above why; ./install.sh --help says how to do without PyPI"
}

pip() { # VENV ARGUMENT ...
    venv=$1
    shift
    [ -z "$wheels" ] || set -- --no-index --find-links "$wheels" "$@"
    # The locks are complete, so nothing is resolved: what is not named there is not installed. Nor is it for
    # building what comes as source (wsgidav): that uses the setuptools of core/build-requirements.txt.
    PIP_DISABLE_PIP_VERSION_CHECK=1 "$venv/bin/python" -m pip --quiet install --no-deps --no-build-isolation "$@"
}

make_venv() { # ROLE ...
    need_python
    # A stamp says which lock was installed. What a stamp already says is not done again.
    base=$(sum_of pyproject.toml install.sh install/python.sh core/*requirements.txt; "$python" --version; pwd)
    if [ "$(cat .venv/stamps/core 2>/dev/null)" != "$base" ]; then
        say "making .venv with Python packages, by hash, for: core"
        "$python" -m venv --clear .venv || die "$python could not make .venv" "it says above why"
        mkdir .venv/stamps
        install_locked .venv core/build-requirements.txt
        install_locked .venv core/requirements.txt
        pip .venv --editable . || die "Nightdrop itself could not be installed into .venv" "pip says above why"
        echo "$base" >.venv/stamps/core
    fi
    for role; do
        stamp=$(sum_of "$role/requirements.txt")
        [ "$(cat ".venv/stamps/$role" 2>/dev/null)" != "$stamp" ] || continue
        say "installing Python packages into .venv, by hash, for: $role"
        install_locked .venv "$role/requirements.txt"
        echo "$stamp" >".venv/stamps/$role"
    done
}

download_wheels() { # FOLDER
    need_python
    scratch=$(mktemp -d) || no_temporary
    trap 'rm -rf "$scratch"' EXIT
    "$python" -m venv "$scratch/venv" || die "$python could not make an environment in $scratch" "it says above why"
    mkdir -p "$1" || die "$1: the folder cannot be made" "name another one"
    for lock in core/build-requirements.txt core/requirements.txt client/requirements.txt server/requirements.txt \
        check/requirements.txt restore/requirements.txt; do
        say "downloading, by hash: $lock"
        PIP_DISABLE_PIP_VERSION_CHECK=1 "$scratch/venv/bin/python" -m pip --quiet download --no-deps \
            --require-hashes --dest "$1" -r "$lock" ||
            die "the packages in $lock could not be downloaded" "pip says above why: is there room, and does this machine reach PyPI?"
    done
    say "all that a machine with this Python and processor needs is in $1: ./install.sh ROLE --wheels DIR"
}

# The installed environment is a folder of its own for each version; /opt/nightdrop/.venv leads to the one
# in use. So an upgrade that is interrupted leaves the old one as it was, and what runs keeps its files:
# an old one is removed when nothing runs from it any more.
install_app() { # ROLE ...
    [ ! -d "$opt/.venv" ] || [ -L "$opt/.venv" ] ||
        die "$opt is a checkout with a .venv of its own" "move it elsewhere, such as /root/nightdrop, and run this there"
    # Debian's own: one that root has in its home (pyenv, conda) the user nightdrop could not reach.
    [ ! -x /usr/bin/python3 ] || python=/usr/bin/python3
    need_python
    # shellcheck disable=SC2046 # a list of words
    roles=$(printf '%s\n' "$@" $(cat "$opt/roles" 2>/dev/null) | sort -u | paste -s -d ' ')
    # shellcheck disable=SC2046 # a list of names without spaces
    stamp=$({
        sum_of install/python.sh $(find core client server check restore pyproject.toml README.md LICENSE \
            -type f ! -name '*.pyc' ! -path '*.egg-info/*' | LC_ALL=C sort)
        "$python" --version
        echo "$roles"
    } 2>&1 | sha256sum | cut -c 1-12)
    app=$opt/venv-$stamp
    if [ ! -e "$app/complete" ]; then
        step "make $app with Nightdrop and, by hash, Python packages for: $roles" build_app
    fi
    link_to "$app" "$opt/.venv"
    link_to "$opt/.venv/bin/nightdrop" /usr/local/bin/nightdrop
    link_manuals
}

# A file that is no such thing must not take a good one's place. In a dry run there may be nothing yet to look with.
vet() { # recipients or bundle, FILE
    [ ! -e "$app/complete" ] || "$app/bin/python" -m nightdrop.vetting "$1" "$2" || exit
}

remove_old_apps() {
    for old in "$opt"/venv-*; do
        if [ "$old" = "$app" ] || [ ! -d "$old" ]; then continue; fi
        # Told by its standard input, or it would find itself.
        if echo "$old/" | grep -qsF -f - /proc/[0-9]*/cmdline /proc/[0-9]*/maps; then
            say "$old stays for what still runs from it; this, run again later, removes it"
        else
            step "remove $old" rm -rf "$old"
        fi
    done
}

build_app() {
    # Left by a run that was killed.
    rm -rf "$app"
    # Half of one would be in the way, on a disk that it filled, say.
    trap 'rm -rf "$app"' EXIT
    trap 'exit 1' HUP INT TERM
    # root's home is not among the places that --help names.
    export PIP_NO_CACHE_DIR=1
    mkdir -p "$opt" && "$python" -m venv "$app" || return
    install_locked "$app" core/build-requirements.txt
    install_locked "$app" core/requirements.txt
    for each in $roles; do install_locked "$app" "$each/requirements.txt"; done
    # Built from a copy: setuptools writes beside what it builds from.
    mkdir "$app/source" && cp -R core client server check restore pyproject.toml README.md LICENSE "$app/source" || return
    pip "$app" "$app/source" || return
    rm -rf "$app/source"
    # shellcheck disable=SC2086 # a list of words
    "$app/bin/python" -m nightdrop.manuals "$app/share" $roles && echo "$roles" >"$opt/roles" && touch "$app/complete" || return
    trap - EXIT HUP INT TERM
}

# Manual pages and the shell's completion are made from what --help says, by the version that is installed.
link_manuals() {
    for link in /usr/local/share/man/man1/nightdrop*.1 /usr/local/share/bash-completion/completions/nightdrop; do
        if [ -L "$link" ] && [ ! -e "$link" ]; then step "remove $link" rm -f "$link"; fi
    done
    unlinked=''
    for each in man/man1/nightdrop.1 bash-completion/completions/nightdrop $(cd "$opt/.venv/share" 2>/dev/null && echo man/man1/nightdrop*); do
        [ "$(readlink "/usr/local/share/$each" || true)" = "$opt/.venv/share/$each" ] || unlinked="$unlinked $each"
    done
    [ -z "$unlinked" ] || step "link the manual pages and bash's completion in /usr/local/share" link_unlinked
}

link_unlinked() {
    for each in $unlinked; do make_link "$opt/.venv/share/$each" "/usr/local/share/$each" || return; done
}
