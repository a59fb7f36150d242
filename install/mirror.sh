# shellcheck shell=sh
# ./install.sh mirror: the user, the folders, the configuration, the units; and start it, once it is configured.

mirror_toml=$configuration/mirror.toml
door=$opt/door
serve_dropin=/etc/systemd/system/nightdrop-serve.service.d/mirror-toml.conf

install_mirror() {
    need_systemd
    install_app server check
    [ -z "$recipients" ] || vet recipients "$recipients"
    getent passwd nightdrop >/dev/null ||
        step "make the user nightdrop" make_user
    make_folder 755 root "$configuration"
    make_folder 755 root /var/lib/nightdrop
    make_folder 700 nightdrop /var/lib/nightdrop/mirror
    configure_mirror
    install_file core/nightdrop/systemd/nightdrop-failed "$opt/nightdrop-failed" 755
    install_units core/nightdrop/systemd/nightdrop-failed@.service check/nightdrop_check/systemd/nightdrop-* \
        server/nightdrop_server/systemd/nightdrop-*.service server/nightdrop_server/systemd/nightdrop-*.socket
    if cmp -s "$mirror_toml" server/nightdrop_server/mirror.example.toml; then
        say "to go on: edit $mirror_toml (name, url, recipients), then run ./install.sh mirror again"
    else
        start_mirror
    fi
}

make_user() {
    systemd-sysusers - <server/nightdrop_server/systemd/nightdrop.sysusers.conf
}

configure_mirror() {
    [ -z "$recipients" ] || install_file "$recipients" "$configuration/recipients.pem"
    if [ -e "$mirror_toml" ]; then
        [ -z "$url" ] || grep -qF "url = \"$url\"" "$mirror_toml" ||
            say "kept as it is: $mirror_toml, whose url is not $url"
        return 0
    fi
    example=$(mktemp) || no_temporary
    fill_in_example >"$example"
    install_file "$example" "$mirror_toml"
    rm -f "$example"
}

