#!/bin/sh
# Nightdrop for whatever cannot run Python: routers, firewalls, anything with a POSIX shell, openssl and curl.
#
# One file, the whole client. What a command writes goes, in one pass, through a seal to the recipients' public
# keys and to every mirror at once; the receipt comes last, and only if every stage succeeded. docs/FORMAT.md
# says what is stored. A shell hides the failures of a pipeline and has no pipefail, so every stage writes its
# status into a file of its own, and a file that is not there counts as a failure.
#
# No secret is ever an argument or in the environment: passwords go from the bundle into curl's own
# configuration files, and no shell variable holds one.
set -eu
umask 077
LC_ALL=C
export LC_ALL
# cron may look in fewer places than these programs are in: FreeBSD's does.
if ! { command -v curl && command -v openssl; } >/dev/null; then
    PATH=$PATH:/usr/local/bin:/usr/local/sbin:/opt/bin:/usr/bin:/bin:/usr/sbin:/sbin
fi
# What curl holds is not to end in a file, however it ends.
# shellcheck disable=SC3045 # where there is no such limit, there is none
ulimit -c 0 2>/dev/null || :

version=0.1.0
written=2026      # the year this was: a clock that says an earlier one was never set
grace=30          # seconds that a failing mirror may cost a run after another one took the file
tries=5           # how often one file is sent again after it broke off in the middle
slowest=2000      # octets a second: what is slower for a minute has broken off, or would hold up the other mirror for days
smallest=1000000  # octets; with room for less than this in a volume, streams go without temporary files

usage() {
    cat <<'END'
usage: nightdrop.sh [-C FOLDER] drop KIND[-full|-inc] EXT [--what TEXT] -- COMMAND [ARGUMENT ...]
       nightdrop.sh [-C FOLDER] install BUNDLE
       nightdrop.sh [-C FOLDER] doctor | status | delay [--show]

drop     Run the command, seal what it writes, drop it on every mirror, and end with the receipt, if the
         command and everything else succeeded. The set is called KIND-full.TIME.EXT.p7m. --what says in the
         receipt what was backed up, in words of yours (KIND).
install  Make the configuration in FOLDER from a bundle that `nightdrop enroll` made. Settings that are there
         stay as they are.
doctor   Try everything but a backup: the mirrors, the passwords, that nothing is given out, openssl, room.
status   What was dropped lately, where it is, how the last run of each kind went, and what a mirror still lacks.
delay    Sleep this host's own part of `delay` in the configuration, the same each time, by its name; or show it.

FOLDER is /etc/nightdrop unless -C or NIGHTDROP_FOLDER say otherwise; nightdrop.conf in it explains itself.

exit status: 0 done; 1 failed; 2 wrong usage or configuration; 3 done, but not on every mirror
END
}


# --- saying it ---

say() { printf 'nightdrop: %s\n' "$*"; }

syslog() { # PRIORITY MESSAGE
    logger -t nightdrop -p "daemon.$1" -- "$2" 2>/dev/null || :
}

told=
complain() { # MESSAGE [HINT]
    told=$1
    printf 'nightdrop: error: %s\n' "$1" >&2
    [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
    syslog err "$1"
}

fail() { complain "$@"; exit 1; }

misused() { complain "$@"; exit 2; }

rfc3339() { date -u +%Y-%m-%dT%H:%M:%SZ; }

# What is read takes the place of a file, all of it or nothing.
replace() { # FILE
    new=${1%/*}/.${1##*/}
    cat >"$new" && mv "$new" "$1"
}


# --- the configuration ---

read_configuration() {
    configuration=$folder/nightdrop.conf
    [ -r "$configuration" ] || misused "$configuration: there is no such configuration" \
        "nightdrop.sh install BUNDLE makes it; nightdrop enroll on a mirror makes the bundle"
    host='' mirrors='' addresses='' volume=256M cipher=auto compress=auto rate='' patience=600 delay=3600 signing_key=''
    state=$folder/state temporary=/tmp line_number=0
    while IFS= read -r line || [ -n "$line" ]; do
        line_number=$((line_number + 1)) value=${line#*=}
        case $line in
        '' | '#'*) ;;
        mirror=*) add_mirror "${value%% *}" "${value#* }" ;;
        host=* | volume=* | cipher=* | compress=* | rate=* | patience=* | delay=* | signing_key=* | state=* | temporary=*)
            eval "${line%%=*}=\$value"
            ;;
        *)
            misused "$configuration: line $line_number is no setting: $line" \
                "KEY=value, with one of: host mirror volume cipher compress rate patience delay signing_key state temporary"
            ;;
        esac
    done <"$configuration"
    check_configuration
}

# A mirror is known by its name, which its files have, too; `addresses` says NAME=URL of each.
add_mirror() { # NAME URL
    mirror=$value
    { is_mirror_name "$1" && is_url "$2"; } || wrong_setting mirror "a name of its own, a blank and a URL"
    mirrors="$mirrors $1" addresses="$addresses $1=${2%/}"
}

