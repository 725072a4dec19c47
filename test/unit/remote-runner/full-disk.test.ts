/** A job that fills the disk: it can be followed and cancelled, its end is written down, and the next job runs. Needs root, for a small file system. */
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, readdirSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { allMarks, openLogTimes } from '../../../remote-runner/log-times.ts';
import { useBuiltRunner } from '../../support/built-runner.ts';
import { createMachine, followToEnd, processesHolding, runJob, specOf, summaryOf, type TestMachine, until } from '../../support/runner.ts';
import { logBytes } from '../../support/survival.ts';

const canMount = tryMount();

function tryMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'gpu-run-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder], { stdio: 'ignore' });
    execFileSync('umount', [folder], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe.skipIf(!canMount)('a disk that a job fills', () => {
  const built = useBuiltRunner();
  let machine: TestMachine;
  beforeEach(() => {
    machine = createMachine(built.script);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m,mode=700', 'tmpfs', machine.root]);
  });
  afterEach(async () => {
    // Lazily: what still runs there holds it, until the machine's disposal has ended that.
    execFileSync('umount', ['-l', machine.root]);
    await machine[Symbol.asyncDispose]();
  });

  const fill = 'cat /dev/zero > fill';
  const isFull = () => existsSync(join(machine.workdir, 'fill')) && statfsSync(machine.root).bavail === 0;

  test('ends with its exit code, though there is no room for its last words', async () => {
    const { summary, log } = await runJob(await machine.connect(), specOf(`${fill}; exit 3`));
    expect(summary).toMatchObject({ state: 'ended', end: { code: 3, reason: 'exit' } });
    expect(log.toString()).toBe(''); // there was no room for cat's last words
    // The runner has freed and used its reserve since: the disk need not be full to the last block any more.
    expect(statSync(join(machine.workdir, 'fill')).size).toBeGreaterThan(2 * 1024 * 1024);
  });

  test('is cancelled', async () => {
    const client = await machine.connect();
    const spec = specOf(`${fill}; sleep 60`);
    await client.call('submit', { spec });
    await until(isFull, 'a full disk');
    expect(await client.call('cancel', { id: spec.id, graceMs: 200 })).toMatchObject({ state: 'ended', end: { reason: 'cancelled' } });
    expect((await followToEnd(client, spec.id)).records.at(-1)).toMatchObject({ state: 'ended' });
    expect(processesHolding(`GPU_RUN_JOB=${spec.id}`)).toEqual([]);
  });

  test('leaves no half of a line in the times of the log, that the next would be glued to', () => {
    const bytes = join(machine.root, 'log');
    const times = `${bytes}.times`;
    writeFileSync(bytes, '1234');
    writeFileSync(times, '4 1000\n'.padStart(4090, '\n')); // of the next line a block holds six bytes
    const filler = join(machine.root, 'filler');
    spawnSync('sh', ['-c', 'cat /dev/zero > "$0"', filler]);
    let now = 1_000;
    const log = openLogTimes({ stream: 'out', bytes, times, gap: `${bytes}.gap` }, () => now);
    const print = (text: string) => {
      appendFileSync(bytes, text);
      now += 1_000;
      log.look();
    };
    print('5678');
    expect(statSync(times).size).toBe(4090);
    rmSync(filler);
    print('90');
    log.close();
    expect([...allMarks(times)]).toEqual([
      [4, 1_000],
      [10, 3_000],
    ]);
  });

  test('takes no more jobs, and says so; it does when there is room again', async () => {
    const client = await machine.connect();
    const spec = specOf(fill);
    await runJob(client, spec);
    await until(() => readdirSync(join(machine.root, 'queue')).every((name) => !/^\d+$/.test(name)), 'the end of all work on it'); // which gives room back
    spawnSync('sh', ['-c', 'cat /dev/zero > more'], { cwd: machine.workdir }); // also what the runner's own reserve has freed
    await expect(client.call('submit', { spec: specOf('true') })).rejects.toMatchObject({ code: 'disk-full' });
    rmSync(join(machine.workdir, 'fill'));
    expect((await runJob(client, specOf('exit 2'))).summary.end).toMatchObject({ code: 2 });
    expect((await client.call('jobs', {})).jobs).toHaveLength(2);
  });

  test('is named by every call when it was full before the first connection; with room again the connection works', async () => {
    const filler = join(machine.root, 'filler');
    spawnSync('sh', ['-c', 'cat /dev/zero > "$0"', filler]);
    const client = await machine.connect();
    await expect(client.call('hello', {})).rejects.toMatchObject({ code: 'disk-full' });
    await expect(client.call('submit', { spec: specOf('true') })).rejects.toMatchObject({ code: 'disk-full' });
    rmSync(filler);
    expect((await runJob(client, specOf('exit 2'))).summary.end).toMatchObject({ code: 2 });
  });

  test('costs a job what it prints meanwhile, and nothing else: it goes on as fast, and that is told', async () => {
    const client = await machine.connect();
    const print = "head -c 20000000 /dev/zero | tr '\\0' x";
    const spec = specOf(`echo one; until [ -e go ]; do sleep 0.02; done; ${fill} 2>/dev/null; ${print}; code=$?; rm fill; echo two; exit $code`);
    await client.call('submit', { spec });
    await until(() => logBytes(machine, spec.id) === 4, 'the first line');
    writeFileSync(join(machine.workdir, 'go'), '');
    const { log, records } = await followToEnd(client, spec.id);
    expect(records.at(-1)).toMatchObject({ end: { code: 0, reason: 'exit' } });
    expect(log.toString()).toMatch(/^one\nx*two\n$/);
    expect(log.length).toBeLessThan(20_000_000);
    expect(records.filter(({ type }) => type === 'note').map((note) => JSON.stringify(note))).toContainEqual(expect.stringContaining('may be missing'));
  });

  test('ends no program that prints beside one of Node, which switches the waiting off for both', async () => {
    const beside = `"${process.execPath}" -e "process.stdout.write('up\\n'); setTimeout(() => {}, 60000)" & node=$!`;
    const isUp = `until [ -s ../jobs/$GPU_RUN_JOB/log ]; do sleep 0.02; done`;
    const isLarge = `until ! command -v perl || perl -e 'exit(fcntl(STDERR, 1032, 0) < 1048576)'; do sleep 0.02; done >/dev/null`; // F_GETPIPE_SZ
    const portion = `head -c 100000 /dev/zero | tr '\\0' x || code=$?; sleep 0.05`;
    const prints = `code=0; set -o pipefail; for portion in $(seq 20); do ${portion}; done`; // 2 MB a second
    const { summary } = await runJob(
      await machine.connect(),
      specOf(['bash', '-c', `${beside}; ${isUp}; ${isLarge}; ${fill} 2>/dev/null; ${prints}; rm fill; kill $node; exit $code`]),
    );
    expect(summary.end).toMatchObject({ code: 0, reason: 'exit' });
  });

  test('does not stop the metrics of a job that goes on when there is room again', async () => {
    const client = await machine.connect();
    const spec = specOf(`echo '{"loss": 1}'; ${fill}; sleep 0.2; rm fill; echo '{"loss": 2}'; sleep 0.2; echo '{"loss": 3}'`);
    const { records } = await runJob(client, spec);
    expect(records.flatMap((record) => (record.type === 'metric' ? [record.values['loss']] : []))).toEqual([1, 2, 3]);
    expect((await summaryOf(client, spec.id)).end).toMatchObject({ code: 0 });
  });
});
