import { Flags } from '@oclif/core';
import { GpuRunError } from '../../core/errors.ts';
import { BaseCommand } from '../base-command.ts';
import { option, toggle, variableOf } from '../flags.ts';
import { parseCount, parseSince, parseUntil } from '../numbers.ts';
import { costCsv, costDocument, renderCost } from '../render/cost.ts';
import { isoTime } from '../render/documents.ts';

/** Lines of a table, unless --limit says otherwise. */
const shownLines = 40;

export default class Cost extends BaseCommand {
  static override description = `Show what was spent: the billed time of machines, at the prices they had.
Machines and jobs that run now are counted up to now. Asks nobody: it is what this computer has written down.`;
  static override examples = [
    '<%= config.bin %> cost',
    '<%= config.bin %> cost --by job --since 7d',
    '<%= config.bin %> cost --by branch --since 2026-11-01 --until 2026-11-30 --json',
    '<%= config.bin %> cost --by day --csv > cost.csv',
  ];
  static override flags = {
    by: Flags.option({
      description: 'What to add up by',
      options: ['machine', 'job', 'template', 'user', 'branch', 'commit', 'day'] as const,
      default: 'machine',
      env: variableOf('by'),
    })(),
    since: option('since', 'Only from then on: a day in UTC, or a span back from now', '7d'),
    until: option('until', 'Only up to then: a day in UTC with its last minute, or a span back from now', '2026-11-30'),
    limit: option('limit', `At most so many, the dearest first, of days the latest; the rest is added up (default: ${shownLines} in a table, else all)`, '10'),
    csv: toggle('csv', 'Comma-separated values (RFC 4180) instead of the table'),
  };

  async run(): Promise<number> {
    const { flags } = await this.parse(Cost);
    const { by, csv = false } = flags;
    const now = Date.now();
    const since = flags.since === undefined ? null : parseSince(flags.since, now);
    const until = flags.until === undefined ? null : parseUntil(flags.until, now);
    if (since !== null && until !== null && since >= until) {
      throw new GpuRunError('bad-input', '--since is not before --until: there is no time between them.', {
        hints: ['As in: --since 2026-11-01 --until 2026-11-30'],
      });
    }
    const { mode, out } = this.screen;
    const all = mode.json || csv ? null : shownLines;
    const limit = flags.limit === undefined ? all : parseCount(flags.limit, '--limit');
    const { reportCost } = await import('../../workflows/report-cost.ts');
    const result = await this.withContext({}, async (context) => reportCost({ by, since, until, limit }, context));
    if (csv && !mode.json) {
      void out.write(costCsv(result, by));
      return this.finish({}, null);
    }
    return this.finish(
      { by, since: isoTime(since), until: isoTime(until), ...costDocument(result) },
      mode.json ? null : renderCost(result, by, mode.verbose, this.view),
    );
  }
}
