/** The same end-to-end suites as `local`, against a real OpenSSH server: as root, and as a plain user on a host without Node. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { atLength, hardTimesSuite } from '../e2e/suite/hard-times.ts';
import { mainJobSuite } from '../e2e/suite/main-job.ts';
import { createProject, processesWith, type Target } from '../e2e/suite/project.ts';
import { type Sshd, type SshdOptions, startSshd } from '../support/sshd.ts';

const plainUser = 'gpu-run-lab';

/** Every `node` that a login could find on this computer. */
function nodesHere(): string[] {
  const places = ['/usr/bin/node', '/usr/bin/nodejs', '/usr/local/bin/node', '/bin/node'].filter((file) => existsSync(file));
  return [...new Set(places.map((file) => realpathSync(file)))];
}

function machinesIn(home: string): readonly string[] {
  const folder = join(home, '.gpu-run', 'machines');
  return existsSync(folder) ? readdirSync(folder) : [];
}

function suites(label: string, home: string, options: SshdOptions): void {
  describe(label, () => {
    let sshd: Sshd;
    /** The host may be somebody's own, with machines of theirs. */
    let before: readonly string[] = [];
    // The suites make their projects later than this: the target's lines are read then.
    const target: Target = {
      label,
      get config() {
        return `provider: ssh\nssh: { host: lab, config-file: ${sshd.configFile}, price-per-hour: 0.36 }`;
      },
    };
    beforeAll(async () => {
      before = machinesIn(home);
      sshd = await startSshd(options);
    });
    afterAll(async () => sshd.close());

    mainJobSuite(target);
    hardTimesSuite(target, atLength);

    test('nothing of any machine is left on the host', () => {
      expect(machinesIn(home).filter((name) => !before.includes(name))).toEqual([]);
      const left = processesWith(join(home, '.gpu-run', 'machines'));
      expect(left.filter(({ args }) => !before.some((name) => args.includes(name)))).toEqual([]);
    });

    test('a host key that has changed stops everything, with exit code 77', async () => {
      await using project = createProject({
        label,
        config: `provider: ssh\nssh: { host: lab, config-file: ${sshd.configFile}, host-key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl" }`,
      });
      const run = await project.run(['up']);
      expect(run.code, run.stderr).toBe(77);
      expect(run.stderr).toContain('SHA256:');
      expect((await project.json(['status'])).document.machines).toEqual([]);
    });
  });
}

suites('OpenSSH as root', '/root', {});

describe('a plain user', () => {
  beforeAll(() => {
    spawnSync('userdel', ['--remove', plainUser], { stdio: 'ignore' }); // of a run that was killed
    execFileSync('useradd', ['--create-home', '--shell', '/bin/sh', plainUser]);
    execFileSync('usermod', ['--password', '*', plainUser]); // not locked, and no password either
  });
  afterAll(() => {
    execFileSync('userdel', ['--remove', plainUser], { stdio: 'ignore' });
  });
  suites('OpenSSH as a plain user without Node', `/home/${plainUser}`, { user: plainUser, hidden: nodesHere() });
});
