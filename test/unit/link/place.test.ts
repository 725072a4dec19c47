/** Where a link listens is its owner's alone, or nobody listens there and nobody goes there. */
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { openLink } from '../../../src/link/link-connector.ts';
import { folderProblem, isTrusted, type LinkPlace, linkPlace, makeFolder } from '../../../src/link/place.ts';

const roots: string[] = [];
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
});

function newPlace(): LinkPlace {
  const root = mkdtempSync(join(tmpdir(), 'gpu-run-place-'));
  roots.push(root);
  return linkPlace(join(root, 'link'), 'cats-1') as LinkPlace;
}

/** Somebody who would take calls. */
async function listen(place: LinkPlace): Promise<() => number> {
  let callers = 0;
  const server = createServer(() => (callers += 1));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(place.socket, resolve));
  chmodSync(place.socket, 0o600);
  return () => callers;
}

test('the folder is made for its owner alone', () => {
  const place = newPlace();
  expect(folderProblem(place)).toBe('is not there');
  makeFolder(place);
  makeFolder(place);
  expect(folderProblem(place)).toBe(null);
});

const isRoot = process.getuid?.() === 0;
const strange: [string, (place: LinkPlace) => void, string][] = [
  ['open to others', ({ folder }) => chmodSync(folder, 0o755), 'is open to others'],
  ['writable by the group', ({ folder }) => chmodSync(folder, 0o720), 'is open to others'],
  ...(isRoot
    ? [
        ['somebody else’s', ({ folder }: LinkPlace) => chownSync(folder, 12_345, 12_345), 'belongs to somebody else'] as [
          string,
          (place: LinkPlace) => void,
          string,
        ],
      ]
    : []),
];

test.each(strange)('a folder that is %s is neither used nor called at', async (_what, spoil, problem) => {
  const place = newPlace();
  makeFolder(place);
  const callers = await listen(place);
  expect(isTrusted(place)).toBe(true);
  spoil(place);
  expect(folderProblem(place)).toBe(problem);
  expect(await openLink(place, '1')).toBe(null);
  expect(callers()).toBe(0);
  expect(() => makeFolder(place)).toThrow(expect.objectContaining({ code: 'not-allowed' }));
});

test('a link to a folder elsewhere is none of ours', async () => {
  const place = newPlace();
  const elsewhere = newPlace();
  mkdirSync(elsewhere.folder, { mode: 0o700 });
  symlinkSync(elsewhere.folder, place.folder);
  const callers = await listen(place);
  expect(folderProblem(place)).toBe('is no folder');
  expect(await openLink(place, '1')).toBe(null);
  expect(callers()).toBe(0);
});

test('a socket that others may write to is not trusted', async () => {
  const place = newPlace();
  makeFolder(place);
  const callers = await listen(place);
  chmodSync(place.socket, 0o666);
  expect(await openLink(place, '1')).toBe(null);
  expect(callers()).toBe(0);
});

test('no room for a socket’s name, or no such sockets: no link', () => {
  expect(linkPlace(`/home/${'x'.repeat(90)}`, 'cats-1')).toBe(null);
  expect(linkPlace('/home/a', 'cats-1', 'win32')).toBe(null);
  expect(linkPlace('/home/a', 'cats-1', 'darwin')?.socket).toMatch(/^\/home\/a\/[0-9a-f]{16}$/);
});
