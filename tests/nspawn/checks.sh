# The checks of the service, in their order. Sourced by `run`.

readonly STATE=/var/lib/private/meetwatch
port=
hardened=

check_everything() {
    local check
    for check in \
        an_installation_waits_for_its_configuration \
        it_says_that_it_is_ready \
        the_store_lies_in_the_state_directory \
        credentials_reach_it_and_nobody_else \
        it_is_locked_down \
        it_polls_delivers_and_writes \
        root_can_ask_it \
        a_dead_receiver_is_no_hang \
        a_reload_keeps_it_running \
        a_kill_is_restarted_and_nothing_is_lost \
        a_hung_poll_loop_is_restarted \
        a_bad_configuration_is_not_tried_again \
        it_stops_in_order_and_in_time \
        an_upgrade_keeps_everything_and_runs_the_new_one \
        an_instance_runs_beside_it \
        removing_keeps_everything \
        purging_asks_first; do
        echo "  $check"
        "$check"
    done
}

property() { inside systemctl show --value --property "$1" "${2:-meetwatch.service}"; }
is() { [[ "$(property "$1")" == "$2" ]]; }
is_active() { is ActiveState active; }
metric() { curl_inside "/metrics" | awk -v name="$1" 'index($0, name) == 1 { sum += $NF } END { print sum + 0 }'; }
curl_inside() { python3 -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=5).read().decode())' "http://127.0.0.1:$port$1"; }
at_least() { (($(metric "$1") >= $2)); }
heard() { wc -l <"$work/heard.jsonl"; }
heard_at_least() { (($(heard) >= $1)); }
journal() { inside journalctl --no-pager --output cat --unit meetwatch.service "$@"; }
journal_has() { journal | grep -q -- "$1"; }
install_inside() { inside dpkg --install "$1" >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log" >&2; fail "dpkg --install $1"; }; }

# drop_in NAME: adds the lines of standard input to the unit.
drop_in() {
    inside mkdir -p /etc/systemd/system/meetwatch.service.d
    write_inside "/etc/systemd/system/meetwatch.service.d/$1.conf"
    inside systemctl daemon-reload
}

remove_drop_in() {
    inside rm -f "/etc/systemd/system/meetwatch.service.d/$1.conf"
    inside systemctl daemon-reload
}

configuration() {
    cat <<CONFIG
[google]
endpoint = "$google"
people_endpoint = "$google"
[google.quota]
reads_per_minute_project = 60000
reads_per_minute_user = 60000
[[identity]]
name = "organizer"
service_account_key = "credential:secret_key.json"
subject = "alice@example.com"
[[target]]
name = "everything"
organizer = true
poll_interval = "1s"
[[webhook]]
name = "ops"
url = "$hooks"
secret_file = "credential:secret_ops.secret"
schedule = ["1s"]
[watch]
session_sweep = "5s"
backfill = "5s"
discovery = "2s"
[store]
path = "$1/meetwatch.db"
[server]
listen = "127.0.0.1:$2"
CONFIG
}

# give_configuration FOLDER STATE PORT: installs the configuration and secrets.
give_configuration() {
    inside mkdir -p "$1/secrets"
    inside chmod 0700 "$1/secrets"
    write_inside "$1/secrets/key.json" <"$work/key.json"
    write_inside "$1/secrets/ops.secret" <"$work/ops.secret"
    configuration "$2" "$3" | write_inside "$1/meetwatch.toml"
    inside chmod 0644 "$1/meetwatch.toml"
}

an_installation_waits_for_its_configuration() {
    install_inside /packages/older.deb
    [[ "$(inside systemctl is-enabled meetwatch.service)" == enabled ]] || fail "the unit is not enabled"
    is ActiveState inactive || fail "it runs without a configuration"
    is ConditionResult no || fail "it was not the unit's condition that prevented the start"
    [[ "$(inside stat -c '%a %U' /etc/meetwatch/secrets)" == "700 root" ]] || fail "others can read the secrets folder"
    inside meetwatch --version | grep -Eq '^meetwatch [0-9.]+ \(([0-9a-f]{12}|unknown)\)$' || fail "--version prints no revision"
}

it_says_that_it_is_ready() {
    port="$(free_port)"
    give_configuration /etc/meetwatch /var/lib/meetwatch "$port"
    # The check that the manual recommends before the first start.
    inside systemd-run --quiet --pipe --wait --property=LoadCredential=secret:/etc/meetwatch/secrets \
        meetwatch check --config /etc/meetwatch/meetwatch.toml >"$work/check.txt" 2>&1 || fail "$(cat "$work/check.txt")"
    # A system call that the filter would refuse with EPERM, perhaps unnoticed, kills the process here, and a hung loop is
    # detected soon.
    printf '[Service]\nSystemCallErrorNumber=\nWatchdogSec=5s\n' | drop_in strict
    inside systemctl start meetwatch.service || fail "it did not start"
    is_active || fail "it is not active after it started"
    is Type notify || fail "systemd does not wait for readiness"
    curl_inside /readyz >/dev/null || fail "it reported readiness but is not ready"
    within 20 "the status shows the targets" status_says 'Watching 1 target'
    within 30 "the status shows no problem" status_says 'All well'
}

status_says() { [[ "$(property StatusText)" == *"$1"* ]]; }

the_store_lies_in_the_state_directory() {
    local owner
    owner="$(inside stat -c '%a %u' $STATE/meetwatch.db)"
    [[ $owner == 600\ * && $owner != "600 0" ]] || fail "the store is $owner"
    [[ "$(inside stat -c %a $STATE)" == 700 ]] || fail "others can read the state directory"
    inside test "$(inside readlink -f /var/lib/meetwatch)" = $STATE || fail "the state directory is elsewhere"
}

credentials_reach_it_and_nobody_else() {
    within 30 "the identity is accepted with the key from the credentials" at_least 'meetwatch_identity_up{' 1
    local pid user key
    pid="$(property MainPID)"
    user="$(inside awk '/^Uid:/ { print $2 }' "/proc/$pid/status")"
    key="$(inside sh -c "tr '\\0' '\\n' </proc/$pid/environ" | sed -n 's/^CREDENTIALS_DIRECTORY=//p')/secret_key.json"
    [[ $key == /run/credentials/* ]] || fail "it received no credentials"
    # The same read twice: only the user differs.
    reads_as "$user" "$key" || fail "its user cannot read its key"
    ! reads_as 65534 "$key" || fail "others can read its key"
}

# reads_as USER FILE: whether a user, by number, can read a file of the container.
reads_as() { inside setpriv --reuid "$1" --regid 65534 --clear-groups cat "$2" >/dev/null 2>&1; }

it_is_locked_down() {
    local pid status
    pid="$(property MainPID)"
    status="$(inside cat "/proc/$pid/status")"
    grep -Eq '^Uid:\s+[1-9]' <<<"$status" || fail "it runs as root"
    grep -Eq '^CapEff:\s+0+$' <<<"$status" || fail "it has capabilities"
    grep -Eq '^CapBnd:\s+0+$' <<<"$status" || fail "its bounding set has capabilities"
    grep -Eq '^NoNewPrivs:\s+1$' <<<"$status" || fail "it can gain privileges"
    grep -Eq '^Seccomp:\s+2$' <<<"$status" || fail "its system calls are not filtered"
    local ignored
    ignored="$(inside journalctl --no-pager --output cat | grep 'meetwatch.*ignoring' | grep -Ev "RestartSteps|RestartMaxDelaySec" || true)"
    [[ -z $ignored ]] || fail "systemd does not know a line of the unit: $ignored"
}

it_polls_delivers_and_writes() {
    within 60 "it has polled" at_least meetwatch_polls_total 5
    within 60 "webhooks arrive" heard_at_least 10
    within 30 "deliveries are recorded" at_least 'meetwatch_webhook_deliveries_total{' 10
    (($(metric meetwatch_store_commit_failures_total) == 0)) || fail "commits failed"
    is NRestarts 0 || fail "it died of the sandboxing"
}

root_can_ask_it() {
    inside meetwatch status >"$work/status.txt" || fail "meetwatch status failed as root"
    inside meetwatch events --json >"$work/log.jsonl" || fail "meetwatch events failed as root"
    [[ -s $work/log.jsonl ]] || fail "the log is empty"
}

# Longer than until a hung loop is detected (15 s) and the watchdog fires (5 s).
a_dead_receiver_is_no_hang() {
    kill -STOP "$receiver"
    within 40 "it has run for a while" has_run_for 25
    is NRestarts 0 || fail "it was restarted"
    ! journal_has 'stopped making progress' || fail "it takes itself for hanging"
    kill -CONT "$receiver"
    within 60 "everything in the log arrived" nothing_is_lost
}

# has_run_for SECONDS: measured with systemd's clock.
has_run_for() {
    python3 -c 'import sys, time; sys.exit(time.monotonic() - int(sys.argv[1]) / 1e6 < int(sys.argv[2]))' \
        "$(property ActiveEnterTimestampMonotonic)" "$1"
}

# reload WORDS: reloads and waits until the log has another line with these words.
reload() {
    local before
    before="$(journal | grep -c "$1" || true)"
    inside systemctl reload meetwatch.service || fail "systemctl reload failed"
    within 15 "a reload after which the log has: $1" journal_has_more "$1" "$before"
    is_active || fail "it is not active after a reload"
}

journal_has_more() { (($(journal | grep -c -- "$1") > $2)); }

a_reload_keeps_it_running() {
    local pid
    if ((machine_systemd >= 253)); then
        # systemd sends the signal itself and waits for the notification that the reload has ended.
        inside cat /usr/share/doc/meetwatch/examples/notify-reload.conf | drop_in notify-reload
        inside systemctl restart meetwatch.service
        is Type notify-reload || fail "systemd does not wait for a reload"
    fi
    pid="$(property MainPID)"
    inside cp /etc/meetwatch/meetwatch.toml /etc/meetwatch/good.toml
    printf '[[target]]\nname = "another"\nconference = "conferenceRecords/none"\n' |
        inside sh -c 'cat >>/etc/meetwatch/meetwatch.toml'
    reload 'the configuration was reloaded'
    within 20 "the status tells of the new target" status_says 'Watching 2 targets'
    inside sh -c 'echo "[wach]" >>/etc/meetwatch/meetwatch.toml'
    reload 'the configuration was not reloaded'
    inside mv /etc/meetwatch/good.toml /etc/meetwatch/meetwatch.toml
    reload 'the configuration was reloaded'
    within 20 "the status tells of one target" status_says 'Watching 1 target:'
    is MainPID "$pid" || fail "a reload was a restart"
    (($(property NRestarts) == 0)) || fail "a reload restarted it"
}

# Every event of the log arrived, and no event is repeated in the log.
nothing_is_lost() {
    inside meetwatch events --json >"$work/log.jsonl" || return 1
    python3 "$HERE/compare.py" "$work/log.jsonl" "$work/heard.jsonl"
}

a_kill_is_restarted_and_nothing_is_lost() {
    local pid before
    pid="$(property MainPID)"
    before="$(heard)"
    inside kill -KILL "$pid"
    within 20 "it is started again after a kill" restarted
    within 20 "it is active again" is_active
    ! is MainPID "$pid" || fail "it is the same process"
    within 60 "webhooks arrive again" heard_at_least $((before + 5))
    within 60 "everything in the log arrived" nothing_is_lost
}

a_hung_poll_loop_is_restarted() {
    drop_in hang <<'UNIT'
[Service]
ExecStart=
ExecStart=/usr/bin/meetwatch run --config /etc/meetwatch/meetwatch.toml --hang-at 10
WatchdogSec=5s
UNIT
    inside systemctl restart meetwatch.service
    # A hang is detected after 15 s, and systemd waits 5 s more.
    within 60 "the watchdog restarts it" journal_has 'Watchdog timeout'
    journal_has 'a task stopped making progress' || fail "the log does not say what hangs"
    within 20 "it is started again" restarted
    remove_drop_in hang
    # It may hang again by now, and must stop nevertheless.
    local before began=$SECONDS
    inside systemctl restart meetwatch.service || fail "it does not start again"
    ((SECONDS - began <= 30)) || fail "it took $((SECONDS - began)) s to stop and start while it hung"
    before="$(heard)"
    within 60 "webhooks arrive again" heard_at_least $((before + 3))
    within 60 "everything in the log arrived" nothing_is_lost
}

restarted() { (($(property NRestarts) >= 1)); }

a_bad_configuration_is_not_tried_again() {
    inside cp /etc/meetwatch/meetwatch.toml /etc/meetwatch/good.toml
    inside sh -c 'echo "[wach]" >>/etc/meetwatch/meetwatch.toml'
    ! inside systemctl restart meetwatch.service 2>/dev/null || fail "it started with a bad configuration"
    within 10 "systemd gives up" is ActiveState failed
    is ExecMainStatus 78 || fail "it ended with $(property ExecMainStatus)"
    is NRestarts 0 || fail "it was restarted"
    journal --lines 20 | grep -q 'wach' || fail "the journal does not name the mistake"
    inside mv /etc/meetwatch/good.toml /etc/meetwatch/meetwatch.toml
    inside systemctl start meetwatch.service || fail "it does not start with a good configuration"
}

it_stops_in_order_and_in_time() {
    local began=$SECONDS
    inside systemctl stop meetwatch.service
    ((SECONDS - began <= 20)) || fail "it took $((SECONDS - began)) s to stop"
    is Result success || fail "it stopped with $(property Result)"
    journal --lines 20 | grep -q '"stopped"\|stopped$' || fail "it did not stop gracefully"
    # The credentials are not available now.
    inside meetwatch backup --config /etc/meetwatch/meetwatch.toml /var/backups/stopped.db >/dev/null ||
        fail "no backup while it is stopped"
    inside test -s /var/backups/stopped.db || fail "an empty backup"
    inside systemctl start meetwatch.service || fail "it does not start again"
    within 60 "everything in the log arrived" nothing_is_lost
}

an_upgrade_keeps_everything_and_runs_the_new_one() {
    local pid before config
    pid="$(property MainPID)"
    before="$(inside meetwatch events --json | wc -l)"
    config="$(inside sha256sum /etc/meetwatch/meetwatch.toml)"
    install_inside /packages/newer.deb
    within 30 "it runs after the upgrade" is_active
    ! is MainPID "$pid" || fail "the old process still runs"
    (($(inside meetwatch events --json | wc -l) >= before)) || fail "the log became shorter"
    [[ "$(inside sha256sum /etc/meetwatch/meetwatch.toml)" == "$config" ]] || fail "the configuration was changed"
    within 60 "everything in the log arrived" nothing_is_lost
}

an_instance_runs_beside_it() {
    local other
    other="$(free_port)"
    give_configuration /etc/meetwatch/second /var/lib/meetwatch-instances/second "$other"
    inside systemctl start meetwatch@second.service || fail "an instance does not start"
    inside test -e /var/lib/private/meetwatch-instances/second/meetwatch.db || fail "an instance has no store of its own"
    is_active || fail "an instance stopped the service"
    inside systemctl stop meetwatch@second.service
}

removing_keeps_everything() {
    inside dpkg --remove meetwatch >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log" >&2; fail "dpkg --remove"; }
    ! inside systemctl is-active --quiet meetwatch.service || fail "it runs after it was removed"
    ! inside test -e /usr/bin/meetwatch || fail "the program was not removed"
    inside test -e $STATE/meetwatch.db || fail "the store is gone"
    inside test -e /etc/meetwatch/secrets/key.json || fail "the keys are gone"
}

purging_asks_first() {
    purge
    inside test -e $STATE/meetwatch.db || fail "purging deleted the store without consent"
    inside test -e /etc/meetwatch/meetwatch.toml || fail "purging deleted the configuration without consent"
    # A new installation uses what was kept.
    install_inside /packages/newer.deb
    within 30 "it runs with what was kept" is_active
    echo 'meetwatch meetwatch/purge-data boolean true' | inside debconf-set-selections
    purge
    local left
    left="$(inside find / -xdev -path /proc -prune -o -path /packages -prune -o \( -path '*/var/lib/*meetwatch*' -o -path '/etc/*meetwatch*' -o -path '/usr/*meetwatch*' \) -print | grep -Ev '^/etc/systemd/system/meetwatch.service.d' || true)"
    [[ -z $left ]] || fail "purging left: $left"
}

purge() { inside dpkg --purge meetwatch >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log" >&2; fail "dpkg --purge"; }; }
