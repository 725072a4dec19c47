#!/bin/sh
# gpu-run: publishes this machine's public SSH host keys to its guest attributes. Nothing secret is read or sent.
LC_ALL=C; export LC_ALL
attributes=http://${GCE_METADATA_HOST:-metadata.google.internal}/computeMetadata/v1/instance
ssh=${GPU_RUN_SSH_DIR:-/etc/ssh}

get() {
  if command -v curl > /dev/null 2>&1; then
    curl -fsS --noproxy '*' --max-time 10 -H 'Metadata-Flavor: Google' "$attributes/$1"
  else
    wget -q --no-proxy -T 10 -O - --header 'Metadata-Flavor: Google' "$attributes/$1"
  fi
}

put() {
  if command -v curl > /dev/null 2>&1; then
    curl -fsS --noproxy '*' --max-time 10 -o /dev/null -X PUT -H 'Metadata-Flavor: Google' --data-binary "$2" "$attributes/guest-attributes/$1"
  else
    wget -q --no-proxy -T 10 -O /dev/null --header 'Metadata-Flavor: Google' --method=PUT --body-data="$2" "$attributes/guest-attributes/$1"
  fi
}

# $1: how often. The metadata server of a fresh machine may need some seconds.
retry_put() {
  left=$1; shift
  until put "$@"; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || return 1
    sleep 2
  done
}

host_keys() {
  for file in "$ssh"/ssh_host_*_key.pub; do
    [ -s "$file" ] && return 0
  done
  return 1
}

# The image makes its keys at the first boot; one that does not by then gets them here.
wait=60
until host_keys; do
  if [ "$wait" -le 0 ]; then
    [ -z "${GPU_RUN_SSH_DIR:-}" ] && ssh-keygen -A
    break
  fi
  wait=$((wait - 1))
  sleep 1
done

# The port goes first: whoever sees the keys may connect.
port=
if [ -z "${GPU_RUN_SSH_DIR:-}" ]; then
  port=$(sshd -T 2> /dev/null || /usr/sbin/sshd -T 2> /dev/null)
  port=$(printf '%s\n' "$port" | awk '$1 == "port" { print $2; exit }')
fi
[ -n "$port" ] || port=$(awk 'tolower($1) == "port" { print $2; exit }' "$ssh/sshd_config" 2> /dev/null)
case $port in
  '' | 22 | *[!0-9]*) ;;
  *) retry_put 30 gpu-run/ssh-port "$port" ;;
esac

for file in "$ssh"/ssh_host_*_key.pub; do
  [ -s "$file" ] || continue
  read -r type key rest < "$file"
  case $type in
    ssh-ed25519 | ecdsa-sha2-nistp256 | ssh-rsa) retry_put 30 "hostkeys/$type" "$key" ;;
  esac
done

# Google's guest agent makes the account from the same line of the metadata, and takes the key away when its time is over.
made_by_google() {
  if [ -n "${GPU_RUN_SSH_DIR:-}" ] || [ "$(id -u)" != 0 ]; then return 0; fi
  for name in google_guest_agent google_guest_agent_manager google_accounts_daemon; do
    command -v "$name" > /dev/null 2>&1 && return 0
  done
  return 1
}

made_by_google || get attributes/ssh-keys | while IFS= read -r line || [ -n "$line" ]; do
  user=${line%%:*}
  key=${line#*:}
  case $user in '' | [!a-z_]* | *[!a-z0-9_-]*) continue ;; esac
  case $user in root) continue ;; esac
  key=$(printf '%s\n' "$key" | awk '$1 ~ /^[a-z0-9-]+$/ && $2 ~ /^[A-Za-z0-9+\/]+=*$/ { print $1, $2 }')
  [ -n "$key" ] || continue
  getent passwd "$user" > /dev/null || useradd --create-home --shell /bin/sh "$user" || continue
  home=$(getent passwd "$user" | cut -d: -f6)
  group=$(id -g "$user") || continue
  case $home in /?*) ;; *) continue ;; esac
  umask 077
  mkdir -p "$home/.ssh"
  touch "$home/.ssh/authorized_keys"
  grep -qxF "$key" "$home/.ssh/authorized_keys" || printf '%s\n' "$key" >> "$home/.ssh/authorized_keys"
  chown -R "$user:$group" "$home/.ssh"
done
exit 0
