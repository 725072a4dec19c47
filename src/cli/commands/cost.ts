import { Flags } from '@oclif/core';
import { BaseCommand } from '../base-command.ts';
import { option, variableOf } from '../flags.ts';
import { parseSince } from '../numbers.ts';
import { isoTime } from '../render/documents.ts';
import { renderCost } from '../render/reports.ts';

export default class Cost extends BaseCommand {
  static override description = 'Show what was spent: the time of each machine from its order to its end, at its price.';
  static override examples = [
    '<%= config.bin %> cost',
    '<%= config.bin %> cost --by job --since 7d',
    '<%= config.bin %> cost --by branch --since 2026-11-01 --json',
  ];
  static override flags = {
    by: Flags.option({
      description: 'What to add up by',
      options: ['machine', 'job', 'template', 'user', 'branch', 'day'] as const,
      default: 'machine',
      env: variableOf('by'),
    })(),
    since: option('since', 'Only from then on: a day in UTC, or a span back from now', '7d'),
  };

  async run(): Promise<number> {
    const { flags } = await this.parse(Cost);
    const since = flags.since === undefined ? null : parseSince(flags.since, Date.now());
    const { reportCost } = await import('../../workflows/report-cost.ts');
    const result = await this.withContext({}, async (context) => reportCost({ by: flags.by, since }, context));
    const { totalUsd, items } = result;
    return this.finish({ by: flags.by, since: isoTime(since), total: { usd: totalUsd }, items }, renderCost(result, flags.by, this.view));
  }
}
