/** A job that prints 64 MB: how fast its log arrives, beside plain `ssh` to the same server. `train` also keeps the log on both sides. */
import { createBenchMachine } from './bench-machine.ts';
import { compare } from './measure.ts';
import { printTable } from './print-table.ts';

const print = "yes 'epoch=1 step=000000 loss=0.123456 acc=0.9876 lr=0.001' | head -c 67108864";

export function benchStream(): void {
  using machine = createBenchMachine();
  const train = { ...machine.gpuRun('train', '--', 'sh', '-c', print), name: 'gpu-run train' };
  const rows = compare([{ name: 'ssh', argv: ['ssh', '-F', machine.sshConfig, machine.name, print] }, train], 5);
  printTable('A job that prints 64 MB, 5 rounds', rows);
}
