/** The whole of `gpu-run train -- true` on a machine that is up, with nothing to sync: connect, compare, run, book, disconnect. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bareNode, createBenchMachine } from './bench-machine.ts';
import { compare } from './measure.ts';
import { printTable } from './print-table.ts';

export function benchWarmTrain(): void {
  using machine = createBenchMachine();
  for (let file = 0; file < 100; file += 1) writeFileSync(join(machine.project, `part-${file}.py`), `# ${'x'.repeat(2000)}\n`);
  const ssh: [string, ...string[]] = ['ssh', '-F', machine.sshConfig, machine.name, 'true'];
  const rows = compare([bareNode, machine.gpuRun('status'), { name: 'ssh true', argv: ssh }, machine.gpuRun('train', '--', 'true')], 15);
  printTable('A warm local machine, 100 files, nothing to sync, 15 rounds', rows);
}
