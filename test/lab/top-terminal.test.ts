/** `top` in a real terminal (tmux), on a machine whose driver says what the test lets it say; and the report after the machine is gone. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createProject, type Project, until } from '../e2e/suite/project.ts';
import { createFakeDriver } from '../support/fake-gpu/fake-driver.ts';

const folder = mkdtempSync(join(tmpdir(), 'gpu-run-tmux-'));
const socket = join(folder, 'socket');
const launcher = fileURLToPath(new URL('../../bin/run.js', import.meta.url));
const gpu = { name: 'NVIDIA L4', memoryTotalMiB: 23_034, memoryUsedMiB: 7_000, utilization: 64, throttle: 0 };
const script = 'i=0; while [ $i -lt 600 ]; do i=$((i+1)); echo "{\\"step\\":$i,\\"loss\\":0.$((1000-i)),\\"total_steps\\":600}"; sleep 0.1; done';
let project: Project;
let job: string;

function tmux(...words: string[]): string {
  return execFileSync('tmux', ['-S', socket, ...words], { encoding: 'utf8', env: { ...process.env, LANG: 'C.UTF-8' } });
}

const picture = () => tmux('capture-pane', '-p').trimEnd();
const type = (text: string) => tmux('send-keys', text, 'Enter');

/** Waits until the screen shows this. */
async function shows(pattern: RegExp): Promise<string> {
  await until(() => pattern.test(picture()), String(pattern));
  return picture();
}

beforeAll(async () => {
  const driver = createFakeDriver(folder, [gpu, { ...gpu, utilization: 3, throttle: 0x40 }], { compiler: null });
  const env = { PATH: driver.env['PATH'] ?? '' };
  project = createProject({ label: 'local', config: 'provider: local', env });
  expect((await project.run(['up'])).code).toBe(0);
  ({
    document: {
      job: { id: job },
    },
  } = await project.json(['train', '--detach', '--', 'sh', '-c', script]));
  const words = Object.entries({ ...env, GPU_RUN_HOME: project.home, GPU_RUN_LINK: '0', METADATA_SERVER_DETECTION: 'none', LANG: 'C.UTF-8', PS1: '$ ' }).map(
    ([name, value]) => `${name}=${value}`,
  );
  tmux('-f', '/dev/null', 'new-session', '-d', '-x', '80', '-y', '24', '-c', project.folder, 'env', ...words, 'bash', '--norc', '-i');
  type(`alias top="'${process.execPath}' '${launcher}' top"; clear`);
});

afterAll(async () => {
  try {
    tmux('kill-server');
  } finally {
    await project[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  }
});

test('80 x 24: all of it, no line too long', async () => {
  type('top');
  const lines = (await shows(/● connected[\s\S]*busy[\s\S]*step \d+ of 600[\s\S]*steps\/s[\s\S]*q quit/)).split('\n');
  expect(lines).toHaveLength(24);
  expect(lines[0]).toMatch(new RegExp(`^${project.name} · local · .* ● connected$`));
  expect(lines[0]).toHaveLength(80);
  expect(lines.join('\n')).toMatch(/0 NVIDIA L4[\s\S]*64 %[\s\S]*7.3GB of 24GB[\s\S]*1 NVIDIA L4.*hw-thermal[\s\S]*3 %/);
  expect(lines.join('\n')).toMatch(/\d+ %, .* left/);
});

test('another size, keys, a stop and going on', async () => {
  tmux('resize-window', '-x', '160', '-y', '50');
  expect((await shows(/GPU ─+ {3}── training/)).split('\n')).toHaveLength(50);
  tmux('send-keys', '?');
  await shows(/cancel the job that is shown/);
  tmux('send-keys', '?', 'l');
  await shows(/less log/);
  tmux('send-keys', 'l', 'c');
  await shows(new RegExp(`Cancel ${job}\\?`));
  tmux('send-keys', 'n');
  await shows(/Nothing was cancelled/);
  tmux('send-keys', 'C-z');
  await shows(/Stopped/);
  type('stty -a | tr ";" "\\n" | grep -c -- "-icanon"; fg');
  expect(await shows(/● connected/)).not.toContain('Stopped');
  tmux('send-keys', 'q');
  type('echo "ended with $?"');
  expect(await shows(/ended with 0/)).toMatch(/^0$/m); // it was no raw terminal while it was stopped
});

test('a signal gives the terminal back', async () => {
  tmux('resize-window', '-x', '80', '-y', '24');
  type('clear; top & sleep 0.1; pid=$!; fg');
  await shows(/● connected/);
  const pid = execFileSync('pgrep', ['-f', `${launcher} top`], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map(Number);
  for (const each of pid) process.kill(each, 'SIGTERM');
  await shows(/Interrupted/);
  type('clear; stty -a | tr ";" "\\n" | grep -c -- "-icanon"; echo done');
  expect(await shows(/^done/m)).toMatch(/^0$/m);
});

test('one picture and one document, without a terminal', async () => {
  const { run, document } = await project.json(['top', '--once']);
  expect(run.code).toBe(0);
  expect(document).toMatchObject({ outcome: 'ok', source: 'nvidia-smi', problem: null, job: { id: job, state: 'running' }, metrics: { steps: 600 } });
  expect(document.gpus).toMatchObject([
    { index: 0, utilization: 64 },
    { index: 1, utilization: 3, throttle: ['hw-thermal'] },
  ]);
  expect(document.host.cpu).toEqual(expect.any(Number));
  const { text, code } = await project.run(['top'], { env: { NO_COLOR: '1', LANG: 'C' } });
  expect(code).toBe(0);
  expect(text).toMatch(/^[\x20-\x7e\n]+$/);
});

test('the report of the job: while it runs, at its end, and after the machine is gone', async () => {
  const during = await project.json(['report']);
  expect(during.document).toMatchObject({ outcome: 'ok', job: { state: 'running' }, training: { lastStep: expect.any(Number) } });
  const ended = await project.run(['logs', job, '--follow']);
  expect(ended.code).toBe(0);
  type('clear; top');
  await shows(/● connected/);
  expect((await project.run(['down', '--yes'])).code).toBe(0);
  await shows(/was ended by `gpu-run down`|no longer exists/); // and no picture hides it
  const { document } = await project.json(['report', '--html', 'page.html']);
  expect(document.gpus).toMatchObject([
    { index: 0, utilization: { mean: 64 }, idleShare: 0 },
    { index: 1, utilization: { mean: 3 }, idleShare: 1 },
  ]);
  expect(document.seconds.run).toBeGreaterThan(55);
  expect(document.training.stepsPerSecond).toBeGreaterThan(2);
  expect(document.seconds.longestSilence).toBeLessThan(20);
  expect(document.advice.map(({ code }: { code: string }) => code)).toContain('throttled');
  expect(project.read('page.html').toString()).toContain('GPU utilisation');
});
