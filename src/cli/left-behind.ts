/** What somebody has to know who leaves in the middle: which machines go on, and how to end them. */
import { GpuRunError } from '../core/errors.ts';
import type { RunContext } from '../workflows/context.ts';

/** @param name of the machine that this call works on; null: none in particular */
export function leftBehind(name: string | null, { ledger, self }: Pick<RunContext, 'ledger' | 'self'>): GpuRunError {
  const machines = ledger.list({ live: true }).filter((machine) => machine.name === name || machine.holder?.pid === self.pid);
  if (machines.length === 0) return new GpuRunError('interrupted', 'Interrupted twice: stopped at once.', { hints: ['gpu-run status   shows what is there'] });
  const names = machines.map((machine) => machine.name);
  return new GpuRunError(
    'still-billing',
    `Interrupted twice: stopped at once, in the middle of the work on ${names.map((one) => `'${one}'`).join(', ')}, which may still be running and billing.`,
    {
      hints: [`gpu-run down ${names.join(' ')}   ends what is left`, 'gpu-run status --refresh   shows what is there'],
    },
  );
}