fill_in_example() {
    if [ -z "$url" ]; then
        cat server/nightdrop_server/mirror.example.toml
        return
    fi
    host=${url#https://}
    host=${host%%/*}
    port=443
    case $host in
    \[*\]:* | [!\[]*:*) port=${host##*:} host=${host%:*} ;;
    esac
    # The invitation to change it goes, too: who was called as the example is would seem not to have done so.
    sed -e "1s| Copy this to .*||" -e "s|^name = .*|name = \"$host\"|" -e "s|^url = .*|url = \"$url\"|" \
        -e "s|^listen = \"\[::\]:8443\"|listen = \"[::]:$port\"|" \
        -e "s|backup1\.example\.org|$host|" server/nightdrop_server/mirror.example.toml
}

start_mirror() {
    if [ ! -e "$opt/.venv" ] || [ ! -e "$mirror_toml" ]; then
        say "  fit the units to $mirror_toml, make the vault's folder, enable and start the units"
        return
    fi
    fitted=$(mktemp -d) || no_temporary
    "$opt/.venv/bin/python" -m nightdrop_server.fitting "$mirror_toml" "$fitted" || {
        refused=$?
        rm -rf "$fitted"
        say "the mirror was not started: mend that, then run ./install.sh mirror again" >&2
        exit $refused
    }
    vault=$(cat "$fitted/vault")
    make_folder 700 nightdrop "$vault"
    fit_units
    wanted=$(paste -s -d ' ' "$fitted/units")
    rm -rf "$fitted"
    # A service is handed the sockets that are there when it starts: for other ones it has to start anew.
    listening=''
    if is_new sockets; then
        stop_door
        note sockets
    fi
    disable_unneeded
    # shellcheck disable=SC2086 # names of units
    enable_units $wanted
    begun=$new
    enabled=$new
    if [ -s "$door/stopped" ] || [ -n "$listening" ]; then start_door; fi
    if is_new service || has_another_vault; then
        case $begun in *nightdrop-serve.service*) ;; *) restart_door ;; esac
        note service
    fi
    case $enabled in *nightdrop-serve.socket*) say "to go on: nightdrop doctor; nightdrop enroll HOST -o BUNDLE, for each host" ;; esac
}

# The door was started on a disk that is no longer there: another was mounted in its place, maybe.
has_another_vault() {
    is_booted || return
    pid=$(systemctl show --property=MainPID --value nightdrop-serve.service)
    [ "$pid" != 0 ] || return
    [ "$(place_of "/proc/$pid/root$vault")" = "$(place_of "$vault")" ] || return 0
    # Nor could it write to a folder that was made anew: to the door, the system is read-only but for the old one.
    ! nsenter -t "$pid" -m test -w "$vault"
}

place_of() { stat -L -c %d:%i "$1" 2>/dev/null || true; }

restart_door() {
    # Uploads under way are sent again.
    ! is_booted || step "restart the door, if it runs, with its new version, settings or disk" \
        systemctl try-restart nightdrop-serve.service
}

# What the door began with is noted down, so that it begins anew when that is another: mirror.toml may have been
# edited, another role on this machine upgraded, a run before this interrupted.
is_new() { # sockets or service
    [ "$(cat "$door/$1" 2>/dev/null)" != "$("$1")" ]
}

sockets() {
    {
        echo "$wanted" | grep -o '[^ ]*[.]socket'
        for each in "$units"/nightdrop-*.socket /etc/systemd/system/nightdrop-*.socket.d/mirror-toml.conf; do
            [ ! -e "$each" ] || cat "$each"
        done
    } | sha256sum
}

service() {
    {
        echo "$app"
        cat "$mirror_toml" "$units/nightdrop-serve.service"
        [ ! -e $serve_dropin ] || cat $serve_dropin
    } | sha256sum
}

note() { # sockets or service
    [ -z "$dry_run" ] || return 0
    mkdir -p "$door" && "$1" >"$door/$1.new" && mv -f "$door/$1.new" "$door/$1"
}

# A vault or an address other than the units' own are made known to them by drop-ins.
fit_units() {
    before=$changed
    changed=''
    for dropin in "$fitted"/*.d/mirror-toml.conf; do
        [ ! -e "$dropin" ] || install_file "$dropin" "/etc/systemd/system/${dropin#"$fitted"/}"
    done
    for dropin in /etc/systemd/system/nightdrop-*.d/mirror-toml.conf; do
        if [ -e "$dropin" ] && [ ! -e "$fitted/${dropin#/etc/systemd/system/}" ]; then
            step "remove $dropin" rm "$dropin"
        fi
    done
    reload_if_due
    changed=$changed$before
}

# What mirror.toml wanted once and wants no more: the administrator's listener, the timers of the mails.
unneeded() {
    for each in "$opt"/enabled/nightdrop-*; do
        [ -e "$each" ] || continue
        case " $wanted nightdrop-backup@${each##*@} " in *" ${each##*/} "*) ;; *) echo "${each##*/}" ;; esac
    done
}

disable_unneeded() {
    for unit in $(unneeded); do
        step "disable $unit, which mirror.toml wants no more" disable_unit "$unit"
    done
}

stop_door() {
    is_booted || return 0
    listening=$(systemctl list-units --plain --no-legend --state=active 'nightdrop-serve.*' \
        'nightdrop-administration.*' | cut -d ' ' -f 1)
    [ -z "$listening" ] || step "stop the door" stop_listening
}

stop_listening() {
    # Kept until it is started again: this run may be interrupted in between, as one before it may have been.
    mkdir -p "$door" || return
    [ -s "$door/stopped" ] || { echo "$listening" >"$door/stopped.new" && mv -f "$door/stopped.new" "$door/stopped"; } || return
    systemctl stop nightdrop-serve.socket nightdrop-administration.socket nightdrop-serve.service
}

start_door() {
    # What mirror.toml wants no more stays stopped.
    listening=$(cat "$door/stopped" 2>/dev/null | grep -xF "$(echo "$wanted" | tr ' ' '\n')" | paste -s -d ' ')
    begun=$begun$listening
    step "start the door with its new settings" start_listening
}

start_listening() {
    # shellcheck disable=SC2086 # names of units
    { [ -z "$listening" ] || systemctl start $listening; } && rm "$door/stopped"
}