folder_of() { # MIRROR: our own one there
    url=${addresses##* "$1"=}
    printf %s "${url%% *}/$host"
}

check_configuration() {
    is_host_name "$host" || wrong_setting host "the name of a host, as the bundle says it"
    [ -n "$mirrors" ] || misused "$configuration: there is no mirror" "mirror=, a name, a blank and a URL"
    [ "$volume" = stream ] || is_size "$volume" || wrong_setting volume "stream, or a size such as 256M"
    case $cipher in
    auto | aes-256-gcm | aes-256-cbc) ;;
    *) wrong_setting cipher "auto, aes-256-gcm or aes-256-cbc" ;;
    esac
    case $compress in
    auto | none) ;;
    zstd) command -v zstd >/dev/null || misused "$configuration: compress=zstd, and zstd is not installed" "compress=auto" ;;
    *) wrong_setting compress "auto, zstd or none" ;;
    esac
    [ -z "$rate" ] || { is_size "$rate" && [ "$(octets "$rate")" -ge $((2 * slowest)) ]; } ||
        wrong_setting rate "octets a second, such as 2M, and at least $((2 * slowest)), or nothing"
    is_seconds "$patience" || wrong_setting patience seconds
    is_seconds "$delay" || wrong_setting delay seconds
    [ -z "$signing_key" ] || is_absolute "$signing_key" || signing_key=$folder/$signing_key
    [ -z "$signing_key" ] || [ -r "$signing_key" ] ||
        wrong_setting signing_key "a file with a private key and its certificate, or nothing"
    is_absolute "$state" || wrong_setting state "a path that begins with /"
    is_absolute "$temporary" || wrong_setting temporary "a path that begins with /"
    for mirror in $mirrors; do
        [ -r "$folder/mirrors/$mirror.curl" ] ||
            misused "$folder/mirrors/$mirror.curl: cannot be read" "nightdrop.sh install BUNDLE makes it anew"
    done
    for recipient in "$folder"/recipients/*.pem; do
        [ -r "$recipient" ] || misused "$folder/recipients: there is no recipient to seal to" \
            "nightdrop.sh install BUNDLE puts the bundle's there"
    done
}

wrong_setting() { # KEY EXPECTED
    eval "value=\$$1"
    misused "$configuration: $1 has to be $2, and is \"$value\""
}

is_absolute() { [ "${1#/}" != "$1" ]; }

is_host_name() {
    case $1 in
    '' | [!a-z0-9]* | *[!a-z0-9] | *[!a-z0-9._-]* | *..*) return 1 ;;
    esac
    [ ${#1} -le 63 ]
}

is_mirror_name() { # and no other's
    case $1 in
    *[!A-Za-z0-9._-]*) return 1 ;;
    esac
    case "$mirrors " in
    *" $1 "*) return 1 ;;
    esac
}

is_url() {
    case $1 in
    *[!!-~]*) return 1 ;;
    http://* | https://*) ;;
    *) return 1 ;;
    esac
}

# To arithmetic, a number that begins with 0 is octal.
is_number() {
    case $1 in
    '' | *[!0-9]* | 0?*) return 1 ;;
    esac
    [ ${#1} -le 12 ]
}

is_seconds() { is_number "$1" && [ ${#1} -le 7 ]; }

is_size() { is_number "${1%[KMG]}"; }

# By awk, because some shells count in 32 bits.
octets() { # SIZE
    echo "$1" | awk '{ factor["K"] = 1e3; factor["M"] = 1e6; factor["G"] = 1e9
        unit = substr($1, length($1)); printf "%.0f", (unit in factor) ? $1 * factor[unit] : $1 }'
}


# --- names, and the clock that they go by ---

# KIND, KIND-full or KIND-inc, and EXT, as docs/FORMAT.md, "Names", allows them: `kind` and `type`.
check_names() { # KIND EXT
    type=full
    case $1 in
    *-inc) type=inc ;;
    esac
    kind=${1%-full} kind=${kind%-inc}
    case $kind in
    duplicity | '' | [!a-z]* | *[!a-z0-9_]*) false ;;
    *) [ ${#kind} -le 32 ] ;;
    esac || misused "$1 cannot be the kind of a set" \
        "up to 32 lower-case letters, digits and _, beginning with a letter, and maybe -full or -inc: conf-full"
    case $2 in
    '' | .* | *. | *..* | *[!a-z0-9.]* | vol[0-9]* | manifest | supplement | jsonstat | difftar) false ;;
    *) [ ${#2} -le 64 ] ;;
    esac || misused "$2 cannot be the extension of a set" "lower-case letters, digits, and dots within: tar.gz"
}

# Many a router begins in 1970, or when its firmware was made, until it is told the time. Certificates are not valid
# then, and names would lie.
is_set() { [ "$(date -u +%Y)" -ge $written ]; }

check_clock() { # COMMAND: that says what is wrong
    is_set || "$1" "the clock says $(rfc3339): it was never set" \
        "have it set over the network (NTP): certificates and the names of backups go by it"
}

await_clock() {
    waited=0
    until is_set || [ $waited -ge "$patience" ]; do
        stage clock exec sleep 5 3</dev/null
        waited=$((waited + 5))
    done
    check_clock complain
}

# The set's own time. Written down before anything is sent under it: no name is ever sent twice, though a clock without
# a battery may begin at the same second each time.
take_time() {
    last=$(tail -n 1 "$state/last" 2>/dev/null) || last=
    until
        time=$(date -u +%Y%m%dT%H%M%SZ)
        ! grep -q "^$time" "$state/last" 2>/dev/null
    do sleep 1; done
    if expr "$time" \< "${last:-0}" >/dev/null; then
        [ "$type" = full ] || fail "the clock ($time) is behind the last backup ($last)" \
            "an incremental needs a later time than its base: set the clock, or make a full"
        complain "the clock ($time) is behind the last backup ($last)" "see whether it is set over the network"
    fi
    { tail -n 399 "$state/last" 2>/dev/null || :; echo "$time"; } | replace "$state/last" ||
        fail "$state/last: cannot be written"
    stem=$kind-$type.$time
}


# --- one run at a time, and nothing left behind ---

# What can wait does: a run that is under way may end soon.
await_run() {
    waited=0
    while holder=$(target_of "$state/lock") && is_alive "$holder" && [ $waited -lt "$patience" ]; do
        [ $waited -gt 0 ] || say "a run is under way (process $holder): waiting for its end, at most $patience seconds" >&2
        sleep 1
        waited=$((waited + 1))
    done
}

# A link is made and says whose it is in one step.
take_lock() {
    mkdir -p "$state/outbox" || fail "$state: the folder cannot be made" "root is needed, or another \`state\`"
    lock=$state/lock
    if ! ln -s $$ "$lock" 2>/dev/null; then
        holder=$(target_of "$lock")
        [ -n "$holder" ] || fail "$lock: cannot be made" "is the disk full, or read-only?"
        ! is_alive "$holder" || fail "a run is under way already: process $holder" "this one did nothing"
        # It was killed. Of several that see so at once, only one moves the very link that it saw.
        { mv "$lock" "$lock.$$" && [ "$(target_of "$lock.$$")" = "$holder" ] && rm "$lock.$$" && ln -s $$ "$lock"; } \
            2>/dev/null || fail "another run has just begun" "this one did nothing"
    fi
    workplace='' run='' ending='' noted='' outlook="there is no receipt, so nothing counts; the next run makes a new set"
    trap clean_up EXIT
    trap 'interrupted 129' HUP
    trap 'interrupted 130' INT
    trap 'interrupted 131' QUIT
    trap 'interrupted 141' PIPE
    trap 'interrupted 143' TERM
}

target_of() { # LINK
    link=$(ls -l "$1" 2>/dev/null) || link=
    printf %s "${link##* -> }"
}

is_alive() { # PID: and it is a run of ours, not a later process that got its number, after a reboot maybe
    { [ "$1" != $$ ] && kill -0 "$1" 2>/dev/null; } || return 1
    { tr '\000' ' ' <"/proc/$1/cmdline" || ps -o args= -p "$1"; } 2>/dev/null | grep -qF -e "${0##*/}"
}

