#!/usr/bin/env bash
# A real SLURM of two nodes on this machine, for tests. Needs Debian or Ubuntu and root; needs no systemd and no cgroups.
#   start_slurm.sh start    installs what is missing and returns once jobs can be submitted; ACCOUNTING=yes adds the database that `sacct` asks
#   start_slurm.sh stop     ends every job and every daemon that it started
set -euo pipefail

HOME_OF_ALL=/var/lib/mutdet-slurm
ETC=$HOME_OF_ALL/etc PIDS=$HOME_OF_ALL/pids LOGS=$HOME_OF_ALL/logs
SYSTEM_ETC=/etc/slurm
LINKS="slurm.conf gres.conf slurmdbd.conf cgroup.conf"
NODES="n1 n2"
SOCKET=$HOME_OF_ALL/database/socket
ACCOUNTING=${ACCOUNTING:-no}

fail() { echo "start_slurm.sh: $*" >&2; exit 1; }

# Exit status 77: nothing is wrong with the script, this machine will not do.
unfit() { echo "start_slurm.sh: $*" >&2; exit 77; }

# retry SECONDS COMMAND...
retry() {
    local end=$((SECONDS + $1)); shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.2
    done
}

as_user() { local user=$1; shift; setpriv --reuid "$user" --regid "$user" --clear-groups "$@"; }

# SLURM's programs look into this folder whatever the environment of a job says, so a configuration of somebody else stays and we go.
refuse_foreign_configuration() {
    local name
    for name in $LINKS; do
        [ ! -e "$SYSTEM_ETC/$name" ] || [ "$(readlink "$SYSTEM_ETC/$name")" = "$ETC/$name" ] || unfit "$SYSTEM_ETC/$name is not from this script; not touched"
    done
}

install_packages() {
    local packages="slurmctld slurmd slurm-client munge"
    [ "$ACCOUNTING" = no ] || packages="$packages slurmdbd mariadb-server"
    # shellcheck disable=SC2086
    dpkg --status $packages >/dev/null 2>&1 && return
    apt-get update -qq || unfit "apt-get cannot fetch its lists"
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $packages >/dev/null || unfit "apt-get cannot install $packages"
}

make_folders() {
    mkdir -p "$ETC" "$PIDS" "$LOGS" "$HOME_OF_ALL/state" "$SYSTEM_ETC"
    chown slurm: "$PIDS" "$LOGS" "$HOME_OF_ALL/state"
}

write_slurm_conf() {
    local node port=17820
    cat > "$ETC/slurm.conf" <<CONF
ClusterName=mutdet
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=17817
SlurmUser=slurm
SlurmdUser=root
SlurmctldPidFile=$PIDS/slurmctld.pid
SlurmdPidFile=$PIDS/slurmd-%n.pid
SlurmctldLogFile=$LOGS/slurmctld.log
SlurmdLogFile=$LOGS/slurmd-%n.log
StateSaveLocation=$HOME_OF_ALL/state
SlurmdSpoolDir=$HOME_OF_ALL/spool-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=1,sched_interval=2,bf_interval=2
GresTypes=gpu
SlurmdParameters=config_overrides
ReturnToService=1
# Seconds between the signals of a time limit, and before a job of a lost node starts again.
KillWait=2
AuthInfo=cred_expire=5
MinJobAge=300
CONF
    [ "$ACCOUNTING" = no ] || cat >> "$ETC/slurm.conf" <<CONF
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=17819
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
CONF
    # More processors than there are: a group of four jobs must fit on a node.
    for node in $NODES; do
        port=$((port + 1))
        mkdir -p "$HOME_OF_ALL/spool-$node"
        echo "NodeName=$node NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$port CPUs=4 RealMemory=200000 Gres=gpu:1"
    done >> "$ETC/slurm.conf"
    printf 'PartitionName=%s Nodes=ALL MaxTime=1-00:00:00\n' cpu gpu >> "$ETC/slurm.conf"
    # Any device file passes for a GPU: a job gets CUDA_VISIBLE_DEVICES, and PyTorch finds none.
    echo "Name=gpu File=/dev/null" > "$ETC/gres.conf"
    echo "CgroupPlugin=cgroup/v1" > "$ETC/cgroup.conf"
}

write_slurmdbd_conf() {
    cat > "$ETC/slurmdbd.conf" <<CONF
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=17819
SlurmUser=slurm
PidFile=$PIDS/slurmdbd.pid
LogFile=$LOGS/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StorageLoc=accounting
CONF
    chown slurm: "$ETC/slurmdbd.conf"
    chmod 600 "$ETC/slurmdbd.conf"
}

link_configuration() {
    local name
    for name in $LINKS; do
        [ ! -e "$ETC/$name" ] || ln -sfn "$ETC/$name" "$SYSTEM_ETC/$name"
    done
}

