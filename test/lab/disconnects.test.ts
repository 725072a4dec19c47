/**
 * Random disconnects during jobs that write text and binary: client, connection and agent killed, serving process killed with
 * SIGKILL. TEST_DISCONNECTS=1000 makes a thousand; without it there are some dozens.
 */
import { spawn } from 'node:child_process';
import { expect, test } from 'vitest';
import { useBuiltRunner } from '../support/built-runner.ts';
import { type Outcome, surviveDisconnects } from '../support/disconnects.ts';
import { createMachine, until } from '../support/runner.ts';

const wanted = Number(process.env['TEST_DISCONNECTS'] ?? 40);
const perJob = 20;
const atOnce = 3;

const built = useBuiltRunner();

test(`${wanted} random disconnects: every byte, every record once, and the exit code`, { timeout: 60_000 + wanted * 5_000 }, async () => {
  const seeds = Array.from({ length: Math.ceil(wanted / perJob) }, (_, n) => n + 1 + Math.floor(Math.random() * 1e6) * 1_000);
  const outcomes: Outcome[] = [];
  const work = async () => {
    for (let seed = seeds.pop(); seed !== undefined; seed = seeds.pop()) outcomes.push(await surviveDisconnects(built.script, seed, perJob));
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  const total = (kind: keyof Outcome['disconnects']) => outcomes.reduce((sum, { disconnects }) => sum + disconnects[kind], 0);
  const bytes = outcomes.reduce((sum, each) => sum + each.bytes, 0);
  console.log(
    `${outcomes.length} jobs, ${(bytes / 1e6).toFixed(0)} MB; killed: ${total('client')} clients, ${total('agent')} agents, ${total('serving process')} serving processes; cut: ${total('connection')} connections`,
  );
  expect(outcomes.filter(({ wrong }) => wrong.length > 0)).toEqual([]);
});

test('an agent whose client has vanished without a goodbye ends by itself', async () => {
  await using machine = createMachine(built.script);
  const [program = '', ...words] = machine.installed.argv;
  const agent = spawn(program, [...words, 'connect', '--root', machine.root], { stdio: ['pipe', 'ignore', 'ignore'] });
  await until(() => machine.pids('connect').length === 1, 'the agent');
  await until(() => agent.exitCode !== null, 'the end of the agent', 60_000, 500);
  expect(agent.exitCode).toBe(0);
});