# Anybody may write to /tmp. So the folder has a name that nobody knows before, all happens below it, and what others put
# there under a name like ours stays as it is: to remove that would be to go wherever they lead. What killed runs left is
# removed, though processes of theirs may still write there: it is moved first, or that would keep it from going. A run
# that is alive has another configuration: of one there is only this.
make_workplace() {
    for left in "$temporary/nightdrop~$host~"*; do
        owner=${left##*/} owner=${owner#*~*~}
        if is_ours "$left" && ! is_alive "${owner%%~*}"; then
            [ ! -d "$left/run" ] || mv "$left/run" "$left/gone"
            rm -rf "$left"
        fi
    done
    new=$temporary/nightdrop~$host~$$~$(openssl rand -hex 8 2>/dev/null || echo $$)
    { mkdir "$new" && workplace=$new run=$new/run && mkdir "$run"; } ||
        fail "$new: the folder for temporary files cannot be made" "is the disk full, or read-only?"
}

is_ours() { # PATH: a folder, and not somebody else's; posh has no -O
    # shellcheck disable=SC2012 # find has no such word on a router
    [ ! -L "$1" ] && [ -d "$1" ] && [ "$(ls -ldn "$1" | awk '{ print $3 }')" = "$(id -u)" ]
}

interrupted() { # STATUS
    trap '' HUP INT QUIT PIPE TERM
    ending=$1 # mksh forgets it
    complain "interrupted${stem:+ ($stem)}" "$outlook"
    exit "$1"
}

clean_up() {
    status=$?
    [ -z "$ending" ] || status=$ending
    trap '' HUP INT QUIT PIPE TERM
    trap - EXIT
    # set -e ends a run without a word, and some shells do so, with 2, where a full disk refuses a redirection.
    if [ "$status" != 0 ] && [ -z "$told" ]; then
        status=1
        complain "the run broke off${stem:+ ($stem)}" "is the disk of $temporary or $state full?"
    fi
    if [ -n "$workplace" ]; then
        # Moved first, so that nothing more is written into it, and what begins now is ended at once.
        if [ -d "$run" ] && mv "$run" "$workplace/gone"; then run=$workplace/gone; fi
        kill_stages ''
        rm -rf "$workplace"
    fi
    case $noted,$status in
    yes,0) note "was done at $(rfc3339)" ;;
    yes,3) note "was done at $(rfc3339), but not everywhere: $told" ;;
    yes,*) note "failed at $(rfc3339): $told" ;;
    esac || :
    [ "$(target_of "$lock")" != $$ ] || rm -f "$lock"
    exit "$status"
}

# How the last run of each kind goes, for `status`: written when it begins, too, so that one that was killed is told of.
note() { # WHAT IT DID
    mkdir -p "$state/runs" && echo "$kind-$type $1" | replace "$state/runs/$kind" && noted=yes
} 2>/dev/null


# --- stages ---

# A stage is a process whose number is in a file as long as it runs, and then its status in another. Its input is
# descriptor 3, because a shell gives background processes none. The command begins with exec, or is a function that
# ends so: otherwise yash would give us the number of a shell in between.
stage() { # NAME COMMAND ...
    stage_name=$1 stage_status=0
    shift
    "$@" <&3 3<&- 4<&- &
    keep "$stage_name" $! || :
    wait $! || stage_status=$?
    rm -f "$run/pid.$stage_name"
    record "status.$stage_name" $stage_status
}

record() { echo "$2" >"$run/$1"; } 2>/dev/null

# Write down a process that has begun. One that cannot be, or comes after all of its kind were ended, is ended: nobody
# else would ever find it. Who is to write into its FIFO must not begin then, or would wait for a reader for ever.
keep() { # NAME PID
    if record "pid.$1" "$2" && [ -e "$run/pid.$1" ] && [ ! -e "$run/ended.${1%%.*}" ]; then return 0; fi
    kill -9 "$2" 2>/dev/null || :
    return 1
}

# By how their names begin: all of a kind are KIND.MIRROR, and all there are begin with nothing.
kill_stages() { # BEGINNING ...
    for beginning; do
        record "ended.$beginning" yes || :
        for file in "$run/pid.$beginning"*; do
            [ ! -e "$file" ] || kill "$(cat "$file")" || :
        done
    done 2>/dev/null
}

# A stage without which the run fails. Then the source has to end: as long as it has nothing to write, it would not
# notice that nobody reads it any more.
vital() { # NAME COMMAND ...
    stage "$@"
    [ $stage_status = 0 ] || kill_stages source tee
}

# Whether these stages all succeeded; the first that did not is remembered as the failure. Who was killed by
# SIGPIPE (141, in ksh93 269, in yash 397) or by us (143, 271, 399) is only the victim of another.
succeeded() { # STAGE ...
    blame=
    for stage_name; do
        stage_status=$(cat "$run/status.$stage_name" 2>/dev/null) || stage_status=
        case $stage_status in
        0) ;;
        141 | 269 | 397) blame=${blame:-"$stage_name lost its reader"} ;;
        143 | 271 | 399) blame=${blame:-"$stage_name was ended"} ;;
        '') blame="$stage_name was killed, or $temporary is full"; break ;;
        *) blame="$stage_name ended with status $stage_status"; break ;;
        esac
    done
    [ -z "$blame" ] || because "$blame"
}

# Why the run fails. The first reason is the cause, what follows from it comes later.
because() { # REASON
    [ -s "$run/failure" ] || record failure "$1" || :
    return 1
}

# 64 MiB at a time, because OpenWrt's wc counts in 32 bits, and so do some shells. That dd read to the end of its
# piece is told by a mark, which is there before wc sees that end. Nothing is printed unless all was counted.
count_octets() { # NAME
    octets=0 mark=$run/counted.$1
    while
        piece=$({ dd bs=65536 count=1024 && : >"$mark"; } 2>/dev/null | wc -c)
        rm "$mark" 2>/dev/null || return 1
        [ $((piece)) != 0 ]
    do octets=$(echo "$octets $piece" | awk '{ printf "%.0f", $1 + $2 }'); done
    echo "$octets"
}


# --- sealing ---

# openssl has GCM in CMS since 3.0; before, and in LibreSSL, it makes a message that nothing opens, or none. In
# one message GCM ends at 64 GiB, and how long a stream gets nobody knows: what CBC cannot prove, the
# receipt's digest does.
choose_cipher() {
    case $cipher,$volume in
    auto,stream) cipher=aes-256-cbc ;;
    auto,*) if has_gcm; then cipher=aes-256-gcm; else cipher=aes-256-cbc; fi ;;
    aes-256-gcm,*) has_gcm || misused "this openssl cannot seal with aes-256-gcm" "OpenSSL 3.0 can, or cipher=auto" ;;
    esac
}

has_gcm() {
    echo nightdrop | (seal -aes-256-gcm) 2>/dev/null >"$run/trial" &&
        openssl asn1parse -inform DER -in "$run/trial" 2>/dev/null | grep -q authEnvelopedData
}

