# Runs as the first process of a host, still with the outside's files in sight: lays the host's own root over them and
# becomes its init. Everything mounted here vanishes with the host's last process; nothing is left outside.
set -eu
host="$1" image="$2" lower="$3" shared="$4" # the last one is the directory of the lab

mount --make-rprivate /
work="$(dirname "$image")/mnt"
mkdir -p "$work"
mount -t tmpfs -o mode=0755 lab "$work"
mkdir "$work/disk" "$work/root"
mount -t ext4 -o loop,noatime,nodiscard "$image" "$work/disk"
mkdir -p "$work/disk/upper" "$work/disk/work"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$work/disk/upper,workdir=$work/disk/work" "$work/root"
root="$work/root"

mount -t tmpfs -o mode=0755,nosuid dev "$root/dev"
while read -r name major minor; do
    mknod -m 0666 "$root/dev/$name" c "$major" "$minor"
done <<END
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
END
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"
ln -s pts/ptmx "$root/dev/ptmx"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777,nosuid,nodev shm "$root/dev/shm"
mount -t tmpfs -o mode=0755,nosuid,nodev run "$root/run"
mount -t tmpfs -o mode=1777,nosuid,nodev tmp "$root/tmp"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
[ ! -e "$root/proc/sysrq-trigger" ] || mount --bind "$root/dev/null" "$root/proc/sysrq-trigger"
mkdir -p "$root/run/lock" "$root/run/sshd" "$root/lab"

# what the outside shares with this host: the states that its checks find (read-only), the log of its checks, its mail
mount --bind "$shared/monitored" "$root/srv/monitored"
mount -o remount,bind,ro "$root/srv/monitored"
mount --bind "$shared/checked" "$root/srv/checked"
mount --bind "$shared/mail" "$root/srv/mail"
mount --bind "$shared/inside" "$root/lab"
mount -o remount,bind,ro "$root/lab"

hostname "$host"
cd "$root"
mkdir -p .outside
pivot_root . .outside
umount -l /.outside
rmdir /.outside
# the real root of the machine stays out of reach: no modules, no clock, no raw devices
exec /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    /usr/bin/setpriv --bounding-set=-sys_module,-sys_time,-sys_rawio,-sys_boot,-mknod \
    /usr/bin/python3 -I /lab/init.py
