/** The runner, killed far more often than in `npm test`: no byte of the log, no record and no exit code is lost. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, test } from 'vitest';
import { buildRunner, createMachine, type TestMachine } from '../support/runner.ts';
import { cutWhilePrinting, killAmongShortJobs, killWhilePrinting } from '../support/survival.ts';

let build: string;
let script: string;
let machine: TestMachine;

beforeAll(() => {
  build = mkdtempSync(join(tmpdir(), 'gpu-run-build-'));
  script = buildRunner(build);
});
afterAll(() => rmSync(build, { recursive: true, force: true }));
beforeEach(() => {
  machine = createMachine(script);
});
afterEach(() => machine[Symbol.asyncDispose]());

test('kill -9 of the serving process while a job prints 200,000 lines', () => killWhilePrinting(machine, 200_000));

test('kill -9 of the serving process, again and again among short jobs', () => killAmongShortJobs(machine, { jobs: 6, kills: 12, enough: 4 }));

test('kill -9 of the connection, 20 times while a job prints 200,000 lines', () => cutWhilePrinting(machine, { lines: 200_000, cuts: 20 }));