# In a process of its own, which it becomes. (The end of a pipeline is none in ksh93, without parentheses.)
seal() { # CIPHER
    exec openssl cms -encrypt -stream -binary -outform DER "$1" "$folder"/recipients/*.pem
}

choose_compression() { # EXT: and so which stages are the `sealing` of a slice
    case $compress,$1 in
    auto,*gz | auto,*xz | auto,*zst | auto,*bz2 | auto,*zip) compress=none ;;
    auto,*) if command -v zstd >/dev/null; then compress=zstd; else compress=none; fi ;;
    esac
    sealing="cut openssl"
    [ "$compress" != zstd ] || sealing="cut zstd openssl"
}

# A volume is sealed from a slice of the stream, whose first four octets were read already: only so it can be
# known whether there is another slice, and whether the slice begins as zstd does.
begin_slice() {
    dd bs=1 count=4 <&3 2>/dev/null >"$run/begin" || because "$temporary is full"
}

slice() {
    [ "$compress" = zstd ] || protect
    cat "$run/begin"
    if [ "$volume" = stream ]; then
        exec cat
    # dd reads no octet too many from a pipe, which head does. Without fullblock (OpenWrt's busybox) a short
    # read counts as a block, so the volume may end up smaller; it never loses anything.
    elif dd iflag=fullblock count=0 </dev/null >/dev/null 2>&1; then
        exec dd bs=65536 count=$((size_of_volume / 65536)) iflag=fullblock 2>/dev/null
    else
        exec dd bs=4096 count=$((size_of_volume / 4096)) 2>/dev/null
    fi
}

# An opener would undo the compression of a stream that comes as zstd, and leave out what zstd skips, which has one of
# sixteen marks, from P on in their first octet. A frame that says nothing but zstd's own mark protects it: openers undo
# that one and pass on the rest as it is (FORMAT.md, "Compression").
protect() {
    tr '\120-\137' P <"$run/begin" >"$run/mark" || exit 1
    if printf '\050\265\057\375' | cmp -s - "$run/mark" || printf 'P\052\115\030' | cmp -s - "$run/mark"; then
        printf '\050\265\057\375\040\004\041\000\000'
    fi
}

sealed_slice() { # the next slice, sealed, on standard output
    if [ "$compress" = zstd ]; then vital cut slice | vital zstd exec zstd -q -c 3<&0; else vital cut slice; fi |
        vital openssl seal "-$cipher" 3<&0
}

# shellcheck disable=SC2086 # a list of names
was_sealed() { succeeded $sealing; }


# --- a mirror ---

# One request. Its `outcome`: 0 done, 1 it will not change, 2 worth another try. What stands still for a minute, or nearly
# so, has broken off; sooner where nobody wants to wait so long, but no sooner than a mirror that is busy, or its disk,
# would go on.
ask() { # MIRROR ARGUMENT ...
    asked=$1 stall=60 code=000 octets_sent=0 seconds=0 why='' stage_status=none
    shift
    handshake=$(cat "$run/handshake.$asked" 2>/dev/null) || handshake=20
    [ "$patience" -ge 40 ] || stall=$((patience + 20))
    record "answer.$asked" '' || :
    stage "curl.$asked" fetch -q -K "$folder/mirrors/$asked.curl" -sS --http1.1 --noproxy '*' --globoff \
        --connect-timeout "$handshake" --speed-limit $slowest --speed-time $stall ${rate:+--limit-rate "$rate"} \
        -A "nightdrop.sh/$version" --max-filesize 100000 -o "$run/answer.$asked" -w '%{http_code} %{size_upload} %{time_total}\n' \
        "$@" >"$run/result.$asked" 2>"$run/curl-said.$asked"
    read -r code octets_sent seconds <"$run/result.$asked" || :
    judge
    return $outcome
}

# Only a mirror says 201 or 204; a page to log in says 200 to whatever it is asked.
judge() {
    outcome=1
    case $stage_status,$code in
    0,201 | 0,204) outcome=0 ;;
    *,401) why="it does not accept the password of $host" ;;
    *,409) why="it has other bytes under that name already: did the clock go back, or $state?" ;;
    0,2??) why="it answered $code, as no mirror does: is that one, or a page to log in?" ;;
    *,[345]??)
        why=$(head -n 1 "$run/answer.$asked" 2>/dev/null | sed '/^</d' | legible) # what begins with < is a page
        why="it answered $code${why:+ $why}"
        case $code in
        408 | 429 | 50[0234]) outcome=2 ;;
        esac
        ;;
    none,* | [1-3]??,*) why="curl was killed" outcome=2 ;;
    *)
        why=$({ grep '^curl: ' "$run/curl-said.$asked" || cat "$run/curl-said.$asked"; } 2>/dev/null | head -n 1 | legible)
        outcome=2
        # With wolfSSL and a newer mbedTLS curl has only 35 for it, as for a handshake that broke off.
        case $stage_status,$why in
        51,* | 60,* | 90,* | 35,*' ASN '* | 35,*X509*)
            why="its certificate is not the one that enrolment pinned, or not valid now: $why" outcome=1
            ;;
        esac
        ;;
    esac
}

legible() { tr -cd ' -~' | cut -c 1-160; }

# No answer is long. One without an end would fill $temporary, which may be a router's memory, and take the other
# mirror's backup with it. Not every curl counts what comes in chunks, and posh has no ulimit.
fetch() {
    ulimit -f 200 2>/dev/null || exec sh -c 'ulimit -f 200; exec curl "$@"' sh "$@"
    exec curl "$@"
}

put() { # MIRROR FILE NAME
    ask "$1" -T "$2" -H "Repr-Digest: sha-256=:$(base64_of_hex "$digest"):" "$(folder_of "$1")/$3" 3</dev/null
}

hail() { # MIRROR
    ask "$1" -X OPTIONS -D "$run/fields.$1" "$(folder_of "$1")/" 3</dev/null || [ "$stage_status,$code" = 0,200 ]
}

# Again and again, within bounds, until the mirror takes it; in the end it has, or is dead for this run. What
# broke off in the middle is sent again a few times; a mirror that is not there is waited for.
persist() { # COMMAND MIRROR ...
    waited=0 broken=0 pause=1 taken=0
    cost=$(cat "$run/cost.$2" 2>/dev/null) || :
    cost=${cost:-0}
    while ! "$@"; do
        [ -d "$run" ] || return # the run has ended meanwhile
        if [ "${octets_sent%%.*}" != 0 ]; then broken=$((broken + 1)) seconds=0; fi
        waited=$((waited + ${seconds%%.*} + pause))
        # Before another one took the file, this one held up nobody.
        if somebody_took; then
            cost=$((cost + taken * ${seconds%%.*} + pause)) taken=1
            record "cost.$2" $cost || :
        fi
        if [ "$outcome" = 1 ] || [ $broken -ge $tries ] || [ $waited -gt "$patience" ] || [ "$cost" -gt $grace ]; then
            bury "$2"
            return
        fi
        # TLS may take a slow or busy machine longer. So while no mirror answers, each try gets more time than the one before.
        [ "$stage_status" != 28 ] || somebody_took || [ "$handshake" -ge 160 ] ||
            record "handshake.$2" $((handshake * 2)) || :
        stage "pause.$2" exec sleep $pause 3</dev/null
        [ $pause -ge 30 ] || pause=$((pause * 2))
    done
    record "took.$2" yes
}

bury() { # MIRROR
    record "dead.$1" "$why"
    complain "the mirror $1 is lost for this run: $why"
}

somebody_took() {
    for file in "$run"/took.*; do
        [ ! -e "$file" ] || return 0
    done
    return 1
}

living() {
    for one in $mirrors; do
        [ -e "$run/dead.$one" ] || echo "$one"
    done
}

# Each living mirror at once; false if none took it.
everywhere() { # COMMAND [ARGUMENT ...]
    everywhere_command=$1 uploads=
    shift
    rm -f "$run"/took.*
    for one in $(living); do
        # posh takes "$@" for unset where there are none.
        persist "$everywhere_command" "$one" ${1+"$@"} 3<&- &
        uploads="$uploads $!"
    done
    # shellcheck disable=SC2086 # a list of numbers; without any, wait would wait for others
    [ -z "$uploads" ] || wait $uploads || :
    somebody_took || because "no mirror takes the backups of $host"
}


# --- delivering ---

deliver() {
    exec 3<&0 </dev/null
    begin_slice || return 1
    [ -s "$run/begin" ] || { succeeded tee source && because "source wrote nothing"; return 1; }
    if [ "$volume" = stream ]; then deliver_stream; else deliver_volumes; fi
}

# Volume by volume: sealed into a file, and sent as often as it takes. The end of the stream is only seen after the
# source's status was written, so the last volume of a source that failed is not sent, be it the first.
deliver_volumes() {
    number=0
    while [ -s "$run/begin" ]; do
        number=$((number + 1)) name=$stem.vol$number.$ext.p7m
        rm -f "$run"/status.cut "$run"/status.zstd "$run"/status.openssl
        sealed_slice >"$run/volume" 2>>"$run/said"
        was_sealed && begin_slice || return 1
        if [ ! -s "$run/begin" ]; then
            succeeded tee source || return 1
            [ $number -gt 1 ] || name=$stem.$ext.p7m
        fi
        take_digest "$run/volume" && everywhere put "$run/volume" "$name" || return 1
        remember "$name" "$(wc -c <"$run/volume")" || return 1
    done
}

# Without any file: one pass from the source through the seal and tee into a curl for each mirror. Nobody sees the end of
# the stream before all that made it is known to have succeeded: otherwise the curls are killed first, and a mirror keeps
# nothing that was cut off.
deliver_stream() {
    name=$stem.$ext.p7m
    rm -f "$run"/took.*
    mkfifo "$run/sealed" || return 1
    set -- "$run/sealed"
    { vital digest exec openssl dgst -sha256 3<"$run/sealed" >"$run/digest" 2>/dev/null; } 3<&- &
    keep reader.digest $! || return 1
    consumers=$!
    for one in $(living); do
        mkfifo "$run/fifo.$one" || return 1
        set -- "$@" "$run/fifo.$one"
        consume "$one" "$name" &
        keep "to.$one" $! || return 1
        consumers="$consumers $!"
    done
    {
        sealed_slice 2>>"$run/said"
        if ! { was_sealed && succeeded tee source; }; then kill_stages curl; fi
    } | {
        vital spread exec tee "$@" 3<&0
        # Without it, who has not met it yet would wait for it.
        succeeded spread || kill_stages curl to reader
    } | count_octets sealed >"$run/sealed-size"
    # shellcheck disable=SC2086 # a list of numbers
    wait $consumers || :
    rm -f "$run"/pid.to.* "$run/pid.reader.digest"
    was_sealed && succeeded spread tee source digest || return 1
    somebody_took || because "no mirror took the stream" || return 1
    [ -s "$run/sealed-size" ] || because "the stream could not be counted" || return 1
    read_digest "$(cat "$run/digest")" && remember "$name" "$(cat "$run/sealed-size")"
}

# What a mirror does not take any more is read all the same, or tee would die and the other mirror with it.
consume() { # MIRROR NAME
    exec 3<"$run/fifo.$1"
    # If the run has failed, it was the run that killed this curl.
    if ask "$1" -T - "$(folder_of "$1")/$2"; then record "took.$1" yes; elif [ ! -s "$run/failure" ]; then bury "$1"; fi
    cat <&3 >/dev/null
}

# What the receipt is to say of the file whose digest was taken last.
remember() { # NAME SIZE
    echo "$1 $2 $digest" >>"$run/files" || because "$temporary is full"
}

take_digest() { # FILE: its SHA-256 as `digest`
    read_digest "$(openssl dgst -sha256 <"$1")"
}

read_digest() { # WHAT OPENSSL SAID
    digest=${1##* }
    case $digest in
    *[!0-9a-f]*) digest='' ;;
    esac
    [ ${#digest} = 64 ] || because "openssl could not make a digest"
}

# Neither od nor base64 are on every router.
base64_of_hex() { # HEX
    format=$(echo "$1" | awk '{
        digits = "0123456789abcdef"
        for (at = 1; at < length($1); at += 2)
            printf "\\%03o", 16 * index(digits, substr($1, at, 1)) + index(digits, substr($1, at + 1, 1)) - 17
    }')
    # shellcheck disable=SC2059 # it is a format
    printf "$format" | openssl base64
}


# --- receipts ---

make_receipt() { # FILE
    sealed_to=
    for recipient in "$folder"/recipients/*.pem; do
        openssl x509 -in "$recipient" -outform DER -out "$run/recipient" && take_digest "$run/recipient" || return 1
        sealed_to="$sealed_to${sealed_to:+, }\"$digest\""
    done
    digest=
    # After a power cut it may be empty: then this is a first one.
    [ ! -s "$state/receipt.json" ] || take_digest "$state/receipt.json" || return 1
    tool="nightdrop.sh $version, $(openssl version | cut -d ' ' -f 1,2), $(curl -q --version | sed -n '1s/ (.*//p')"
    (
        printf '{\n "format": "nightdrop-receipt/1",\n "host": "%s",\n "set": "%s",\n "type": "%s",\n' \
            "$host" "$stem" "$type"
        printf ' "started": "%s",\n "finished": "%s",\n "files": [\n' "$started" "$(rfc3339)"
        awk '{ printf "%s  {\"name\": \"%s\", \"size\": %s, \"sha256\": \"%s\"}", comma, $1, $2, $3; comma = ",\n" }
            END { print "\n ]," }' "$run/files" || return 1
        printf ' "recipients": [%s],\n "tool": "%s",\n' "$sealed_to" "$(plain "$tool")"
        printf ' "source": {"what": ["%s"], "size": %s, "files": 1, "unread": 0},\n' \
            "$(plain "$what")" "$(cat "$run/size")"
        printf ' "previous": "%s"\n}\n' "$digest"
    ) >"$1" || return 1
    is_whole "$1" # a full disk may have cut it
}

