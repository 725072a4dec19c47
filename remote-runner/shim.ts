/**
 * The small shell script between the runner and a job's command. It owns the exit code: whatever happens to the runner,
 * the command goes on, and how it ended is written down. POSIX sh, no Node.
 */

/**
 * `sh shim.sh DIR COMMAND [ARG...]`, in a process session of its own, stdout and stderr being the log.
 *
 * - `mkdir started` lets one shim only run the command, even when a runner died just after starting it and the next one
 *   starts it again. `pid` then says who: pid, start time, boot.
 * - The command runs in the foreground: a `&` child of sh would start with SIGINT ignored. `exec` in a subshell runs exactly
 *   this program, not a builtin of the same name. Trapped (not ignored) signals are back at their defaults there.
 * - What this shell itself has to say, such as "Killed", does not belong into the job's log.
 * - Exit 125 without `exit.json`: somebody else has started it, or nothing can be written here.
 */
export const shimText = `#!/bin/sh
d=$1
shift
mkdir "$d/started" || exit 125
if [ -r "/proc/$$/stat" ]; then
  started=$(cut -d ' ' -f 22 "/proc/$$/stat")
else
  started=$(LC_ALL=C ps -o lstart= -p $$)
fi
boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)
printf '%s\\n%s\\n%s\\n' "$$" "$started" "$boot" >"$d/.pid" && mv "$d/.pid" "$d/pid" || exit 125
trap : TERM INT HUP QUIT USR1 USR2
exec 3>&2 2>/dev/null
(exec "$@" 2>&3 3>&-)
code=$?
printf '{"code":%s,"at":%s}\\n' "$code" "$(date +%s)" >"$d/.exit" && mv "$d/.exit" "$d/exit.json"
exit "$code"
`;

/** The shim's exit code when it has run nothing. */
export const shimDidNothing = 125;
