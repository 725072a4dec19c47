/** The provider takes the machine back: the job is told at once, may save its work, and everybody learns why it ended. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { metadataServer } from '../../../remote-runner/metadata.ts';
import { type ProviderWatch, watchProvider } from '../../../remote-runner/provider-watch.ts';
import type { RunnerClient } from '../../../src/runner/client.ts';
import { useBuiltRunner } from '../../support/built-runner.ts';
import { type FakeMetadata, startMetadataServer } from '../../support/metadata-server.ts';
import { createMachine, followToEnd, kill, runJob, specOf, statesOf, summaryOf, type TestMachine, until } from '../../support/runner.ts';

const built = useBuiltRunner();
let metadata: FakeMetadata;
beforeEach(async () => {
  metadata = await startMetadataServer();
});
afterEach(() => metadata[Symbol.asyncDispose]());

describe('a job', () => {
  let machine: TestMachine;
  let client: RunnerClient;
  beforeEach(async () => {
    machine = createMachine(built.script, { env: { ...process.env, GCE_METADATA_HOST: metadata.host } });
    client = await machine.connect();
  });
  afterEach(() => machine[Symbol.asyncDispose]());

  const atWork = (file = 'on') => until(() => existsSync(join(machine.workdir, file)), file);
  const saves = specOf(['sh', '-c', 'trap "echo 7 > checkpoint; echo saved; exit 0" TERM; echo on > on; while :; do sleep 0.02; done'], { graceMs: 1 });

  test('is told at once, saves its work however short its grace is, and ends as preempted', async () => {
    const spec = { ...saves, id: `${saves.id}-a` };
    await client.call('submit', { spec });
    const follower = followToEnd(await machine.connect(), spec.id);
    await atWork();
    await until(() => metadata.waiting >= 2, 'the watch');
    metadata.set('instance/preempted', 'TRUE');
    const { log, records } = await follower;
    expect(log.toString()).toMatch(/saved\n$/);
    expect(readFileSync(join(machine.workdir, 'checkpoint'), 'utf8')).toBe('7\n');
    expect(statesOf(records)).toEqual(['queued', 'running', 'cancelling', 'ended']);
    expect(records.at(-1)).toMatchObject({ end: { code: 0, reason: 'preempted', detail: 'the provider took the machine back' } });
    const note = records.findIndex((record) => record.type === 'note' && /takes this machine back/.test(record.text));
    expect(records[note + 1]).toMatchObject({ type: 'state', state: 'cancelling' }); // both are on the disk then
  });

  test('finds the file that says why it has to end and how long it has, there and whole as soon as it is told', async () => {
    const looks = 'trap "" TERM; [ -e "$GPU_RUN_PREEMPT_FILE" ] && exit 9; echo on > on; until [ -e "$GPU_RUN_PREEMPT_FILE" ]; do sleep 0.02; done';
    const program = specOf(['sh', '-c', `${looks}; cat "$GPU_RUN_PREEMPT_FILE"`], { graceMs: 1 });
    await client.call('submit', { spec: program });
    await atWork();
    metadata.set('instance/preempted', 'TRUE');
    const { log } = await followToEnd(client, program.id);
    const notice = JSON.parse(log.toString()) as { why: string; seconds: number; at: number; until: number };
    expect(notice).toMatchObject({ why: 'preempted', seconds: 25 });
    expect(notice.until - notice.at).toBe(25_000);
  });

  test('with a signal of its own: only those that listen get it, and who goes on gets SIGTERM', async () => {
    const listens = "process.on('SIGUSR1', () => console.log('usr1')); process.on('SIGTERM', () => { console.log('term'); process.exit(0); });";
    const script = `node -e "${listens} require('fs').writeFileSync('on', ''); setInterval(() => {}, 1000)"; echo shell lives`;
    const spec = specOf(['sh', '-c', `trap "" TERM; ${script}`], { preemptSignal: 'SIGUSR1' });
    await client.call('submit', { spec });
    await atWork();
    // The whole grace is 25 s: a cancel with a shorter one counts from the same moment.
    metadata.set('instance/preempted', 'TRUE');
    await until(() => readFileSync(machine.jobFile(spec.id, 'log'), 'utf8').includes('usr1'), 'the signal');
    await client.call('cancel', { id: spec.id, graceMs: 2_000 });
    const { log, records } = await followToEnd(client, spec.id);
    expect(log.toString()).toBe('usr1\nterm\nshell lives\n');
    expect(records.at(-1)).toMatchObject({ end: { reason: 'cancelled' } }); // nobody wants it started again
  });

  test('with a signal that nobody listens to gets SIGTERM at once', async () => {
    const spec = { ...saves, id: `${saves.id}-c`, preemptSignal: 'SIGUSR2' as const };
    await client.call('submit', { spec });
    await atWork();
    metadata.set('instance/preempted', 'TRUE');
    const { log } = await followToEnd(client, spec.id);
    expect(log.toString()).toMatch(/saved\n$/);
  });

  test('that waits never starts, and no new one is taken', async () => {
    const spec = { ...saves, id: `${saves.id}-b` };
    const waiting = specOf('echo never > never');
    await client.call('submit', { spec });
    await client.call('submit', { spec: waiting });
    await atWork();
    metadata.set('instance/preempted', 'TRUE');
    await until(async () => (await summaryOf(client, spec.id)).state === 'ended', 'its end');
    await until(async () => (await summaryOf(client, waiting.id)).state === 'ended', 'the end of the other');
    expect((await summaryOf(client, waiting.id)).end).toMatchObject({ code: null, reason: 'preempted', detail: expect.stringContaining('before it started') });
    await expect(client.call('submit', { spec: specOf('true') })).rejects.toMatchObject({
      code: 'preempted',
      message: expect.stringContaining('takes this machine back'),
    });
    expect(existsSync(join(machine.workdir, 'never'))).toBe(false);
  });

  test('that the system ended first is not blamed for it, nor is the serving process gone before it has said so', async () => {
    const spec = specOf('echo on > on; exec sleep 600');
    await client.call('submit', { spec });
    await atWork();
    await until(() => metadata.waiting >= 2, 'the watch');
    // The runner learns nothing until it asks by itself: answers that wait are held back.
    metadata.misbehave((request, answer) => {
      if (request.url?.includes('wait_for_change') === true) return;
      answer.writeHead(200, { 'Metadata-Flavor': 'Google', ETag: 'x' }).end('TRUE');
    });
    const serving = machine.pids('serve');
    for (const pid of serving) kill(pid, 'SIGTERM');
    const { records } = await followToEnd(client, spec.id);
    expect(records.at(-1)).toMatchObject({ end: { code: 143, signal: 'SIGTERM', reason: 'preempted' } });
    expect(machine.pids('serve')).toEqual(serving);
  });

  test('goes on through a SIGTERM of the runner on a machine that stays: another one takes over', async () => {
    const spec = specOf('echo on > on; until [ -e go ]; do sleep 0.02; done; exit 3');
    await client.call('submit', { spec });
    await atWork();
    const serving = machine.pids('serve');
    for (const pid of serving) kill(pid, 'SIGTERM');
    await until(() => machine.pids('serve').some((pid) => !serving.includes(pid)), 'the next serving process');
    writeFileSync(join(machine.workdir, 'go'), '');
    expect((await followToEnd(client, spec.id)).records.at(-1)).toMatchObject({ end: { code: 3, reason: 'exit' } });
  });

  test('is told again by a serving process that was killed in between, and once', async () => {
    const spec = specOf(['sh', '-c', 'trap "sleep 0.3; exit 9" TERM; echo on > on; while :; do sleep 0.02; done']);
    await client.call('submit', { spec });
    await atWork();
    metadata.set('instance/preempted', 'TRUE');
    await until(async () => (await summaryOf(client, spec.id)).state === 'cancelling', 'the notice');
    for (const pid of machine.pids('serve')) kill(pid);
    expect((await followToEnd(client, spec.id)).records.at(-1)).toMatchObject({ end: { code: 9, reason: 'preempted' } });
  });

  test('is warned of maintenance, and goes on', async () => {
    const spec = specOf('echo on > on; until [ -e go ]; do sleep 0.02; done');
    await client.call('submit', { spec });
    await atWork();
    metadata.set('instance/maintenance-event', 'TERMINATE_ON_HOST_MAINTENANCE');
    const call = client.open('follow', { id: spec.id, logOffset: 0, record: 0, follow: true });
    for await (const part of call.parts()) if (part.kind === 'event' && JSON.stringify(part.value).includes('maintenance')) break;
    writeFileSync(join(machine.workdir, 'go'), '');
    expect((await followToEnd(client, spec.id)).records).toContainEqual(
      expect.objectContaining({ type: 'note', level: 'warn', text: expect.stringContaining('save checkpoints') }),
    );
    expect((await summaryOf(client, spec.id)).end).toMatchObject({ code: 0, reason: 'exit' });
  });

  test('knows nothing of a preemption of an earlier boot', async () => {
    writeFileSync(join(machine.root, 'taken-back.json'), JSON.stringify({ boot: 'another' }));
    expect((await runJob(client, specOf('exit 5'))).summary.end).toMatchObject({ code: 5, reason: 'exit' });
  });
});

describe('the watch', () => {
  let watch: ProviderWatch | null = null;
  let taken = 0;
  afterEach(() => watch?.close());
  /** `answerMs`: short where the server misbehaves; a right answer on a busy computer may take longer. */
  const start = (host: string, answerMs = 50, calmMs = 5) => {
    taken = 0;
    const patience = { holdMs: 300, answerMs };
    watch = watchProvider({ env: { GCE_METADATA_HOST: host }, root: '/nowhere', onTakenBack: () => taken++, patience, calmMs });
    return watch;
  };

  test('sees what was true before it began, and says it once', async () => {
    metadata.set('instance/preempted', 'TRUE');
    const watching = start(metadata.host);
    await until(() => taken === 1, 'the word');
    expect(await watching?.isTakenBack()).toBe(true);
    expect(taken).toBe(1);
  });

  test('tells of announced maintenance as long as it is announced', async () => {
    metadata.set('instance/upcoming-maintenance', '{"window_start_time":"2026-11-23T10:00:00Z","type":"SCHEDULED"}');
    const watching = start(metadata.host, 10_000); // it is asked for again in ten minutes only
    await until(() => watching?.warnings().some((text) => text.includes('2026-11-23T10:00:00Z')), 'the announcement');
    metadata.set('instance/maintenance-event', 'TERMINATE_ON_HOST_MAINTENANCE');
    await until(() => watching?.warnings().length === 2, 'the event');
    metadata.set('instance/maintenance-event', 'NONE');
    await until(() => watching?.warnings().length === 1, 'its end');
  });

  const page = (answer: ServerResponse) => void answer.writeHead(200, { 'Content-Type': 'text/html' }).end('<html>TRUE</html>');
  test.each<[string, (answer: ServerResponse) => void]>([
    ['a web page', page],
    ['TRUE from somebody else', (answer) => void answer.writeHead(200).end('TRUE')],
    ['a redirect', (answer) => void answer.writeHead(302, { Location: '/elsewhere', 'Metadata-Flavor': 'Google' }).end()],
    ['a failure', (answer) => void answer.writeHead(503, { 'Metadata-Flavor': 'Google' }).end('TRUE')],
    ['nothing', () => {}],
    ['half an answer', (answer) => void answer.writeHead(200, { 'Metadata-Flavor': 'Google', 'Content-Length': '4' }).write('TR')],
    ['a closed connection', (answer) => void answer.destroy()],
    ['words without end', (answer) => void answer.writeHead(200, { 'Metadata-Flavor': 'Google' }).end('TRUE'.repeat(100_000))],
    ['another word', (answer) => void answer.writeHead(200, { 'Metadata-Flavor': 'Google', ETag: 'a' }).end('true')],
    ['a value without etag, at once', (answer) => void answer.writeHead(200, { 'Metadata-Flavor': 'Google' }).end('FALSE')],
  ])('takes %s for nothing, asks more and more seldom, and believes the right answer afterwards', async (_, how) => {
    metadata.misbehave((_request, answer) => how(answer));
    const watching = start(metadata.host);
    await until(() => metadata.asked.filter((path) => path.includes('preempted')).length >= 3, 'three tries');
    const begun = Date.now();
    const before = metadata.asked.length;
    expect(await watching?.isTakenBack()).toBe(false);
    // Three keys: without any pause there would be thousands.
    expect(metadata.asked.length - before).toBeLessThan(5 + ((Date.now() - begun) / 5) * 3);
    expect(taken).toBe(0);
    metadata.misbehave(null);
    metadata.set('instance/preempted', 'TRUE');
    await until(() => taken === 1, 'the word');
  });

  test('lives with a server that is not there', async () => {
    await metadata[Symbol.asyncDispose]();
    const watching = start(metadata.host);
    expect(await watching?.isTakenBack()).toBe(false);
    expect(watching?.warnings()).toEqual([]);
  });

  test('is for machines on Compute Engine alone', () => {
    const root = join(built.folder, 'dmi');
    mkdirSync(join(root, 'sys/class/dmi/id'), { recursive: true });
    const product = (name: string) => writeFileSync(join(root, 'sys/class/dmi/id/product_name'), name);
    expect(watchProvider({ env: {}, root: '/nowhere', onTakenBack: () => {} })).toBeNull();
    product('Standard PC (Q35 + ICH9, 2009)\n');
    expect(metadataServer({}, root)).toBeNull();
    product('Google Compute Engine\n');
    expect(metadataServer({}, root)).toBe('http://metadata.google.internal');
    expect(metadataServer({ METADATA_SERVER_DETECTION: 'none' }, root)).toBeNull();
    expect(metadataServer({ GCE_METADATA_HOST: 'evil/@x' }, root)).toBeNull();
    expect(metadataServer({ GCE_METADATA_HOST: 'localhost:8080', METADATA_SERVER_DETECTION: 'none' }, '/nowhere')).toBe('http://localhost:8080');
  });
});
