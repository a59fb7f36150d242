# shellcheck shell=sh
# Whole machines for the lab: a Debian (debootstrap), booted by systemd-nspawn, each on a network that exists
# nowhere but here (a bridge in a network namespace of its own). Sourced by the scripts beside it.
#
# NIGHTDROP_LAB_ROOT names a folder in which the Debians and the Python packages are kept for the next time.

skip() { echo "skipped: $1"; exit 0; }
fail() { echo "FAILED: $1" >&2; exit 1; }

lab=$(mktemp -d /var/tmp/nightdrop-lab-XXXXXX)
kept=${NIGHTDROP_LAB_ROOT:-$lab/kept}
machines=''
hub=nightdrop-hub-$$
mail_server=''

lab_begin() {
    [ "$(id -u)" = 0 ] || skip "root is needed"
    for tool in debootstrap ip nsenter; do
        command -v $tool >/dev/null || skip "$tool is not installed"
    done
    trap lab_end EXIT
    trap 'exit 1' INT TERM
    mkdir -p "$kept"
    find_nspawn
    ip netns add "$hub" 2>/dev/null || skip "network namespaces cannot be made here"
    ip -n "$hub" link add hub type bridge
    ip -n "$hub" link set hub up
    ip -n "$hub" link set lo up
}

lab_end() {
    [ -z "$mail_server" ] || kill "$mail_server" 2>/dev/null || true
    for name in $machines; do stop_machine "$name" || true; done
    for name in $machines; do
        for mounted in root/mnt/checkout root/mnt/wheels root/srv root srv; do
            umount "$lab/$name/$mounted" 2>/dev/null || true
        done
        ip netns del "nightdrop-$name-$$" 2>/dev/null || true
    done
    ip netns del "$hub" 2>/dev/null || true
    # What could not be unmounted is not to be emptied.
    rm -rf --one-file-system "$lab"
}

find_nspawn() {
    nspawn=$(command -v systemd-nspawn || true)
    nspawn_libraries=''
    [ -z "$nspawn" ] || return 0
    # Not installed: that would upgrade this machine's own systemd.
    if [ ! -e "$kept/tools/usr/bin/systemd-nspawn" ]; then
        (cd "$kept" && apt-get download -qq systemd-container libsystemd-shared >/dev/null 2>&1) ||
            skip "systemd-nspawn is not installed and cannot be had"
        for package in "$kept"/*.deb; do dpkg -x "$package" "$kept/tools"; done
    fi
    nspawn=$kept/tools/usr/bin/systemd-nspawn
    nspawn_libraries=$(dirname "$(find "$kept/tools" -name 'libsystemd-shared-*.so')")
}

# A Debian as it comes: systemd and what the tests themselves use. Python's venv is for install.sh to find.
make_debian() { # SUITE
    packages=systemd,systemd-sysv,dbus,python3,python3-venv,curl,openssl,iproute2,openssh-server,nftables,btrfs-progs,libfaketime,busybox-static,dropbear-bin,tcsh
    [ "$(cat "$kept/$1/packages" 2>/dev/null)" != $packages ] || return 0
    echo "making a Debian $1"
    rm -rf "${kept:?}/$1"
    debootstrap --variant=minbase --include=$packages "$1" "$kept/$1" >"$lab/debootstrap.log" 2>&1 ||
        { tail -n 3 "$lab/debootstrap.log"; skip "debootstrap failed"; }
    echo $packages >"$kept/$1/packages"
}

# What machines without a network install from. wsgidav comes as source only, which fits every Python.
make_wheels() { # PYTHON ...
    locks=$(cat ./*/requirements.txt | sha256sum)
    [ "$(cat "$kept/wheels/complete" 2>/dev/null)" != "$locks" ] || return 0
    echo "downloading Python packages"
    ./install.sh wheels "$kept/wheels" >/dev/null 2>"$lab/wheels.log" || { tail -n 3 "$lab/wheels.log"; skip "no Python packages"; }
    for python; do
        for lock in client check restore server; do
            # shellcheck disable=SC2046 # a list of words
            .venv/bin/python -m pip download --quiet --no-deps --only-binary :all: --python-version "$python" \
                --platform manylinux2014_x86_64 --platform manylinux_2_28_x86_64 --platform manylinux_2_34_x86_64 \
                --dest "$kept/wheels" $(sed -n 's/^\([a-z0-9-]*==[^ ;]*\).*/\1/p' $lock/requirements.txt | grep -v wsgidav) \
                2>"$lab/wheels.log" || { tail -n 3 "$lab/wheels.log"; skip "no Python packages for $python"; }
        done
    done
    echo "$locks" >"$kept/wheels/complete"
}