is_whole() { [ "$(tail -n 1 "$1")" = "}" ]; } # RECEIPT

plain() { # TEXT: within a JSON string. What is not printable ASCII may be no UTF-8 either.
    printf %s "$1" | tr -c ' -~' '?' | cut -c 1-1000 | sed 's/[\\"]/\\&/g'
}

# A file's signature, as FILE.p7s (FORMAT.md, "Receipts").
sign() { # FILE
    openssl cms -sign -binary -md sha256 -nosmimecap -outform DER -signer "$signing_key" -passin pass: -in "$1" \
        -out "$1.p7s" </dev/null 2>"$run/said" && [ -s "$1.p7s" ]
}

# The receipt is issued the moment it is receipt.json: from then on the next one names it, and the mirrors that
# have the set are owed it and its signature, in this run or a later one. What was prepared before that moment does
# not count. All of it is on the disk before it moves, and has moved before anybody gets it: a file system may else come
# out of a power cut with empty files, or without the last ones.
issue_receipt() {
    make_receipt "$run/receipt.json" || return 1
    [ -z "$signing_key" ] || sign "$run/receipt.json" || because "openssl cannot sign with $signing_key" || return 1
    for one in $(living); do
        mkdir -p "$state/outbox/$one" || return 1
        for file in "$run"/receipt.json*; do cp "$file" "$state/outbox/$one/.$stem.${file##*/}" || return 1; done
    done
    cp "$run/receipt.json" "$state/.receipt.json" && sync && mv "$state/.receipt.json" "$state/receipt.json" || return 1
    outlook="the set has its receipt; the next run sends that to mirrors that lack it"
    settle_outbox
    sync
}

