# shellcheck shell=sh
# ./install.sh uninstall: everything that the other parts put there, and nothing else.

install_uninstall() {
    # What starts others goes first, or systemd warns that it still could.
    for unit in "$units"/nightdrop-*.timer "$units"/nightdrop-*.socket "$units"/nightdrop-*.service; do
        [ -e "$unit" ] || continue
        name=${unit##*/}
        case $name in
        *@.*) stop_unit "$(echo "$name" | sed 's/@/@*/')" ;;
        *) stop_unit "$name" ;;
        esac
    done
    for unit in "$units"/nightdrop-* /etc/systemd/system/nightdrop-*.d/mirror-toml.conf; do
        [ ! -e "$unit" ] || step "remove $unit" rm "$unit"
    done
    for folder in /etc/systemd/system/nightdrop-*.d; do
        # One in which something else lies stays.
        [ ! -d "$folder" ] || [ -n "$dry_run" ] || rmdir "$folder" 2>/dev/null || true
    done
    reload_if_due
    for link in /usr/local/bin/nightdrop /usr/local/share/man/man1/*.1 \
        /usr/local/share/bash-completion/completions/nightdrop; do
        case $(readlink "$link" || true) in
        "$opt"/*) step "remove $link" rm "$link" ;;
        esac
    done
    for each in "$opt/.venv" "$opt"/venv-* "$opt/roles" "$opt/enabled" "$opt/door" "$opt/nightdrop-failed"; do
        if [ -e "$each" ] || [ -L "$each" ]; then step "remove $each" rm -rf "$each"; fi
    done
    # Whatever else is in there is not ours.
    [ -n "$dry_run" ] || rmdir --ignore-fail-on-non-empty "$units" "${units%/*}" /usr/local/share/man/man1 \
        /usr/local/share/bash-completion/completions /usr/local/share/bash-completion 2>/dev/null || true
    [ ! -d "$opt" ] || [ -n "$dry_run" ] || rmdir "$opt" 2>/dev/null || true
    say "left where they are, as far as they are there:"
    say "  $configuration and /etc/credstore.encrypted/nightdrop-*.bundle   configuration, bundles"
    say "  /var/lib/nightdrop   state: enrolled hosts, certificate, ledger; what a client remembers"
    say "  /srv/nightdrop, or where mirror.toml has the vault   the backups"
    say "  the user nightdrop, to whom a mirror's state and vault belong"
}

stop_unit() { # UNIT or PATTERN
    if is_booted && [ -n "$(systemctl list-units --plain --no-legend --state=active,activating,reloading "$1")" ]; then
        step "stop $1" systemctl stop "$1"
    fi
    for link in /etc/systemd/system/*.wants/$1; do
        [ ! -L "$link" ] || step "disable ${link##*/}" systemctl disable --quiet "${link##*/}"
    done
}
