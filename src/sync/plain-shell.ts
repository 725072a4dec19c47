/** The changes of a push by rsync that rsync has no way to make: by one fixed POSIX shell script. May import core. */
import type { PlainChange } from './plain-peer.ts';

/**
 * `$1`: the machine's folder, `$2`: for what is moved aside. Lines of stdin: what to do, a space, and the path relative to the workdir as
 * `printf %b` reads it. The folders above each path were seen to be folders, not links.
 */
export const changeScript = `
umask 077
mkdir -p "$1/workdir" "$1/incoming" && cd "$1/workdir" || exit 1
aside=$2
while IFS=' ' read -r op coded; do
  path=$(printf '%b.' "$coded")
  path=./\${path%.}
  case $op in
    mkdir) mkdir -p "$path" || exit 1 ;;
    remove) rm -f "$path" || exit 1 ;;
    rmdir) rmdir "$path" 2>/dev/null ;;
    aside)
      to=$aside/\${path#./}
      while [ -e "$to" ] || [ -L "$to" ]; do to=$to~; done
      mkdir -p "\${to%/*}" && mv "$path" "$to" || exit 1 ;;
  esac
done
exit 0
`;

export function changeLine({ op, path }: PlainChange): string {
  const coded = [...Buffer.from(path, 'utf8')].map((byte) => {
    const letter = String.fromCharCode(byte);
    return /[\w./-]/.test(letter) ? letter : `\\0${byte.toString(8).padStart(3, '0')}`;
  });
  return `${op} ${coded.join('')}\n`;
}
