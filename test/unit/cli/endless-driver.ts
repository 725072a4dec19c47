/** A command whose work does not listen to being asked to stop, as a provider that doesn't answer; one that listens; one that passes a job's exit code on. */
import { BaseCommand } from '../../../src/cli/base-command.ts';
import type { PassedOn } from '../../../src/cli/exit-codes.ts';

class Deaf extends BaseCommand {
  async run(): Promise<number> {
    await this.parse(Deaf);
    await this.withContext({ atStake: 'cats' }, async (_context, progress) => {
      progress.report({ type: 'phase', phase: 'launch', status: 'begin', text: 'At it' });
      await new Promise((resolve) => setTimeout(resolve, 1e9));
    });
    return 0;
  }
}

class Polite extends BaseCommand {
  async run(): Promise<number> {
    await this.parse(Polite);
    await this.withContext({}, async ({ clock, signal }, progress) => {
      progress.report({ type: 'phase', phase: 'launch', status: 'begin', text: 'At it' });
      await clock.sleep(1e9, signal);
    });
    return 0;
  }
}

class Broken extends BaseCommand {
  async run(): Promise<number> {
    await this.parse(Broken);
    setImmediate(() => {
      throw new TypeError('nobody foresaw this');
    });
    await new Promise((resolve) => setTimeout(resolve, 1e9));
    return 0;
  }
}

class Passing extends BaseCommand {
  async run(): Promise<PassedOn> {
    await this.parse(Passing);
    await this.withContext({ onOutputLost: 'The job goes on.' }, async () => {
      if (process.env['SAYS'] !== undefined) void this.screen.err.write(`${process.env['SAYS']}\n`);
      for (const line of ['one', 'two']) await this.screen.out.write(`${line}\n`);
    });
    this.finish({}, null);
    return { passedOn: 7 };
  }
}

export const commands = { passing: Passing, deaf: Deaf, polite: Polite, broken: Broken };
