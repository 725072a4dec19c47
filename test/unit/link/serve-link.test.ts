/** When a link ends, and what whoever uses it then notices. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { linkedConnector, type OpenLink, openLink } from '../../../src/link/link-connector.ts';
import { type LinkPlace, linkPlace } from '../../../src/link/place.ts';
import { serveLink } from '../../../src/link/serve-link.ts';
import { keepSpare } from '../../../src/link/spare.ts';
import { createFakeClock } from '../../../src/testing/fake-clock.ts';
import { collect } from '../../contract/transport-observe.ts';
import { type FakeConnector, fakeConnector } from './fake-connector.ts';

const over: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of over.splice(0).reverse()) await end();
});

function newPlace(): LinkPlace {
  const root = mkdtempSync(join(tmpdir(), 'gpu-run-link-'));
  over.push(() => rmSync(root, { recursive: true, force: true }));
  return linkPlace(join(root, 'link'), 'cats-1') as LinkPlace;
}

async function serve(place = newPlace(), connector: FakeConnector = fakeConnector()) {
  const clock = createFakeClock();
  const abort = new AbortController();
  let isOver = false;
  let why: string | null = null;
  const parts = { place, version: '1', connector, spare: null, idleMs: 60_000, isOver: () => isOver, clock, signal: abort.signal };
  const ended = serveLink(parts).then((said) => {
    why = said;
    return said;
  });
  over.push(async () => {
    abort.abort();
    await ended;
  });
  await until(() => clock.sleeping > 0);
  return { place, clock, connector, ended, why: () => why, end: () => (isOver = true) };
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await pause(2);
}

async function caller(place: LinkPlace, version = '1'): Promise<OpenLink> {
  const link = await openLink(place, version);
  if (link === null) throw new Error('there is no link');
  over.push(link.close);
  return link;
}

test('without a caller it ends after a while, and leaves nothing; with one it stays', async () => {
  const { clock, place, why, ended, connector } = await serve();
  await clock.advance(50_000);
  const link = await caller(place);
  await clock.advance(120_000);
  expect(why()).toBe(null);
  link.close();
  await until(() => !link.alive());
  await pause(20); // the other end hears of it
  await clock.advance(59_000);
  expect(why()).toBe(null);
  await clock.advance(3_000);
  expect(await ended).toBe('nobody used it');
  expect([readdirSync(place.folder), connector.isClosed]).toEqual([[], true]);
});

test.each([
  ['the machine has ended', ({ end }: Awaited<ReturnType<typeof serve>>) => void end()],
  ['the connection broke', ({ connector }) => connector.break()],
  ['its socket was taken away', ({ place }) => rmSync(place.socket)],
  ['its socket was taken away', ({ place }) => rmSync(place.folder, { recursive: true })],
])('%s: it ends within a second or two, callers or not', async (reason, happens) => {
  const link = await serve();
  const call = await caller(link.place);
  happens(link);
  await link.clock.advance(2_000);
  expect(await link.ended).toBe(reason);
  await until(() => !call.alive());
});

test('this computer slept: what stands of the connection is not known', async () => {
  const { clock, ended } = await serve();
  await clock.jump(20_000);
  expect(await ended).toBe('this computer slept');
});

test('another version goes on without it, and it ends with the last of its calls', async () => {
  const { clock, place, why, ended } = await serve();
  const direct = linkedConnector({ place, version: '1', direct: () => Promise.reject(new Error('past the link')) });
  const command = await direct.start(['cat'], new AbortController().signal);
  expect(await openLink(place, '2')).toBe(null);
  await clock.advance(5_000);
  expect(why()).toBe(null);
  expect(await openLink(place, '1')).toBe(null); // it takes nobody any more
  command.stdin.end('still here');
  expect([(await collect(command.stdout)).toString(), await command.exit]).toEqual(['still here', { code: 0, signal: null }]);
  await clock.advance(2_000);
  expect(await ended).toBe('another version was asked for');
  await direct.close();
});

test('what a killed link has left is in nobody’s way', async () => {
  const place = newPlace();
  mkdirSync(place.folder, { mode: 0o700 });
  writeFileSync(place.socket, 'no socket at all', { mode: 0o600 });
  expect(await openLink(place, '1')).toBe(null);
  const { why } = await serve(place);
  await until(() => why() !== null || readdirSync(place.folder).length > 0);
  expect((await caller(place)).alive()).toBe(true);
});

test('a link that dies in the middle of a command: a broken connection; the next one goes without it', async () => {
  const { place, end, clock } = await serve();
  const own = fakeConnector();
  const connector = linkedConnector({ place, version: '1', direct: async () => own });
  const command = await connector.start(['cat'], new AbortController().signal);
  command.stdin.write('x');
  end();
  await clock.advance(2_000);
  await expect(command.exit).rejects.toMatchObject({ code: 'connection', retry: 'same' });
  const next = await connector.start(['echo', 'direct'], new AbortController().signal);
  expect((await collect(next.stdout)).toString()).toBe('direct\n');
  expect(own.started).toEqual([['echo', 'direct']]);
  await connector.close();
});

test('a link whose connection is broken: whoever connects does it without it', async () => {
  const broken = fakeConnector();
  const { place } = await serve(newPlace(), broken);
  broken.break();
  const own = fakeConnector();
  const connector = linkedConnector({ place, version: '1', direct: async () => own });
  await connector.connect();
  await (await connector.start(['true'], new AbortController().signal)).exit;
  expect(own.started).toEqual([['true']]);
  await connector.close();
});

test('a runner that waits is handed over to whoever would start just that, and another one takes its place', async () => {
  const connector = fakeConnector();
  // Prints its arguments, then what it is told.
  const script = ['sh', '-c', 'echo "$*"; exec cat', 'sh'];
  let isOver = false;
  const spare = keepSpare({ argv: script, root: '/m' }, connector.start, () => isOver);
  over.push(spare.close);
  await until(() => connector.started.length === 1);
  expect(spare.take(['sh', '-c', 'true'])).toBe(null);
  const words = [...script, 'connect', '--root', '/m'];
  const taken = spare.take(words);
  await until(() => connector.started.length === 2);
  expect(connector.started.every((argv) => argv.at(-1) === '--standby')).toBe(true);
  taken?.stdin.end('hello');
  expect(taken === null ? '' : (await collect(taken.stdout)).toString()).toBe('connect --root /m --standby\nhello');
  isOver = true;
  expect(spare.take(words)).not.toBe(null);
  await pause(50);
  expect(connector.started).toHaveLength(2); // none behind the command that ends the machine
});

test('a runner that can not wait there is not started for ever', async () => {
  const connector = fakeConnector();
  const spare = keepSpare({ argv: ['false'], root: '/m' }, connector.start, () => false);
  over.push(spare.close);
  await until(() => connector.started.length === 3);
  await pause(50);
  expect([connector.started.length, spare.take(['false', 'connect', '--root', '/m'])]).toEqual([3, null]);
});
