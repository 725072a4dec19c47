/** A connection on standby is nobody at the machine, until it works: as whoever looks at the machine's processes sees it. */
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { isUsed, type SeenProcess, seenProcesses } from '../../../remote-runner/busy.ts';
import { isOnStandby, standbyWord } from '../../../src/protocol/standby.ts';
import { openRunner } from '../../../src/runner/client.ts';
import { useBuiltRunner } from '../../support/built-runner.ts';
import { createMachine, pipeTransport } from '../../support/runner.ts';

const built = useBuiltRunner();

test('a connection on standby takes the word away while a call is open', async () => {
  await using machine = createMachine(built.script);
  const pipes = pipeTransport();
  let pid = 0;
  const exec: typeof pipes.exec = (argv, options) => pipes.exec([...argv, standbyWord], options);
  const runner = await openRunner({ ...pipes, exec }, machine.installed, { signal: new AbortController().signal });
  const seen = () => seenProcesses()?.filter(({ line }) => line.includes(` connect --root ${machine.root}`)) ?? [];
  const [waiting] = seen();
  pid = Number(waiting?.pid);
  expect(isOnStandby(waiting?.line ?? '')).toBe(true);
  expect(isUsed(seen(), machine.root)).toBe(false);

  const call = runner.open('telemetry', { everyMs: 60_000 });
  await call.parts()[Symbol.asyncIterator]().next();
  expect(isUsed(seen(), machine.root)).toBe(true);
  call.cancel();
  while (isUsed(seen(), machine.root)) await pause(5);
  expect(isOnStandby(readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim())).toBe(true);
  await runner.close();
});

const node = '/usr/bin/node /home/a/.gpu-run/runner/1/runner.mjs';
const session = (pid: string): SeenProcess => ({ pid, parent: '1', line: 'sshd: ann@notty' });
const runs = (parent: string, line: string): SeenProcess => ({ pid: `${parent}1`, parent, line });

test('an SSH session is nobody while all that it runs waits', () => {
  const standby = `${node} connect --root /home/a/m1 ${standbyWord}`;
  const busy = `${node} connect --root /home/a/m1`;
  expect(isUsed([session('7'), runs('7', standby)], '/home/a/m1')).toBe(false);
  expect(isUsed([session('7'), runs('7', standby), runs('7', 'bash')], '/home/a/m1')).toBe(true);
  expect(isUsed([session('7'), runs('7', standby), runs('7', busy)], '/home/a/m1')).toBe(true);
  expect(isUsed([session('7'), runs('7', standby), session('8'), runs('8', 'vim train.py')], '/home/a/m1')).toBe(true);
  expect(isUsed([session('7')], '/home/a/m1')).toBe(true);
  expect(isUsed([runs('1', standby)], '/home/a/m1')).toBe(false);
  expect(isUsed([runs('1', busy)], '/home/a/m1')).toBe(true);
  expect(isOnStandby(`vim ${standbyWord}`)).toBe(false);
});
