#!/bin/sh
# Boots the Debian in a folder: systemd as the process 1 of its own namespaces, with this machine's network.
#
#   boot.sh FOLDER CGROUP    CGROUP is a name for its control group, which whoever started this removes
#
# It lives until this process ends.
set -eu

if [ "${3:-}" != inside ]; then
    for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
        [ -e "$hierarchy/cgroup.procs" ] || continue
        mkdir "$hierarchy/$2"
        echo $$ >"$hierarchy/$2/cgroup.procs"
    done
    exec unshare --mount --pid --fork --kill-child --ipc --uts --cgroup sh "$0" "$1" "$2" inside
fi

mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
if [ -e /sys/fs/cgroup/cgroup.procs ]; then
    mount -t cgroup2 cgroup2 sys/fs/cgroup
else
    mount -t tmpfs tmpfs sys/fs/cgroup
    mkdir sys/fs/cgroup/systemd sys/fs/cgroup/unified
    mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
    mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
fi
mount -t tmpfs tmpfs dev
mkdir dev/hugepages dev/mqueue dev/pts dev/shm
mount -t tmpfs tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
for node in full null random tty urandom zero; do
    touch "dev/$node"
    mount --bind "/dev/$node" "dev/$node"
done
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mkdir run/outside
pivot_root . run/outside
umount -l run/outside
# As systemd expects it of whoever starts it in a container: the credentials of a service are mounted from elsewhere.
mount --make-rshared /
exec env -i container=test /lib/systemd/systemd --unit=basic.target --show-status=0
