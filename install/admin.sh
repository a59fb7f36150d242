# shellcheck shell=sh
# ./install.sh admin: what makes keys and restores. It leaves nothing running.

install_admin() {
    install_app restore
    say "to go on: nightdrop key new FOLDER --name \"backup admin\""
}
