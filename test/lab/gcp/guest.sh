#!/bin/bash
# Process 1 of a lab machine, started in namespaces of its own: builds the machine's disk, its accounts and its SSH server, as an image
# without Google's agent has them, and runs the startup script. Orders come on stdin; when that ends, the machine ends.
# $1 name, $2 its address, $3 prefix length, $4 a folder of the computer below that it must not see.
set -eu
[ $$ = 1 ] || { echo 'not process 1 of a namespace' >&2; exit 1; }
name=$1 address=$2 prefix=$3 hidden=$4
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
hostname "$name"
echo 'lab: born'
read -r _ # by then the network card is in

# The disk: the computer's own below, read only; what is written stays in memory. Mount points are seen in here alone.
mount --make-rprivate /
mount -t tmpfs -o size=1g,mode=755 disk /tmp
mkdir /tmp/{changes,work,root}
mount -t overlay overlay -o lowerdir=/,upperdir=/tmp/changes,workdir=/tmp/work /tmp/root
root=/tmp/root
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
for folder in tmp run root home; do mount -t tmpfs -o mode=755 "$folder" "$root/$folder"; done
chmod 1777 "$root/tmp"
mkdir -p "$root/run/sshd" "$root/mnt/old"
if [ -d "$root$hidden" ]; then mount -t tmpfs -o mode=755 hidden "$root$hidden"; fi
cd "$root"
pivot_root . mnt/old
cd /
umount -l /mnt/old

ip link set lo up
ip addr add "$address/$prefix" dev eth0
ip link set eth0 up
ip route add 169.254.169.254/32 dev eth0
echo "$name" >/etc/hostname
printf '127.0.0.1 localhost\n%s %s\n169.254.169.254 metadata.google.internal metadata\n' "$address" "$name" >/etc/hosts
: >/etc/resolv.conf

rm -rf /etc/ssh
mkdir -p /etc/ssh
cat >/etc/ssh/sshd_config <<'C'
HostKey /etc/ssh/ssh_host_ed25519_key
HostKey /etc/ssh/ssh_host_ecdsa_key
PidFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin no
UsePAM yes
UseDNS no
PrintMotd no
Subsystem sftp internal-sftp
C
# Accounts as a cloud image has them; without what needs the computer's own audit and login records.
printf 'account required pam_unix.so\nsession required pam_unix.so\n' >/etc/pam.d/sshd

serve() {
  rm -f /etc/ssh/ssh_host_*
  ssh-keygen -q -t ed25519 -N '' -C "root@$name" -f /etc/ssh/ssh_host_ed25519_key
  ssh-keygen -q -t ecdsa -N '' -C "root@$name" -f /etc/ssh/ssh_host_ecdsa_key
  /usr/sbin/sshd -D -e </dev/null 2>&1 &
  until (exec 3<>/dev/tcp/127.0.0.1/22) 2>/dev/null; do sleep 0.02; done
}

# Every process of the SSH server in this namespace, those of open connections too.
end_ssh() {
  local file comm
  for file in /proc/[0-9]*/comm; do
    comm=$(cat "$file" 2>/dev/null) || continue
    case $comm in sshd*) file=${file#/proc/}; kill -KILL "${file%/comm}" 2>/dev/null || true ;; esac
  done
  while (exec 3<>/dev/tcp/127.0.0.1/22) 2>/dev/null; do sleep 0.02; done
}

# As Google's runner of metadata scripts does; nothing else of Google's is on this image.
startup() {
  local script=/run/startup-script
  curl -fsS --max-time 10 -H 'Metadata-Flavor: Google' -o "$script" \
    http://metadata.google.internal/computeMetadata/v1/instance/attributes/startup-script || { echo 'no startup script'; return; }
  chmod 700 "$script"
  "$script" </dev/null 2>&1 && echo 'startup-script exit status 0' || echo "startup-script exit status $?"
}

serve
startup &
echo 'lab: booted'
# bash reaps whatever is left to process 1 while it waits here.
while read -r order; do
  case $order in
    rekey) end_ssh; serve; echo 'lab: rekeyed' ;;
  esac
done
