/** How long a command takes that has next to nothing to do, against Node doing nothing at all. */
import { bareNode, createBenchMachine } from './bench-machine.ts';
import { compare } from './measure.ts';
import { printTable } from './print-table.ts';

export function benchStartUp(): void {
  using machine = createBenchMachine();
  const contenders = [['--version'], ['--help'], ['train', '--help'], ['status']].map((words) => machine.gpuRun(...words));
  printTable('Start-up, 30 rounds', compare([bareNode, ...contenders], 30));
}
