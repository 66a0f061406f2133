#!/bin/busybox sh
# The first process of a guest: mounts what a machine has, runs the tests, and tells the emulator how
# they ended. Their output goes to the second serial port; the first is the kernel's.

/bin/busybox --install -s /usr/bin 2>/dev/null
export PATH=/usr/bin:/usr/sbin HOME=/ TMPDIR=/tmp LANG=C.UTF-8 RUST_BACKTRACE=0
umask 022
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tracefs tracefs /sys/kernel/tracing
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs -o mode=1777 tmp /tmp
ip link set lo up

# Without raw mode each line ends in two characters.
for port in /dev/ttyS1 /dev/ttyAMA1; do [ -c "$port" ] && out=$port; done
stty -F "$out" raw -echo
exec </dev/null >"$out" 2>&1

. /memtrace/environment
echo "guest: $(uname -r), $(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo) MB"
cd /tmp || exit
# One name a line; none holds a space.
if /memtrace/live --test-threads=1 --exact $(cat /memtrace/names); then
    verdict=16
else
    verdict=17
fi

# The last close of the port waits until everything is out.
exec >/dev/console 2>&1
/memtrace/leave "$verdict"
