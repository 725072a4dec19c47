/** The wire itself is cut, again and again, between the system's OpenSSH client and a real server: nothing of the job is lost. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createProject, until } from '../e2e/suite/project.ts';
import { sha256 } from '../support/sha256.ts';
import { useWiredServer } from '../support/wire.ts';

const server = useWiredServer();

test('20 cuts at random points of a job that prints 200,000 lines: every byte once, and the exit code', async () => {
  await using project = createProject({ label: 'wire', config: `ssh: { host: wire, config-file: ${server.wire.configFile} }` });
  // Slow for as long as the wire is being cut, then at full speed.
  const enough = join(server.sshd.folder, 'enough');
  const script = `i=0; while [ $i -lt 200000 ]; do i=$((i+1)); echo "line $i"; [ $((i % 500)) -ne 0 ] || [ -e ${enough} ] || sleep 0.3; done; exit 7`;
  const started = project.start(['train', '--', 'sh', '-c', script]);
  await until(() => started.output().length > 1_000, 'some output');
  let cuts = 0;
  while (cuts < 20 && started.child.exitCode === null) {
    const before = started.output().length;
    await until(() => started.output().length > before || started.child.exitCode !== null, 'more output after a cut');
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 200));
    if (server.wire.cut() > 0) cuts++;
  }
  writeFileSync(enough, '');
  const run = await started.done;
  expect(run.code, run.stderr).toBe(7);
  const expected = Array.from({ length: 200_000 }, (_, i) => `line ${i + 1}\n`).join('');
  expect(run.stdout.length).toBe(expected.length);
  expect(sha256(run.stdout)).toBe(sha256(expected));
  expect(cuts).toBe(20);
});
