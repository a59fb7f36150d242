# shellcheck shell=sh
# ./install.sh mirror: the user, the folders, the configuration, the units; and start it, once it is configured.

mirror_toml=$configuration/mirror.toml

install_mirror() {
    need_systemd
    install_app server check
    getent passwd nightdrop >/dev/null ||
        step "make the user nightdrop" make_user
    make_folder 755 root "$configuration"
    make_folder 755 root /var/lib/nightdrop
    make_folder 700 nightdrop /var/lib/nightdrop/mirror
    configure_mirror
    # Up to here nothing is in use yet; what is changed from here on is worth a restart.
    upgraded=$changed
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
    example=$(mktemp)
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
    fitted=$(mktemp -d)
    "$opt/.venv/bin/python" -m nightdrop_server.fitting "$mirror_toml" "$fitted" || {
        rm -rf "$fitted"
        die "the mirror was not started" "mend $mirror_toml as it says above, then run ./install.sh mirror again"
    }
    make_folder 700 nightdrop "$(cat "$fitted/vault")"
    fit_units
    if [ -n "$upgraded" ] && is_booted; then
        # Uploads under way are sent again.
        step "restart the door if it runs" systemctl try-restart nightdrop-serve.service
    fi
    wanted=$(paste -s -d ' ' "$fitted/units")
    rm -rf "$fitted"
    # A service is handed the sockets that are there when it starts: for other ones it has to start anew.
    listening=''
    if [ -n "$refitted" ] || changes_units; then stop_door; fi
    disable_unneeded
    # shellcheck disable=SC2086 # names of units
    {
        enable_units $wanted
        [ -z "$listening" ] || step "start the door with its new settings" systemctl start $listening
    }
}

# A vault or an address other than the units' own are made known to them by drop-ins.
fit_units() {
    refitted=''
    for dropin in "$fitted"/*.d/mirror-toml.conf; do
        [ -e "$dropin" ] || continue
        target=/etc/systemd/system/${dropin#"$fitted"/}
        cmp -s "$dropin" "$target" || refit install_file "$dropin" "$target"
    done
    for dropin in /etc/systemd/system/nightdrop-*.d/mirror-toml.conf; do
        if [ -e "$dropin" ] && [ ! -e "$fitted/${dropin#/etc/systemd/system/}" ]; then
            refit step "remove $dropin" rm "$dropin"
        fi
    done
    [ -z "$refitted" ] || reload
}

refit() { # COMMAND ...
    refitted=yes
    "$@"
}

changes_units() {
    for unit in $wanted; do [ -e "$opt/enabled/$unit" ] || return 0; done
    [ -n "$(unneeded)" ]
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
        listening=$(echo "$listening" | grep -vxF "$unit" || true)
        step "disable $unit, which mirror.toml wants no more" disable_unit "$unit"
    done
}

stop_door() {
    is_booted || return 0
    listening=$(systemctl list-units --plain --no-legend --state=active 'nightdrop-serve.*' \
        'nightdrop-administration.*' | cut -d ' ' -f 1)
    [ -z "$listening" ] ||
        step "stop the door" systemctl stop nightdrop-serve.socket nightdrop-administration.socket nightdrop-serve.service
}
