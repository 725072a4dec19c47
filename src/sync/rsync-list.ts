/** What `rsync --list-only` prints, with LC_ALL=C and TZ=UTC. May import core and protocol. */
import { pathProblem } from '../protocol/sync.ts';
import type { PlainSeen } from './plain-peer.ts';

const kinds: Readonly<Record<string, PlainSeen['kind']>> = { '-': 'file', d: 'dir', l: 'link' };

/** null: no line of the list, or nothing that can be ours. The folder itself is left out. */
export function parseListLine(line: string): { readonly path: string; readonly seen: PlainSeen } | null {
  const [, type = '', execute = '', size = '', date = '', time = '', name = ''] =
    /^([-a-z])[-r][-w]([-xsS])[-a-zA-Z]{6}[+.@]?\s+([\d,]+) (\d{4}\/\d\d\/\d\d) (\d\d:\d\d:\d\d) (.*)$/s.exec(line) ?? [];
  const path = unescaped(name);
  if (type === '' || path === null || path === '.' || pathProblem(path) !== null) return null;
  const mtime = Date.parse(`${date.replaceAll('/', '-')}T${time}Z`) / 1000;
  return { path, seen: { kind: kinds[type] ?? 'other', size: Number(size.replaceAll(',', '')), mtime, executable: execute === 'x' || execute === 's' } };
}

/** rsync writes what it finds unprintable as `\#ooo`, one byte each, and so the backslash of a name that looks just so. null: it isn't UTF-8. */
function unescaped(name: string): string | null {
  const bytes = Buffer.from(
    name.replace(/\\#([0-3][0-7]{2})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
    'latin1',
  );
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? text : null;
}
