/** Getting a tree of 2,000 files (16 MB) to a machine, beside rsync and scp over the same SSH server. Each opens its own connection. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createBenchMachine } from './bench-machine.ts';
import { type Contender, compare } from './measure.ts';
import { printTable } from './print-table.ts';

const files = 2000;
const bytes = 8192;

export function benchSync(): void {
  using machine = createBenchMachine();
  const { project, sshConfig, name } = machine;
  const ssh = ['-F', sshConfig];
  const gpuRun = machine.gpuRun('sync');
  const rsync: Contender = { name: 'rsync -a --delete', argv: ['rsync', '-a', '--delete', '-e', `ssh -F ${sshConfig}`, `${project}/`, `${name}:rsync-copy/`] };
  const scp: Contender = { name: 'scp -r', argv: ['scp', '-q', '-r', ...ssh, project, `${name}:scp-copy`] };

  const writeAll = () => {
    for (let file = 0; file < files; file += 1) writeOne(project, file);
  };
  writeAll();
  const after = (before: () => void, ...contenders: Contender[]) => contenders.map((contender) => ({ ...contender, before }));
  printTable(`Every one of ${files} files has changed, 5 rounds`, compare(after(writeAll, gpuRun, rsync, scp), 5));
  printTable(
    `One of ${files} files has changed, 10 rounds`,
    compare(
      after(() => writeOne(project, 7), gpuRun, rsync),
      10,
    ),
  );
  printTable(`None of ${files} files has changed, 10 rounds`, compare([gpuRun, rsync], 10));
}

function writeOne(project: string, file: number): void {
  const folder = join(project, `part-${file % 40}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `file-${file}.bin`), randomBytes(bytes));
}
