/** Real signals to real processes. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import { ownIdentity } from '../../../src/core/process-identity.ts';
import { openSqliteLedger } from '../../../src/ledger/sqlite-ledger.ts';
import { createPlace, type Place } from './call.ts';
import { machineEntry } from './entries.ts';

const map = { COMMAND_MAP: './test/unit/cli/endless-driver.ts' };
let place: Place;
beforeEach(() => {
  place = createPlace();
});
afterEach(() => place[Symbol.dispose]());

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s: the work is asked to stop, and the exit code says so', async (signal) => {
  const { child, answer, says } = place.start(['polite', '--json'], map);
  await says('At it');
  child.kill(signal);
  const { code, stderr, document } = await answer;
  expect(code).toBe(130);
  expect(stderr).toContain('Interrupted: stopping and clearing up.');
  expect(document).toMatchObject({ outcome: 'error', error: { code: 'interrupted' } });
});

test('a workflow that waits for another gpu-run is interrupted as well, and changes nothing', async () => {
  mkdirSync(place.home, { recursive: true });
  const ledger = openSqliteLedger(join(place.home, 'ledger.sqlite'), systemClock);
  ledger.open({ ...machineEntry(), holder: ownIdentity() });
  const { child, answer, says } = place.start(['up']);
  await says('Waiting for the gpu-run');
  child.kill('SIGINT');
  expect((await answer).code).toBe(130);
  expect(ledger.list({ live: true })).toMatchObject([{ name: 'cats', state: 'intent' }]);
  ledger.close();
});

test('the second one leaves at once, names what may still bill, and how to end it', async () => {
  mkdirSync(place.home, { recursive: true });
  const ledger = openSqliteLedger(join(place.home, 'ledger.sqlite'), systemClock);
  ledger.open({ ...machineEntry(), holder: ownIdentity() });
  ledger.close();
  const { child, answer, says } = place.start(['deaf', '--json'], map);
  await says('At it');
  child.kill('SIGINT');
  await says('Once more leaves at once');
  const again = setInterval(() => child.kill('SIGINT'), 50); // the first few count as an echo of the first one
  const { code, stderr, document } = await answer.finally(() => clearInterval(again));
  expect(code).toBe(90);
  expect(stderr).toContain("in the middle of the work on 'cats', which may still be running and billing");
  expect(stderr).toContain('gpu-run down cats');
  expect(document).toMatchObject({ outcome: 'error', error: { code: 'still-billing' } });
});

test('a bug outside of any promise still ends with its exit code and the wish to report it', async () => {
  const { code, stderr, document } = await place.call(['broken', '--json'], map);
  expect(code).toBe(70);
  expect(stderr).toMatch(/^Error: nobody foresaw this\nThis is a bug in gpu-run\. Please report it/);
  expect(document).toMatchObject({ outcome: 'error', error: { code: 'internal' } });
});