munge_works() { munge --no-input | unmunge; }

start_munge() {
    munge_works >/dev/null 2>&1 && return
    install -d -o munge -g munge -m 755 /run/munge
    install -d -o munge -g munge -m 700 /etc/munge /var/lib/munge /var/log/munge
    [ -s /etc/munge/munge.key ] || as_user munge sh -c 'umask 077; head -c 1024 /dev/urandom > /etc/munge/munge.key'
    as_user munge munged
    retry 10 munge_works || fail "munged does not answer"
    cp /run/munge/munged.pid "$PIDS/munged.pid"
}

start_database() {
    local data=$HOME_OF_ALL/database
    if [ ! -d "$data" ]; then
        install -d -o mysql -g mysql "$data"
        mariadb-install-db --no-defaults --user=mysql --datadir="$data/files" --auth-root-authentication-method=socket >/dev/null
    fi
    setsid mariadbd --no-defaults --user=mysql --datadir="$data/files" --socket="$SOCKET" --pid-file="$data/pid" --skip-networking \
        --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 > "$LOGS/mariadbd.log" 2>&1 < /dev/null &
    echo $! > "$PIDS/mariadbd.pid"
    retry 60 mariadb-admin --socket="$SOCKET" ping || fail "MariaDB does not answer; see $LOGS/mariadbd.log"
    mariadb --socket="$SOCKET" --execute "CREATE DATABASE IF NOT EXISTS accounting;
        CREATE USER IF NOT EXISTS slurm@localhost IDENTIFIED VIA unix_socket; GRANT ALL ON accounting.* TO slurm@localhost"
    MYSQL_UNIX_PORT=$SOCKET as_user slurm setsid slurmdbd
    retry 60 sacctmgr --noheader show cluster || fail "slurmdbd does not answer; see $LOGS/slurmdbd.log"
    sacctmgr --immediate add cluster mutdet >/dev/null || true
    sacctmgr --immediate add account lab >/dev/null || true
    sacctmgr --immediate add user root account=lab >/dev/null || true
}

all_idle() { [ "$(sinfo --noheader --Node --partition cpu --format %t | sort | uniq)" = idle ]; }

start_slurm() {
    local node
    as_user slurm setsid slurmctld
    retry 30 sh -c 'scontrol ping | grep -q "is UP"' || fail "slurmctld does not answer; see $LOGS/slurmctld.log"
    for node in $NODES; do setsid slurmd -N "$node"; done
    retry 60 all_idle || { sinfo --list-reasons >&2; fail "nodes are not idle; see $LOGS"; }
}

end_jobs() {
    timeout 5 scancel --user "$(id --user --name)" >/dev/null 2>&1 || return 0
    retry 15 sh -c '[ -z "$(squeue --noheader)" ]' || true
}

end_daemon() {
    local file=$PIDS/$1.pid number
    number=$(cat "$file" 2>/dev/null) || return 0
    kill "$number" 2>/dev/null || true
    retry 10 sh -c "! kill -0 $number" || kill -9 "$number" || true
    rm -f "$file"
}

# What a job of a node that was set down leaves behind: SLURM has given it up, so no command of SLURM ends it.
end_leftovers() {
    local environment
    for environment in /proc/[0-9]*/environ; do
        grep --quiet --null-data '^SLURM_CLUSTER_NAME=mutdet$' "$environment" 2>/dev/null || continue
        kill -KILL "$(basename "$(dirname "$environment")")" 2>/dev/null || true
    done
}

stop() {
    local name
    [ -d "$PIDS" ] || return 0
    [ ! -s "$PIDS/slurmctld.pid" ] || end_jobs
    for name in $NODES; do end_daemon "slurmd-$name"; done
    for name in slurmctld slurmdbd mariadbd munged; do end_daemon "$name"; done
    end_leftovers
    for name in $LINKS; do
        [ "$(readlink "$SYSTEM_ETC/$name")" != "$ETC/$name" ] || rm "$SYSTEM_ETC/$name"
    done
}

[ "$(id --user)" = 0 ] || unfit "needs root"
command -v apt-get >/dev/null || unfit "needs apt-get"
case ${1:-} in
    start)
        refuse_foreign_configuration
        stop
        install_packages
        make_folders
        # Jobs of an earlier start are of no interest, and a changed storage plugin would refuse them.
        rm -rf "${HOME_OF_ALL:?}"/state/* "$ETC"/*
        write_slurm_conf
        [ "$ACCOUNTING" = no ] || write_slurmdbd_conf
        link_configuration
        start_munge
        [ "$ACCOUNTING" = no ] || start_database
        start_slurm
        ;;
    stop) stop ;;
    *) fail "say start or stop" ;;
esac
