#!/bin/bash
# Boots this machine's systemd as PID 1 of new namespaces, over a temporary overlay of /.
# throwaway_host.sh FOLDER NAME: runs until FOLDER/stop exists; a reboot inside boots again.
# FOLDER/rootfs is laid over the root; FOLDER/leader contains the pid of the host's init.
set -eu
folder=$1 name=$2
hierarchies="systemd unified pids memory cpu"
boot=$folder/boot.sh
cat > "$boot" <<'EOS'
set -e
folder=$1; root=$folder/root
mount -t overlay -o "lowerdir=/,upperdir=$folder/store/upper,workdir=$folder/store/work" overlay "$root"
cd "$root"
mount -t proc proc proc
# Read-only: these are not namespaced, so the host's init would change the limits of this machine.
for path in proc/sys proc/sysrq-trigger proc/irq proc/bus; do
  [ ! -e $path ] || { mount --bind $path $path; mount -o remount,bind,ro $path; }
done
mount -t sysfs -o ro sysfs sys; mount -t tmpfs tmpfs run; mount -t tmpfs tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero full random urandom tty; do cp -a /dev/$node dev/; done
mkdir dev/pts dev/shm; mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx; ln -s /proc/self/fd dev/fd; mount -t tmpfs tmpfs dev/shm
ip link set lo up; hostname tagify-host
mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup; cd sys/fs/cgroup; mkdir systemd unified pids memory cpu
mount -t cgroup -o none,name=systemd cgroup systemd; mount -t cgroup2 cgroup2 unified
for controller in pids memory cpu; do mount -t cgroup -o $controller cgroup $controller; done
cd "$root"; mkdir run/old; pivot_root . run/old; cd /; umount -l /run/old; rmdir /run/old
mount --make-rshared /
exec env -i container=tagify-host PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
  /lib/systemd/systemd --unit=multi-user.target --show-status=no
EOS
mount --make-rprivate /
mkdir -p "$folder/store" "$folder/root"
mount -t tmpfs -o size=3g tmpfs "$folder/store"
mkdir "$folder/store/upper" "$folder/store/work"
# A clean host: no unit of this machine is enabled.
upper=$folder/store/upper
mount -t overlay -o "lowerdir=/,upperdir=$upper,workdir=$folder/store/work" overlay "$folder/root"
cp -a "$folder/rootfs/." "$folder/root/"
units=$folder/root/etc/systemd/system
rm -rf "$units"/*.wants "$units"/*.requires "$folder"/root/etc/rc?.d/* "$folder/root/var/log/journal"
mkdir -p "$folder/root/var/log/journal"
for unit in systemd-timesyncd systemd-sysctl systemd-binfmt systemd-modules-load systemd-hwdb-update \
  systemd-udevd systemd-networkd systemd-resolved systemd-logind; do
  ln -sf /dev/null "$units/$unit.service"
done
ln -sf /dev/null "$units/proc-sys-fs-binfmt_misc.automount"
: > "$folder/root/etc/machine-id"; : > "$folder/root/etc/fstab"
umount "$folder/root"
for hierarchy in $hierarchies; do
  mkdir -p "/sys/fs/cgroup/$hierarchy/$name"; echo $$ > "/sys/fs/cgroup/$hierarchy/$name/cgroup.procs"
done
while [ ! -e "$folder/stop" ]; do
  unshare --pid --mount --net --ipc --uts --cgroup --fork bash "$boot" "$folder" </dev/null &
  outer=$!
  for _ in $(seq 200); do
    leader=$(cat "/proc/$outer/task/$outer/children" 2>/dev/null | tr -d ' ')
    [ -z "$leader" ] || [ "$(cat "/proc/$leader/comm" 2>/dev/null)" != systemd ] || break
    sleep .05
  done
  echo "$leader" > "$folder/leader.new"; mv "$folder/leader.new" "$folder/leader"
  wait $outer || true
done
