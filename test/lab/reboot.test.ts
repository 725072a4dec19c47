/** The machine is started anew while a job is followed, through a real OpenSSH server: sshd goes, all processes go, the disk has lost what was not synced. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createProject, type Project, processesWith, until } from '../e2e/suite/project.ts';
import { type Sshd, startSshd } from '../support/sshd.ts';

let folder: string;
let bootId: string;
let sshd: Sshd;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-reboot-'));
  bootId = join(folder, 'boot_id');
  writeFileSync(bootId, `${randomUUID()}\n`);
  sshd = await startSshd({ replaced: { '/proc/sys/kernel/random/boot_id': bootId } });
});
afterEach(async () => {
  await sshd.close();
  rmSync(folder, { recursive: true, force: true });
});

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Of the project's only machine. */
function jobFolders(project: Project): string[] {
  const machines = join(homedir(), '.gpu-run/machines');
  return readdirSync(machines)
    .filter((name) => name.startsWith(`${project.name}-`))
    .flatMap((name) => readdirSync(join(machines, name, 'jobs')).map((job) => join(machines, name, 'jobs', job)));
}

/** Ends all that runs on the machine, as a power cut does; `onDisk` is done to its files. */
async function reboot(project: Project, onDisk: () => void): Promise<void> {
  await sshd.stop();
  for (let left = processesWith(`/machines/${project.name}-`); left.length > 0; left = processesWith(`/machines/${project.name}-`)) {
    for (const { pid } of left) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended meanwhile.
      }
    }
    await pause(20);
  }
  onDisk();
  writeFileSync(bootId, `${randomUUID()}\n`);
  await pause(1_500);
  await sshd.start();
}

test('the job has ended as lost, nothing of what was synced is, and what waits in the queue runs', async () => {
  await using project = createProject({ label: 'ssh', config: `provider: ssh\nssh: { host: lab, config-file: ${sshd.configFile} }` });
  expect((await project.run(['up'])).code).toBe(0);
  const train = project.start(['train', '--', 'sh', '-c', 'i=0; while :; do i=$((i + 1)); echo "line $i"; sleep 0.01; done']);
  await until(() => train.output().length > 2_000, 'lines of the job');
  const log = join(jobFolders(project)[0] ?? '', 'log');
  const waiting = (await project.json(['train', '--detach', '--', 'echo', 'second'])).document.job.id;
  const synced = statSync(log).size;
  await pause(4_000); // it is synced every second, or as soon as the disk of a busy computer can
  await until(() => train.output().length > synced, 'what was synced');
  await reboot(project, () => truncateSync(log, synced + Math.floor((statSync(log).size - synced) / 2)));

  const run = await train.done;
  expect(run.code, run.stderr).toBe(75);
  expect(run.stderr).toMatch(/reconnecting/i);
  expect(run.stderr).toContain('was lost');
  expect(run.stderr).toContain('the machine was started anew');
  expect(run.stderr).toContain('gpu-run train   starts it again');
  expect(run.stderr).toContain('its disk has lost some');
  const left = readFileSync(log);
  expect(left.length).toBeGreaterThanOrEqual(synced);
  expect(run.stdout.subarray(0, left.length).equals(left)).toBe(true);
  expect(run.stdout.length).toBeGreaterThan(left.length); // it had come before it was lost there

  const second = await project.run(['logs', '--follow', waiting]);
  expect([second.code, second.text], second.stderr).toEqual([0, 'second\n']);
  const { jobs } = (await project.json(['status', '--all'])).document;
  expect(jobs.map(({ state, reason }: { state: string; reason: string }) => [state, reason])).toEqual(
    expect.arrayContaining([
      ['ended', 'lost'],
      ['ended', 'exit'],
    ]),
  );
});
