/** A host on which nothing could end jobs at the deadline: refused before anything runs there, unless that risk is taken by name. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createProject, processesWith } from './suite/project.ts';

const hasSsh = spawnSync('ssh', ['-V']).status === 0;

test.runIf(hasSsh)('a host whose watchdog does not start is refused; --yes takes it, and up says what protects it', async () => {
  await using host = createProject({ label: 'local', config: 'provider: local' });
  const bin = join(host.folder, 'bin');
  mkdirSync(bin);
  expect((await host.run(['up'], { env: { PATH: `${bin}:${process.env['PATH']}` } })).code).toBe(0);
  // From now on the watchdog ends there as soon as it is started.
  const preload = join(bin, 'no-watchdog.cjs');
  writeFileSync(preload, "if (process.argv[2] === 'watch') { console.error('no watchdog here'); process.exit(1); }");
  writeFileSync(join(bin, 'node'), `#!/bin/sh\nNODE_OPTIONS='--require ${preload}' exec '${process.execPath}' "$@"\n`, { mode: 0o755 });

  await using project = createProject({ label: 'ssh', config: `provider: ssh\nssh: { host: ${host.name}, config-file: ${join(host.home, 'ssh_config')} }` });
  const { run, document } = await project.json(['up']);
  expect(run.code, run.stderr).toBe(2);
  expect(document.error).toMatchObject({
    code: 'usage',
    message: expect.stringContaining(`Nothing would end jobs on '${project.name}' at its deadline`),
    hints: expect.arrayContaining(['Add --yes to take that risk.']),
  });
  expect(document.error.message).toContain('no watchdog here');
  expect((await project.json(['status'])).document.machines).toEqual([]);
  expect(processesWith(`/machines/${project.name}-`)).toEqual([]);

  const taken = await project.json(['up', '--yes']);
  expect(taken.run.code, taken.run.stderr).toBe(0);
  expect(taken.document.machine).toMatchObject({ state: 'ready', protection: [] });
  const again = await project.run(['up', '--yes']);
  expect(again.text).toContain('safety    none: nothing ends it but gpu-run on this computer');
});
