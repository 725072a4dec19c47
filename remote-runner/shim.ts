/**
 * The two small shell scripts around a job's command: they go on whatever happens to the runner. POSIX sh, no Node. The shim is between
 * the runner and the command and owns the exit code; the copier is between the command and its log.
 */

/**
 * `sh shim.sh DIR COMMAND [ARG...]`, in a process session of its own, stdout and stderr being the log.
 *
 * - `mkdir started` lets one shim only run the command, even when a runner died just after starting it and the next one
 *   starts it again. `pid` then says who: pid, start time, boot.
 * - The environment is the job's and reaches the command as it was given: this shell sets no variable. What it has to note it
 *   notes in subshells, with programs of its own PATH, whatever the job's is.
 * - The command runs in the foreground: a `&` child of sh would start with SIGINT ignored. `exec` in a subshell runs exactly
 *   this program, not a builtin of the same name. Trapped (not ignored) signals are back at their defaults there.
 * - Once the command has ended, signals are ignored: a cancel must not hit the programs that write down how it ended.
 * - Files 4 and 5 are ends of the pipes that the log comes through: held here, kept from the command. See `log-pipe.ts`.
 * - What this shell itself has to say, such as "Killed", does not belong into the job's log.
 * - Exit 125 without `exit.json`: somebody else has started it, or nothing can be written here.
 */
export const shimText = `#!/bin/sh
(
  PATH="/usr/local/bin:/usr/bin:/bin:$PATH"
  mkdir "$1/started" || exit 1
  if [ -r "/proc/$$/stat" ]; then
    started=$(cut -d ' ' -f 22 "/proc/$$/stat")
  else
    started=$(LC_ALL=C ps -o lstart= -p $$)
  fi
  boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)
  printf '%s\\n%s\\n%s\\n' "$$" "$started" "$boot" >"$1/.pid" && mv "$1/.pid" "$1/pid"
) || exit 125
trap : TERM INT HUP QUIT USR1 USR2
exec 3>&2 2>/dev/null
(shift && exec "$@" 2>&3 3>&- 4<&- 5<&-)
set -- "$1" "$?"
trap '' TERM INT HUP QUIT USR1 USR2
(
  PATH="/usr/local/bin:/usr/bin:/bin:$PATH"
  printf '{"code":%s,"at":%s}\\n' "$2" "$(date +%s)" >"$1/.exit" && mv "$1/.exit" "$1/exit.json"
)
exit "$2"
`;

/** The shim's exit code when it has run nothing. */
export const shimDidNothing = 125;

/**
 * `sh copier.sh NOTE`, its stdout being the log, and file 3 the pipe's end to read from.
 *
 * - It begins when it is told to: by then NOTE, which names it, is written. A runner that dies before that leaves nothing that copies.
 * - Signals are ignored, and by `cat` with it: of those that tell processes to end, only SIGKILL reaches it, and the loop starts another.
 * - The pipe is made as large as everybody may have one, 1 MiB instead of 64 KiB (F_SETPIPE_SZ, fcntl(2)), where there is a Perl or Python to
 *   ask for it: programs that don't wait, such as Node's, lose what does not fit into it.
 *   Only where /proc is, which is where it can be done: elsewhere to call them may ask the user to install them (macOS).
 * - At the end of the pipe NOTE gets another name. It is touched when `cat` ended in another way, killed or for want of room: what that
 *   held then is lost.
 * - On a full disk the job must not wait for room, so what it prints is still read, a pipe of it at a time (`dd`), and is lost where it
 *   can't be written: 4 MiB in a tenth of a second. No more, as each attempt is a process, and no process that only throws away:
 *   such a one would go on with it if the loop was killed.
 */
export const copierText = `#!/bin/sh
trap '' HUP INT QUIT PIPE TERM USR1 USR2
PATH="/usr/local/bin:/usr/bin:/bin:$PATH"
read -r go || exit 1
exec </dev/null
[ -d /proc/self ] && { perl -e 'open(P, "<&=3") && fcntl(P, 1031, 1048576) or exit 1' || python3 -c 'import fcntl; fcntl.fcntl(3, 1031, 1048576)'; } >/dev/null &
while :; do
  cat <&3 3<&- && break
  touch -c "$1"
  for attempt in 1 2 3 4; do
    dd bs=1048576 count=1 <&3 3<&- && continue 2
  done
  sleep 0.1 || sleep 1
done
mv -f "$1" "$1.ended"
`;