settle_outbox() {
    for prepared in "$state"/outbox/*/.*.receipt.json; do
        [ -e "$prepared" ] || continue
        issued=${prepared%/*}/${prepared##*/.}
        if cmp -s "$prepared" "$state/receipt.json"; then
            [ ! -e "$prepared.p7s" ] || mv "$prepared.p7s" "$issued.p7s"
            mv "$prepared" "$issued"
        else
            rm -f "$prepared" "$prepared.p7s"
        fi
    done
}

# What a power cut emptied or cut off all the same is not sent: its name would be taken for good.
discard_damaged() {
    for receipt in "$state"/outbox/*/*.receipt.json; do
        if [ ! -e "$receipt" ] || { is_whole "$receipt" && is_signature "$receipt.p7s"; }; then continue; fi
        complain "$receipt is damaged, and not sent" "was the power cut? On that mirror the set stays without its receipt"
        rm -f "$receipt" "$receipt.p7s"
    done
}

is_signature() { # FILE: or none
    [ ! -e "$1" ] || openssl cms -cmsout -noout -inform DER -in "$1" 2>/dev/null
}

# Pay what is owed, the oldest first.
send_receipts() {
    owed=$(for one in $(living); do ls "$state/outbox/$one" 2>/dev/null; done | sed -n '/\.json$/p' | sort -u)
    for receipt in $owed; do
        send_owed "$receipt.p7s" && send_owed "$receipt" || return 1
    done
}

# A mirror that does not take it is lost for this run, so none gets a receipt whose signature it lacks.
send_owed() { # FILE
    for copy in "$state"/outbox/*/"$1"; do
        [ -e "$copy" ] || return 0
        take_digest "$copy" && break
    done
    everywhere put_owed "$1" || return 1
    for one in $(living); do
        [ ! -e "$run/took.$one" ] || rm -f "$state/outbox/$one/$1"
    done
}

put_owed() { # MIRROR FILE
    copy=$state/outbox/$1/$2
    [ -e "$copy" ] || return 0
    # nginx says 409 of the very same octets, too, if its first answer was lost. Nothing would change it.
    put "$1" "$copy" "$2" || [ "$code" = 409 ]
}


# --- drop ---

