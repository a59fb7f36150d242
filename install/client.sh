# shellcheck shell=sh
# ./install.sh client: the configuration, the bundle, the timer.

install_client() {
    need_systemd
    plain_bundle=$configuration/bundle.toml
    [ "$job" = client ] || plain_bundle=$configuration/$job.bundle.toml
    credential=nightdrop-$job.bundle
    sealed_bundle=/etc/credstore.encrypted/$credential
    install_app client
    [ -z "$bundle" ] || vet bundle "$bundle"
    make_folder 755 root "$configuration"
    make_folder 755 root /var/lib/nightdrop
    [ -e "$configuration/$job.toml" ] || configure_client
    install_file core/nightdrop/systemd/nightdrop-failed "$opt/nightdrop-failed" 755
    install_units core/nightdrop/systemd/nightdrop-failed@.service client/nightdrop_client/systemd/nightdrop-*
    [ -z "$bundle" ] || keep_bundle
    if [ -n "$bundle" ] || [ -e "$plain_bundle" ] || [ -e "$sealed_bundle" ]; then
        enable_units "nightdrop-backup@$job.timer"
        elsewhere=''
        [ "$job" = client ] || elsewhere=" --config $configuration/$job.toml"
        [ -z "$new" ] ||
            say "to go on: nightdrop doctor$elsewhere; systemctl start nightdrop-backup@$job.service, for the first full"
    else
        say "to go on: ./install.sh client --bundle FILE, with the file that \`nightdrop enroll\` on the mirrors made"
    fi
}

configure_client() {
    example=$(mktemp) || no_temporary
    # Every job has a bundle and a state of its own.
    sed -e "s|^bundle = .*|bundle = \"${plain_bundle##*/}\"|" -e "s|^state = .*|state = \"/var/lib/nightdrop/$job\"|" \
        client/nightdrop_client/client.example.toml >"$example"
    install_file "$example" "$configuration/$job.toml"
    rm -f "$example"
}

keep_bundle() {
    if [ -z "$plain" ] && can_seal; then
        if ! systemd-creds decrypt --name="$credential" "$sealed_bundle" - 2>/dev/null | cmp -s - "$bundle"; then
            make_folder 700 root /etc/credstore.encrypted
            step "keep the bundle in $sealed_bundle, encrypted for this machine" seal_bundle
        fi
        # It would be read in preference.
        [ ! -e "$plain_bundle" ] || step "remove $plain_bundle" rm "$plain_bundle"
    else
        install_file "$bundle" "$plain_bundle" 600
        [ ! -e "$sealed_bundle" ] || step "remove $sealed_bundle" rm "$sealed_bundle"
    fi
}

seal_bundle() {
    systemd-creds encrypt --name="$credential" "$bundle" "$sealed_bundle.new" && chmod 600 "$sealed_bundle.new" &&
        mv -f "$sealed_bundle.new" "$sealed_bundle"
}

# Trying is the only way to know: some containers cannot. It makes systemd's key of this machine.
can_seal() {
    command -v systemd-creds >/dev/null || return 1
    [ -n "$dry_run" ] || echo | systemd-creds encrypt --name=try - - >/dev/null 2>&1
}
