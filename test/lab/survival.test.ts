/** The runner, killed far more often than in `npm test`: no byte of the log, no record and no exit code is lost. */
import { afterEach, beforeEach, test } from 'vitest';
import { useBuiltRunner } from '../support/built-runner.ts';
import { createMachine, type TestMachine } from '../support/runner.ts';
import { cutWhilePrinting, killAmongShortJobs, killWhilePrinting } from '../support/survival.ts';

const built = useBuiltRunner();
let machine: TestMachine;

beforeEach(() => {
  machine = createMachine(built.script);
});
afterEach(() => machine[Symbol.asyncDispose]());

test('kill -9 of the serving process while a job prints 200,000 lines', () => killWhilePrinting(machine, 200_000));

test('kill -9 of the serving process, again and again among short jobs', () => killAmongShortJobs(machine, { jobs: 6, kills: 12, enough: 4 }));

test('kill -9 of the connection, 20 times while a job prints 200,000 lines', () => cutWhilePrinting(machine, { lines: 200_000, cuts: 20 }));