# Ansible as it is on the administrator's machine, and what lints it.
have_ansible() {
    if [ ! -e "$kept/ansible/bin/ansible-lint" ]; then
        echo "installing ansible"
        mkdir -p "$kept"
        python3 -m venv "$kept/ansible"
        "$kept/ansible/bin/pip" install --quiet --no-deps --require-hashes -r tests/lab/requirements.txt 2>"$lab/pip.log" ||
            { tail -n 3 "$lab/pip.log"; skip "ansible cannot be had"; }
    fi
    export PATH="$kept/ansible/bin:$PATH" ANSIBLE_HOME="$lab/ansible-home" ANSIBLE_NOCOLOR=1 NO_COLOR=1
}

# A machine of its own: the Debian below, all that it writes in a folder of its own; /srv a real file system, of this
# machine or, where KIND (ext4, btrfs) says so, one of 3 GB.
boot_machine() { # NAME SUITE NUMBER [KIND]
    home=$lab/$1
    machines="$machines $1"
    mkdir -p "$home/root" "$home/upper" "$home/work" "$home/srv"
    if [ $# -gt 3 ]; then
        truncate -s 3G "$home/disk"
        "mkfs.$4" -q "$home/disk" >/dev/null 2>&1
        mount -o loop "$home/disk" "$home/srv" || skip "no loop device can be had"
    fi
    mount -t overlay -o "lowerdir=$kept/$2,upperdir=$home/upper,workdir=$home/work" overlay "$home/root"
    mount --bind "$home/srv" "$home/root/srv"
    mkdir -p "$home/root/mnt/checkout" "$home/root/mnt/wheels"
    mount --bind "$PWD" "$home/root/mnt/checkout"
    mount -o remount,bind,ro "$home/root/mnt/checkout"
    mount --bind "$kept/wheels" "$home/root/mnt/wheels"
    echo "$1" >"$home/root/etc/hostname"
    rm -f "$home/root/etc/machine-id"
    # It would take the addresses away that the machine is given below.
    ln -sf /dev/null "$home/root/etc/systemd/system/systemd-networkd.service"
    ip netns add "nightdrop-$1-$$"
    ip -n "$hub" link add "m$3" type veth peer name host0 netns "nightdrop-$1-$$"
    ip -n "$hub" link set "m$3" master hub up
    ip -n "nightdrop-$1-$$" addr add "10.99.0.$3/24" dev host0
    ip -n "nightdrop-$1-$$" addr add "fd99::$3/64" dev host0 nodad
    ip -n "nightdrop-$1-$$" link set host0 up
    ip -n "nightdrop-$1-$$" link set lo up
    start_machine "$1"
}

start_machine() { # NAME
    # Its terminal is nobody's: a pipe from nothing. Keyrings, which containers on it make, a real machine has, too.
    LD_LIBRARY_PATH=$nspawn_libraries "$nspawn" -q -D "$lab/$1/root" -M "nightdrop-$1-$$" --register=no --keep-unit \
        --network-namespace-path="/run/netns/nightdrop-$1-$$" --link-journal=no --resolv-conf=off --timezone=off --capability=CAP_NET_ADMIN \
        --system-call-filter=@keyring --console=pipe -b </dev/null >"$lab/$1/console" 2>&1 &
    echo $! >"$lab/$1/pid"
    tries=0
    until [ "$(on "$1" systemctl is-system-running 2>/dev/null)" != "" ] && on "$1" systemctl is-active --quiet multi-user.target; do
        tries=$((tries + 1))
        [ $tries -lt 120 ] || { tail -n 5 "$lab/$1/console"; skip "the machine $1 did not boot"; }
        sleep 0.5
    done
}

stop_machine() { # NAME
    init=$(pgrep -P "$(cat "$lab/$1/pid")" -x systemd) || return 0
    kill -s RTMIN+4 "$init" 2>/dev/null || true
    tries=0
    while kill -0 "$(cat "$lab/$1/pid")" 2>/dev/null && [ $tries -lt 60 ]; do
        tries=$((tries + 1))
        sleep 0.5
    done
    kill "$(cat "$lab/$1/pid")" 2>/dev/null || true
}

# Runs a command on a machine, as root, as from a login.
on() { # NAME COMMAND ...
    machine=$1
    shift
    nsenter -t "$(pgrep -P "$(cat "$lab/$machine/pid")" -x systemd)" -a -- \
        env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"
}

# Where a machine's files are, seen from here.
of() { # NAME
    echo "$lab/$1/root"
}

# What a name server would tell these machines.
know_the_mirrors() { # NAME ...
    for each; do
        printf 'fd99::1 backup1.example.org\nfd99::2 backup2.example.org\n10.99.0.254 mail.example.org\n' >>"$(of "$each")/etc/hosts"
    done
}

# A mail server, mail.example.org, that takes every mail: they lie in $lab/mails/new.
serve_mail() {
    ip -n "$hub" addr add 10.99.0.254/24 dev hub
    ip netns exec "$hub" .venv/bin/python -m aiosmtpd -n -l 10.99.0.254:25 -c aiosmtpd.handlers.Mailbox "$lab/mails" \
        2>"$lab/mail_server.log" &
    mail_server=$!
    until_true "the mail server listens" takes_mail
}
takes_mail() {
    kill -0 "$mail_server" 2>/dev/null || skip "no mail server: $(tail -n 1 "$lab/mail_server.log")"
    ip netns exec "$hub" ss -Hltn sport = 25 | grep -q .
}

# install.sh of the checkout, or of another one, with packages from a folder in PyPI's place.
install_sh() { # NAME ARGUMENT ...
    machine=$1
    shift
    # shellcheck disable=SC2016 # for the shell over there
    on "$machine" env PIP_NO_INDEX=1 PIP_FIND_LINKS=/mnt/wheels sh -c 'cd "$0" && exec ./install.sh "$@"' \
        "${checkout:-/mnt/checkout}" "$@" >"$lab/said" 2>&1
}

# An installation that is killed in its midst: when the environment is being made.
install_sh_killed() { # NAME ARGUMENT ...
    victim=$1
    shift
    environments_before=$(environments "$victim")
    # shellcheck disable=SC2016 # for the shell over there
    on "$victim" env PIP_NO_INDEX=1 PIP_FIND_LINKS=/mnt/wheels setsid sh -c 'cd "$0" && echo $$ >/run/installing && exec ./install.sh "$@"' \
        "${checkout:-/mnt/checkout}" "$@" >"$lab/said" 2>&1 &
    until_true "$victim makes an environment" more_environments "$victim" "$environments_before"
    # shellcheck disable=SC2016 # for the shell over there
    on "$victim" sh -c 'kill -s KILL -- "-$(cat /run/installing)"'
    wait $! && fail "$victim: the installation ended before it was killed"
    return 0
}
environments() { on "$1" sh -c 'ls -d /opt/nightdrop/venv-*/bin/python 2>/dev/null' | wc -l; }
more_environments() { [ "$(environments "$1")" -gt "$2" ]; }

until_true() { # WHAT COMMAND ...
    what=$1
    shift
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ $tries -lt 240 ] || fail "this did not happen: $what"
        sleep 0.5
    done
}
