# The container: boot, run commands, shut down; and the programs outside of it. Sourced by `run`.

work=          # a folder for the files of one run
meetwatch=     # the program of the package, for running outside
nspawn=        # the process id of systemd-nspawn
leader=        # the process id, outside, of the container's first process
simulator=     # the process id of the simulator
receiver=      # the process id of the receiver
google=        # the URL of the simulator
hooks=         # the URL of the receiver
machine_systemd=

# within SECONDS WHAT COMMAND…: waits until the command succeeds; fails the test otherwise.
within() {
    local seconds="$1" what="$2" end=$((SECONDS + $1))
    shift 2
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || fail "not within $seconds s: $what"
        sleep 0.2
    done
}

# Runs a command in the container, as root.
inside() {
    timeout --kill-after=5 120 nsenter --target "$leader" --all -- \
        /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

# Writes standard input to a file of the container.
write_inside() { inside sh -c "umask 077; cat >'$1'"; }

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Starts the simulator and the receiver. The container shares this machine's network.
start_outside() {
    "$meetwatch" sim --seed 5 --conferences 3 --people 6 --speed 20 --require-auth --write-key "$work/key.json" \
        >"$work/sim.log" 2>&1 &
    simulator=$!
    "$meetwatch" secret new >"$work/ops.secret"
    : >"$work/heard.jsonl"
    "$meetwatch" listen --listen 127.0.0.1:0 --secret-file "$work/ops.secret" --json \
        >>"$work/heard.jsonl" 2>"$work/listen.log" &
    receiver=$!
    within 20 "the simulator listens" grep -q 'http://' "$work/sim.log"
    within 20 "the receiver listens" grep -q 'http://' "$work/listen.log"
    google="$(grep -o 'http://[0-9.:]*' "$work/sim.log" | head -n 1)"
    hooks="$(grep -o 'http://[0-9.:]*' "$work/listen.log" | head -n 1)/"
}

stop_outside() {
    local process
    for process in "$simulator" "$receiver"; do
        [[ -n $process ]] || continue
        kill "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
    done
    simulator='' receiver=''
}

# Everything that the container writes is in memory and is discarded with it.
boot() {
    systemd-nspawn --quiet --register=no --keep-unit --volatile=overlay --directory="$1" --machine="meetwatch-$$" \
        --bind-ro="$work/packages:/packages" --console=pipe --boot </dev/null >"$work/console.log" 2>&1 &
    nspawn=$!
    within 60 "the machine is up" is_up
    machine_systemd="$(inside systemctl --version | awk 'NR == 1 { print $2 }')"
}

# systemd-nspawn briefly has another child, which creates the container's first process.
is_up() {
    leader="$(cat "/proc/$nspawn/task/$nspawn/children")"
    leader="${leader%% *}"
    [[ -n $leader && "$(inside systemctl is-system-running)" == @(running|degraded) ]]
}

shut_down() {
    inside systemctl poweroff >/dev/null 2>&1 || true
    local end=$((SECONDS + 30))
    while kill -0 "$nspawn" 2>/dev/null && ((SECONDS < end)); do sleep 0.2; done
    end_machine
}

# systemd-nspawn does not remove the two control groups of itself and the container.
remove_groups() {
    local line name path mount group
    while IFS=: read -r line name path; do
        case "$line:$name" in
            0:) mount=/sys/fs/cgroup && [[ -d $mount/unified ]] && mount=/sys/fs/cgroup/unified ;;
            *:name=systemd) mount=/sys/fs/cgroup/systemd ;;
            *) continue ;;
        esac
        for group in payload supervisor; do
            find "$mount$path/$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true
        done
    done </proc/self/cgroup
}

# Killing the first process ends all others. If it is not known yet, it is among the children, or appears shortly.
end_machine() {
    if [[ -n $nspawn ]]; then
        local pass
        kill -STOP "$nspawn" 2>/dev/null || true
        for pass in 1 2 3; do
            # shellcheck disable=SC2046
            kill -KILL $(cat "/proc/$nspawn/task/$nspawn/children" 2>/dev/null) $leader 2>/dev/null || true
            sleep 0.1
        done
        kill -KILL "$nspawn" 2>/dev/null || true
        wait "$nspawn" 2>/dev/null || true
        remove_groups
    fi
    nspawn='' leader=''
}

cleanup() {
    local status=$?
    trap - EXIT
    if ((status != 0 && status != 77)) && [[ -n $nspawn ]]; then
        echo "--- the console ---" >&2
        tail -n 20 "$work/console.log" >&2 || true
        echo "--- the journal of the service ---" >&2
        inside journalctl --no-pager --unit 'meetwatch*' --lines 60 >&2 || true
        inside systemctl --no-pager status meetwatch >&2 || true
    fi
    end_machine
    stop_outside
    rm -rf "$work"
    exit "$status"
}
