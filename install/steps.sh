# shellcheck shell=sh
# What the parts of install.sh share: how a step is said, done or, in a dry run, only printed.

dry_run=''
changed=''
wheels=''
opt=/opt/nightdrop
units=/usr/local/lib/systemd/system
configuration=/etc/nightdrop

die() { # MESSAGE HINT
    echo "nightdrop: error: $1" >&2
    echo "hint: $2" >&2
    exit 1
}

no_temporary() { die "no temporary file can be made in ${TMPDIR:-/tmp}" "see whether its disk is full, or TMPDIR is wrong"; }

say() { echo "$*"; }

# Every change to the machine is a step, so that what is printed is what is done, and a dry run is one place.
step() { # WHAT COMMAND ...
    changed=yes
    echo "  $1"
    what=$1
    shift
    [ -z "$dry_run" ] || return 0
    "$@" || die "this step failed: $what" "mend what it says above, then run the same again: it goes on from there"
}

install_file() { # SOURCE TARGET [MODE]
    cmp -s "$1" "$2" || step "write $2" put "$1" "$2" "${3:-644}"
}

put() { # SOURCE TARGET MODE
    # Beside it and renamed: whoever reads it meanwhile finds the old one whole.
    install -D -m "$3" "$1" "$2.new" && mv -f "$2.new" "$2"
}

make_folder() { # MODE OWNER FOLDER
    # One that is there may be as it is for a reason.
    [ -d "$3" ] || step "make the folder $3, of $2, mode $1" install -d -m "$1" -o "$2" -g "$2" "$3"
}

link_to() { # TARGET LINK
    if [ "$(readlink "$2" || true)" != "$1" ]; then
        [ ! -e "$2" ] || [ -L "$2" ] || die "$2 is there already, and is not ours" "move it away, then run this again"
        step "link $2 to $1" make_link "$1" "$2"
    fi
}

make_link() { # TARGET LINK
    # `ln -sfn` is not one step: a kill between its two would leave nothing.
    mkdir -p "$(dirname "$2")" && ln -sfn "$1" "$2.new" && mv -fT "$2.new" "$2"
}

need_systemd() {
    command -v systemctl >/dev/null ||
        die "this machine has no systemd" "a host without it uses the shell client in snowflakes/, or cron and ./install.sh venv"
}

# In a chroot (an image being made) units are enabled, and start with the machine.
is_booted() { [ -d /run/systemd/system ]; }

install_units() { # UNIT ...
    before=$changed
    changed=''
    for unit; do install_file "$unit" "$units/${unit##*/}"; done
    reload_if_due
    changed=$changed$before
}

# By what systemd says, not by what was just written: the run that wrote it may have been interrupted.
reload_if_due() {
    is_booted || return 0
    if [ -n "$dry_run" ]; then
        [ -z "$changed" ] || step "have systemd read the units anew"
    elif systemctl show --property=NeedDaemonReload --value 'nightdrop-*' | grep -q yes || [ -n "$changed" ]; then
        step "have systemd read the units anew" systemctl daemon-reload
    fi
}

enable_units() { # UNIT ...
    new=''
    for unit; do
        # What was enabled here before and disabled by hand stays so.
        [ -e "$opt/enabled/$unit" ] || new="$new $unit"
    done
    [ -n "$new" ] || return 0
    # shellcheck disable=SC2086 # names of units
    {
        step "enable$new" systemctl enable --quiet $new
        # Together, so that systemd has them in their order. A timer waits for its time.
        if is_booted; then step "start$new" systemctl start $new; fi
        # Only then: a run that is interrupted before does it again.
        [ -n "$dry_run" ] || remember_enabled $new
    }
}

remember_enabled() { # UNIT ...
    mkdir -p "$opt/enabled"
    for unit; do touch "$opt/enabled/$unit"; done
}

disable_unit() { # UNIT
    if is_booted; then systemctl stop "$1" || return; fi
    systemctl disable --quiet "$1" && rm "$opt/enabled/$1"
}

say_end() {
    if [ -z "$changed" ]; then
        say "nothing had to be changed"
    elif [ -n "$dry_run" ]; then
        say "this was a dry run: nothing was changed"
    fi
}
