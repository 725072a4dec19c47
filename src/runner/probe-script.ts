/** What the look at a machine runs there: POSIX sh, with nothing but what every system has. */

/**
 * Uses something of all that the runner cannot do without. What passes is remembered by its path and version: this takes ten times as
 * long as asking for the version.
 */
export const selfTest = `try{require("node:crypto").createHash("sha256").update("x").digest();process.stdout.write("works "+process.versions.node+" "+require("node:child_process").execFileSync("/bin/sh",["-c","echo yes"]).toString().trim())}catch(e){}`;

/**
 * `$1`: the runner's version, `$2`: that of koffi, `$3`: KiB that a Node takes. Every line of its own starts with `gpu-run`: whatever
 * start-up files print does no harm. Our folder is made here, closed to others.
 *
 * - `try`: a program counts when it says a version that is new enough, and nothing else, and passes the self-test.
 * - `ours`: makes, or checks, a folder of ours in a place where others may write: no link, nobody else's, closed to others, and in a
 *   place where nobody can put another one in its stead.
 */
export const probeScript = `
LC_ALL=C; export LC_ALL
umask 077
say() { printf '\\ngpu-run %s %s\\n' "$1" "$2"; }
home=$HOME
base=$home/.gpu-run
say home "$home"
said=$(mkdir -p "$base/runner" "$base/machines" 2>&1 && chmod 700 "$base" 2>&1) || { say error "$(printf %s "$said" | tr '\\n' ' ')"; exit 0; }
say os "$(uname -s)"
say arch "$(uname -m)"
file=$base/runner/$1/runner.mjs
if [ -f "$file" ]; then
  say hash "$( (sha256sum "$file" || shasum -a 256 "$file") 2>/dev/null)"
fi
if [ -e /proc/driver/nvidia/version ] || [ -e /dev/nvidiactl ] || [ -e /dev/dxg ]; then
  say nvidia yes
  for file in "$base/native/koffi-$2-"*.node; do
    [ ! -f "$file" ] || say native "$( (sha256sum "$file" || shasum -a 256 "$file") 2>/dev/null)"
  done
fi
needed=$3
limit=
command -v timeout >/dev/null 2>&1 && limit='timeout 10'
found=
works() {
  grep -qxF "$2 $1" "$base/tested" 2>/dev/null && return 0
  case $($limit "$1" -e '${selfTest}' 2>/dev/null </dev/null) in "works \${2#v} yes") ;; *) return 1 ;; esac
  printf '%s %s\\n' "$2" "$1" >>"$base/tested"
  return 0
}
try() {
  case $1 in /*) ;; *) return 1 ;; esac
  [ -x "$1" ] && [ ! -d "$1" ] || return 1
  case $1 in
    */bun) version=$($limit "$1" -p process.versions.node 2>/dev/null </dev/null) || return 1; version=v$version ;;
    *) version=$($limit "$1" --version 2>/dev/null </dev/null) || return 1 ;;
  esac
  say node "$version $1"
  case $version in v2[0-9].*|v[3-9][0-9].*) ;; *) return 1 ;; esac
  works "$1" "$version" && found=yes && say works "$1"
}
uid=$(id -u 2>/dev/null)
ours() {
  [ -n "$uid" ] || return 1
  case $1 in /*) ;; *) return 1 ;; esac
  own=$1/gpu-run-$uid
  set -- $(ls -ldn "$1/." 2>/dev/null)
  case \${3-} in 0|"$uid") ;; *) return 1 ;; esac
  case $1 in d????????[tT]*|d????-??-*) ;; *) return 1 ;; esac
  mkdir "$own" 2>/dev/null
  set -- $(ls -ldn "$own" 2>/dev/null)
  case \${1-} in drwx------*) ;; *) return 1 ;; esac
  [ "$3" = "$uid" ]
}
runs() {
  printf '#!/bin/sh\\n' >"$1/.exec.$$" 2>/dev/null && chmod 700 "$1/.exec.$$" && "$1/.exec.$$" 2>/dev/null
  set -- "$1" $?
  rm -f "$1/.exec.$$"
  return "$2"
}
for node in "$(command -v node 2>/dev/null)" "$base"/node/*/bin/node "$base"/node/*/bin/bun "$(command -v nodejs 2>/dev/null)" \\
  "$home"/.nvm/versions/node/*/bin/node \\
  "$home"/.local/bin/node "$home"/.volta/bin/node /usr/local/bin/node /opt/node*/bin/node /opt/conda/bin/node /opt/homebrew/bin/node \\
  "$home"/miniconda3/bin/node "$home"/miniforge3/bin/node "$home"/anaconda3/bin/node /snap/bin/node; do
  try "$node" && break
done
if [ -z "$found" ]; then
  for other in "\${TMPDIR-}" /var/tmp /tmp "\${XDG_RUNTIME_DIR-}" /dev/shm; do
    [ -d "$other/gpu-run-$uid/node" ] && ours "$other" || continue
    for node in "$own"/node/*/bin/node "$own"/node/*/bin/bun; do
      try "$node" && break 2
    done
  done
fi
if [ -z "$found" ]; then
  say libc "$(getconf GNU_LIBC_VERSION 2>/dev/null || ldd --version 2>&1 | head -n 1)"
  for other in home "\${TMPDIR-}" /var/tmp /tmp "\${XDG_RUNTIME_DIR-}" /dev/shm; do
    if [ "$other" = home ]; then own=$base; else ours "$other" || continue; fi
    runs "$own" || { say noexec "$own"; continue; }
    free=$(df -Pk "$own" 2>/dev/null | tail -n 1 | awk '{ print $4 }')
    case $free in *[!0-9]*) free= ;; esac
    if [ -n "$free" ] && [ "$free" -lt "$needed" ]; then
      say small "$free $own"
      continue
    fi
    say place "$own"
    break
  done
fi
say end yes
`;