drop() { # KIND EXT [--what TEXT] -- COMMAND ...
    [ $# -ge 4 ] || misused "drop needs a kind, an extension, -- and a command" "nightdrop.sh --help"
    check_names "$1" "$2"
    ext=$2 what=$kind
    shift 2
    if [ "$1" = --what ]; then
        what=$2
        shift 2
    fi
    { [ "${1:-}" = -- ] && [ $# -ge 2 ]; } || misused "the command to run comes after --" "nightdrop.sh --help"
    shift
    read_configuration
    take_lock
    note "began at $(rfc3339), and has not ended" || fail "$state/runs: cannot be written" "is the disk full?"
    make_workplace
    await_clock
    started=$(rfc3339)
    settle_outbox
    discard_damaged
    everywhere hail || give_up
    send_receipts || give_up
    choose_volume
    choose_cipher
    choose_compression "$ext"
    take_time
    run_stages "$@" || give_up
    issue_receipt || because "$state: the receipt could not be written; is the disk full?" || give_up
    everywhere_it_can_be
}

# The smaller of what is wanted, half of the room for temporary files, and, if they are in memory, a 32nd of that. Not
# more than 2 GB: some shells count in 32 bits.
choose_volume() {
    [ "$volume" != stream ] || return 0
    place=$(df -Pk "$temporary" | awk 'END { printf "%.0f %s", $4 * 512, $NF }')
    room=
    if is_memory "${place#* }"; then room=$(memory) room=${room:-0}; fi
    size_of_volume=$(echo "$(octets "$volume") ${place%% *} $room" | awk '{
        least = 2e9
        if ($1 < least) least = $1
        if ($2 < least) least = $2
        if (NF > 2 && $3 / 32 < least) least = $3 / 32
        printf "%.0f", least
    }')
    [ "$size_of_volume" -ge $smallest ] || volume=stream
}

is_memory() { # MOUNT POINT
    if [ -r /proc/mounts ]; then
        awk -v at="$1" '$2 == at { type = $3 } END { exit type != "tmpfs" && type != "ramfs" }' /proc/mounts
    else
        mount | grep -qE " on $1 .*tmpfs"
    fi
}

memory() { # octets
    awk '/^MemTotal:/ { printf "%.0f", $2 * 1024 }' /proc/meminfo 2>/dev/null ||
        sysctl -n hw.physmem hw.memsize 2>/dev/null | head -n 1
}

run_stages() { # COMMAND ...
    mkfifo "$run/count" && printf '' >"$run/said" || return 1
    exec 4<&0
    counted_and_delivered "$@" &
    exec 4<&-
    wait $! || return 1
    succeeded tee source count
}

counted_and_delivered() { # COMMAND ...
    { vital count count_octets source 3<"$run/count" >"$run/size"; } 4<&- &
    counting=$!
    keep reader.count $counting || return 1
    if stage source exec "$@" 3<&4 | vital tee exec tee "$run/count" 3<&0 | {
        deliver 4<&- || { kill_stages source tee; false; }
    }; then
        wait $counting || return
        # Before the end of the run, its number may be another process's.
        rm -f "$run/pid.reader.count"
    else
        kill_stages to reader
        false
    fi
}

give_up() {
    cat "$run/said" >&2 2>/dev/null || :
    reasons=
    for one in $mirrors; do
        [ ! -e "$run/dead.$one" ] || reasons="$reasons; $one: $(cat "$run/dead.$one")"
    done
    reason=$(cat "$run/failure" 2>/dev/null) || reason="something was killed, or $temporary is full"
    fail "no backup was made${stem:+ ($stem)}: $reason$reasons" "there is no receipt, so nothing counts as dropped"
}

# Say who has the set, and with which status the run ends.
everywhere_it_can_be() {
    send_receipts || :
    have='' lack=''
    for one in $mirrors; do
        if [ -e "$run/dead.$one" ] || [ -e "$state/outbox/$one/$stem.receipt.json" ]; then
            lack="$lack${lack:+, }$one"
        else
            have="$have${have:+, }$one"
        fi
    done
    facts=$(awk '{ size += $2 } END { printf "%.0f octets in %d file%s", size, NR, NR == 1 ? "" : "s" }' "$run/files")
    {
        tail -n 99 "$state/sets" 2>/dev/null || :
        echo "$(rfc3339) $stem: $facts; on: ${have:-no mirror}${lack:+; not on: $lack}"
    } | replace "$state/sets" || :
    [ -n "$have" ] || fail "no mirror has the receipt of $stem yet: $lack" "it is kept, and the next run sends it first"
    if [ -n "$lack" ]; then
        complain "$stem is not on every mirror: $lack lacks it" "$have has it; the check on $lack will tell, too"
        exit 3
    fi
    say "$stem: $facts; on $have"
    syslog info "$stem: $facts; on $have"
}


# --- install ---

install() { # BUNDLE
    [ -r "$1" ] || misused "$1: cannot be read"
    mkdir -p "$folder" || fail "$folder: the folder cannot be made"
    # A run reads what is replaced here. Of the settings, which may be what is to be mended, only where its lock is and how
    # long to wait for it matter.
    state=$(sed -n 's,^state=/,/,p' "$folder/nightdrop.conf" 2>/dev/null | tail -n 1)
    patience=$(sed -n 's/^patience=\([0-9]\{1,9\}\)$/\1/p' "$folder/nightdrop.conf" 2>/dev/null | tail -n 1)
    state=${state:-$folder/state} patience=${patience:-600} temporary=$folder fresh=$folder/.fresh
    await_run
    take_lock
    workplace=$fresh run=$fresh/run outlook="install it again"
    rm -rf "$fresh"
    mkdir "$fresh" "$fresh/mirrors" "$fresh/recipients" || fail "$folder: cannot be written to"
    unpack_bundle "$1" || { told=yes; exit 2; }
    for certificate in "$fresh"/recipients/*.pem "$fresh"/mirrors/*.pem; do
        [ ! -e "$certificate" ] || openssl x509 -in "$certificate" -noout 2>/dev/null ||
            misused "$1: openssl cannot read a certificate in this bundle" "have the mirror make it anew"
    done
    for mirror_configuration in "$fresh"/mirrors/*.curl; do pin "$mirror_configuration"; done
    write_settings
    rm -rf "$folder/mirrors" "$folder/recipients"
    mv "$fresh/mirrors" "$fresh/recipients" "$folder"
    mv "$fresh/nightdrop.conf" "$folder/nightdrop.conf"
    read_configuration
    say "$host drops on:$mirrors"
    say "the configuration is $configuration; nightdrop.sh doctor tries everything"
}

# curl goes by the very key of the pinned certificate, where it can (it says 4 where it cannot).
pin() { # CURL CONFIGURATION
    certificate=${1%.curl}.pem
    [ -e "$certificate" ] || return 0
    key=$(openssl x509 -in "$certificate" -noout -pubkey | openssl pkey -pubin -outform DER |
        openssl dgst -sha256 -binary | openssl base64)
    pinned=0
    curl -q -s --pinnedpubkey "sha256//$key" file:///dev/null || pinned=$?
    [ $pinned = 4 ] || [ $pinned = 2 ] || echo "pinnedpubkey = \"sha256//$key\"" >>"$1"
}

write_settings() {
    {
        cat "$fresh/bundle.conf"
        if [ -e "$folder/nightdrop.conf" ]; then
            grep -vE '^(host|mirror)=|^# From the bundle' "$folder/nightdrop.conf" || :
        else
            settings
        fi
    } >"$fresh/nightdrop.conf"
}

settings() {
    cat <<'END'

# How large the pieces are that a backup is dropped in: a piece that fails is sent again. Where temporary files are
# in memory or room is short, smaller ones are made by themselves. stream: one piece, without any temporary
# file; what fails then fails for that mirror, and mirrors do not wait for a command that says nothing for 20 seconds.
volume=256M

# auto: aes-256-gcm where openssl can (3.0), aes-256-cbc otherwise and for volume=stream.
cipher=auto

# auto: zstd where it is installed, unless the extension says that it is compressed already. zstd; none.
compress=auto

# Octets a second to each mirror, such as 500K; nothing: as fast as it goes.
rate=

# Seconds that a run waits for a lost network or a rebooting mirror while no other mirror answers; install and doctor
# wait so long for a run that is under way.
patience=600

# nightdrop.sh delay sleeps up to so many seconds: each host its own time.
delay=3600

# A private key and its certificate, in one file, that receipts are signed with, such as signing.pem, beside this
# file; nothing: receipts are not signed. The mirrors have to know the certificate: nightdrop enroll --signer.
signing_key=

# Where temporary files are: for a moment, and with room for a volume.
temporary=/tmp
END
}

# The bundle is TOML (docs/FORMAT.md, "Bundle"), in any of TOML's ways of writing it: read whole, and taken off piece by
# piece from its beginning. Its parts go straight into files: a password is nowhere else. (To busybox 1.30 a name before a
# parenthesis is a function, whatever is between them.)
unpack_bundle() { # BUNDLE
    fresh=$fresh folder=$folder bundle=$1 awk '
    BEGIN {
        out = ENVIRON["fresh"]; folder = ENVIRON["folder"]; bundle = ENVIRON["bundle"]
        keys = " format host recipients "; name_of_key = "[A-Za-z0-9_-]+"
        escaped["n"] = "\n"; escaped["t"] = "\t"; escaped["r"] = "\r"; escaped["\""] = "\""; escaped["\\"] = "\\"
    }
    { text = text $0 "\n" }
    END {
        while (blanks() != "")
            if (taken("\\[\\[") != "") {
                table = needed(name_of_key, "a key"); needed("\\]\\]", "]]")
                if (table != "mirror") wrong(here() "this table is not known here: " table)
                keys = " name url user password certificate "; mirrors++
            } else {
                key = needed(name_of_key, "a key"); needed("=", "=")
                if (!index(keys, " " key " ")) wrong(here() "this key is not known here: " key)
                if (key == "recipients") write_recipients(strings())
                else field[mirrors + 0, key] = string()
            }
        write_the_rest()
    }
    function wrong(what) {
        printf "nightdrop: error: %s: %s\nhint: nightdrop enroll on a mirror makes a bundle\n", bundle, what > "/dev/stderr"
        exit 2
    }
    function here(  rest) { rest = text; return "line " (NR + 1 - gsub(/\n/, "", rest)) ": " }
    function taken(pattern,  piece) { # what the text begins with, if so
        if (!match(text, "^" pattern)) return ""
        piece = substr(text, 1, RLENGTH); text = substr(text, RLENGTH + 1)
        return piece
    }
    function needed(pattern, what,  piece) {
        blanks()
        if ((piece = taken(pattern)) == "") wrong(here() "expected " what)
        return piece
    }
    function blanks() { while (taken("[ \t\r\n]+") taken("#[^\n]*") != ""); return text } # and comments; what follows
    function string(  quote, value) {
        quote = needed("(\"\"\"\n?|\"|\047\047\047\n?|\047)", "a text"); sub(/\n/, "", quote)
        while (index(text, quote) != 1)
            if (text == "" || (length(quote) == 1 && text ~ /^\n/)) wrong(here() "a text without an end")
            else if (quote ~ /^"/ && taken("\\\\") != "") value = value escape()
            else value = value taken("([^\"\047\\\\\n]+|.|\n)")
        text = substr(text, length(quote) + 1)
        return value
    }
    function escape(  one) {
        if (taken("[ \t]*\n[ \t\n]*") != "") return ""
        one = taken(".")
        if (!(one in escaped)) wrong(here() "an escape that is not known here")
        return escaped[one]
    }
    function strings(  list) {
        needed("\\[", "[")
        while (blanks() !~ /^\]/) { list = list string() "\n"; blanks(); taken(",") }
        needed("\\]", "]")
        return list
    }
    function write_recipients(list,  lines, number, i) {
        if (list ~ /PRIVATE KEY/) wrong("a private key is among the recipients; it must never be on a host")
        number = split(list, lines, "\n")
        for (i = 1; i <= number; i++) {
            if (lines[i] ~ /^-----BEGIN CERTIFICATE-----/) { recipients++; inside = 1 }
            if (inside) print lines[i] > (out "/recipients/" recipients ".pem")
            if (lines[i] ~ /^-----END CERTIFICATE-----/) inside = 0
        }
    }
    function write_the_rest(  i) {
        if (field[0, "format"] != "nightdrop-bundle/1") wrong("this is not a bundle of the format nightdrop-bundle/1")
        if (field[0, "host"] !~ /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/) wrong("it names no host")
        if (!recipients) wrong("it names no recipient")
        if (!mirrors) wrong("it names no mirror")
        settings = out "/bundle.conf"
        print "# From the bundle; nightdrop.sh install BUNDLE changes these lines and no others." > settings
        print "host=" field[0, "host"] > settings
        for (i = 1; i <= mirrors; i++)
            write_mirror(field[i, "name"], field[i, "url"], field[i, "user"], field[i, "password"], field[i, "certificate"])
    }
    function write_mirror(name, url, user, password, certificate,  file) {
        gsub(/[^A-Za-z0-9._-]/, "_", name); sub(/^\.+/, "_", name)
        if (name == "" || name in known) wrong("two mirrors of one name, or one without")
        known[name]
        if (url !~ /^https?:\/\/[^ \t]+$/) wrong("the mirror " name " has no URL")
        if (user == "" || password == "") wrong("the mirror " name " has no user or password")
        if (user password ~ /[\n\r]/) wrong("the mirror " name " has a line end in its password")
        print "mirror=" name " " url > settings
        file = out "/mirrors/" name
        print "user = " quoted(user ":" password) > (file ".curl")
        print "proto = " (url ~ /^https:/ ? "\"=https\"" : "\"=http\"") > (file ".curl")
        if (certificate != "") {
            print certificate > (file ".pem")
            print "cacert = " quoted(folder "/mirrors/" name ".pem") > (file ".curl")
        }
    }
    function quoted(value) { gsub(/[\\"]/, "\\\\&", value); return "\"" value "\"" }
    ' <"$1"
}


# --- doctor, status, delay ---

doctor() {
    read_configuration
    await_run
    take_lock
    make_workplace
    trouble=0
    check_clock trouble
    check_tools
    check_recipients
    check_signing_key
    for one in $mirrors; do check_mirror "$one"; done
    choose_volume
    choose_cipher
    if [ "$volume" = stream ]; then
        say "ok: streams without temporary files, sealed with $cipher"
    else
        say "ok: volumes of $size_of_volume octets, sealed with $cipher"
    fi
    [ $trouble = 0 ] || exit 1
    say "all is in place"
}

trouble() { # MESSAGE [HINT]
    trouble=1
    complain "$@"
}

check_tools() {
    found=$(curl -q --version | sed -n '1s/^curl \([0-9.]*\).*/\1/p')
    if echo "$found" | awk -F . '{ exit $1 > 7 || ($1 == 7 && $2 >= 60) }'; then
        trouble "curl is ${found:-not there}, and 7.60 or newer is needed"
    else
        say "ok: curl $found"
    fi
    if echo nightdrop | (seal -aes-256-cbc) >/dev/null 2>"$run/said"; then
        say "ok: $(openssl version) seals"
    else
        trouble "openssl cannot seal: $(head -n 1 "$run/said")" "openssl 1.1.1 or newer, or a LibreSSL that has cms"
    fi
}

check_recipients() {
    for recipient in "$folder"/recipients/*.pem; do
        openssl x509 -in "$recipient" -noout -checkend 0 >/dev/null ||
            say "the recipient $recipient has expired; it seals all the same"
    done
}

check_signing_key() {
    [ -n "$signing_key" ] || return 0
    echo nightdrop >"$run/probe"
    if sign "$run/probe"; then
        say "ok: receipts are signed with $signing_key"
    else
        trouble "openssl cannot sign with $signing_key: $(head -n 1 "$run/said")" \
            "a private key, RSA or on an elliptic curve, without a passphrase, and its certificate"
    fi
}

# A mirror has to be there, know us, and give nothing out. A body whose digest is not the one declared shows that it
# takes files: it is read to its end, refused, and not kept. Only our own door is asked that: nginx would keep it.
check_mirror() { # MIRROR
    if ! hail "$1"; then
        trouble "$1: $why" "see whether the mirror runs, and whether the bundle is the newest"
        return
    fi
    say "ok: $1 is there and knows $host"
    probe=nightdrop_probe-full.20000101T000000Z.probe.p7m
    ask "$1" "$(folder_of "$1")/$probe" 3</dev/null || :
    case $code in
    405 | 403) say "ok: $1 gives nothing out" ;;
    *) trouble "$1: GET was answered with $code, and has to be refused" "look how that mirror is configured" ;;
    esac
    grep -qi '^server: nightdrop' "$run/fields.$1" || return 0
    echo nightdrop >"$run/probe"
    digest=$(printf %064d 0)
    put "$1" "$run/probe" "$probe" || :
    if [ "$code" = 400 ]; then
        say "ok: $1 takes files, and tells a damaged one"
    else
        trouble "$1: a file for a try was answered with $code: $why"
    fi
}

status() {
    read_configuration
    if is_alive "$(target_of "$state/lock")"; then say "a run is under way"; fi
    if [ -s "$state/sets" ]; then tail -n 20 "$state/sets"; else say "nothing was dropped yet"; fi
    for last in "$state"/runs/*; do
        [ ! -e "$last" ] || say "the last run of $(cat "$last")"
    done
    for one in $mirrors; do
        for receipt in "$state/outbox/$one"/*.json; do
            [ ! -e "$receipt" ] || say "$one still lacks ${receipt##*/}; the next run sends it"
        done
    done
}

# By the host's name, so that it is another for each host, and the same every day.
host_delay() { # SECONDS
    number=$(printf %s "$host" | openssl dgst -sha256) number=${number##* }
    echo $((0x${number%"${number#??????}"} % ($1 + 1)))
}

delay() { # [--show]
    read_configuration
    if [ "${1:-}" = --show ]; then host_delay "$delay"; else sleep "$(host_delay "$delay")"; fi
}


# --- the command line ---

folder=${NIGHTDROP_FOLDER:-/etc/nightdrop}
stem=
if [ "${1:-}" = -C ]; then
    [ $# -ge 2 ] || misused "-C needs a folder" "nightdrop.sh --help"
    folder=$2
    shift 2
fi
case $folder in
/*) ;;
*) folder=$PWD/$folder ;;
esac
case "${1:-} $# ${2:-}" in
'drop '* | 'install 2 '* | 'doctor 1 ' | 'status 1 ' | 'delay 1 ' | 'delay 2 --show')
    verb=$1
    shift
    "$verb" ${1+"$@"}
    exit # whatever the file has become meanwhile
    ;;
'-h '* | '--help '*) usage ;;
*)
    usage >&2
    exit 2
    ;;
esac
