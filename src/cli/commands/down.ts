import { Args } from '@oclif/core';
import { GpuRunError } from '../../core/errors.ts';
import type { RunContext } from '../../workflows/context.ts';
import { BaseCommand } from '../base-command.ts';
import { confirm } from '../confirm.ts';
import { configFlags, toggle } from '../flags.ts';
import { failureOfLeftovers } from '../job-verdict.ts';
import { renderDown } from '../render/reports.ts';

export default class Down extends BaseCommand {
  static override description = `End machines and what belongs to them; returns when they are gone.
Without a name: the machine of this folder.`;
  static override examples = ['<%= config.bin %> down', '<%= config.bin %> down cats dogs', '<%= config.bin %> down --all --yes'];
  static override args = { names: Args.string({ description: 'Names of machines', multiple: true, ignoreStdin: true }) };
  static override flags = { ...configFlags, all: toggle('all', 'Every machine that is up') };

  async run(): Promise<number> {
    const { args, flags } = await this.parse(Down);
    const all = flags.all ?? false;
    const given = args.names ?? [];
    if (all && given.length > 0) throw new GpuRunError('usage', 'Names and --all exclude each other.', { hints: ['gpu-run down --all   ends every machine'] });
    const { down } = await import('../../workflows/down.ts');
    const names = all || given.length > 0 ? given : [(await this.settings(flags)).name];
    const result = await this.withContext({}, async (context) => {
      if (flags.yes !== true) await this.#confirm(all ? null : names, context);
      return down({ names, all }, context);
    });
    const machines = result.machines.map(({ name, id, state, costUsd }) => ({ name, id, state, cost: { usd: costUsd } }));
    return this.finish({ machines, leftovers: result.leftovers }, renderDown(result), failureOfLeftovers(result.leftovers));
  }

  /** `--all` always asks; a machine that was named only on a terminal, while a job is on it. */
  async #confirm(only: readonly string[] | null, { ledger, signal }: RunContext): Promise<void> {
    const live = ledger.list({ live: true }).filter(({ name }) => only === null || only.includes(name));
    const busy = live.filter(({ id }) => ledger.listJobs({ machineId: id }).some(({ state }) => state !== 'ended'));
    const asked = only === null ? live : process.stdin.isTTY === true ? busy : [];
    if (asked.length === 0) return;
    await confirm(`End ${asked.map(({ name }) => name).join(', ')}, with the jobs on ${asked.length === 1 ? 'it' : 'them'}?`, signal);
  }
}
