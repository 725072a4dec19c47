import type { PushInput } from '../../workflows/push.ts';
import { BaseCommand } from '../base-command.ts';
import { configFlags, nameArg, toggle } from '../flags.ts';
import { pushedDocument, pushedLine, renderSync } from '../render/reports.ts';
import { renderSyncPreview, syncPreviewDocument } from '../render/sync-preview.ts';

export default class Sync extends BaseCommand {
  static override description = 'Send what changed of code and data to a machine, without running anything.';
  static override examples = [
    '<%= config.bin %> sync',
    '<%= config.bin %> sync cats',
    '<%= config.bin %> sync --watch',
    { description: 'What would be sent, deleted and left out, and by which line of which ignore file:', command: '<%= config.bin %> sync --dry-run' },
  ];
  static override args = { name: nameArg };
  static override flags = {
    ...configFlags,
    'dry-run': toggle('dry-run', 'Only list what would be sent, deleted and skipped, and why'),
    watch: toggle('watch', 'Go on, and send each change a moment after it was made, until Ctrl-C'),
  };

  async run(): Promise<number> {
    const { args, flags } = await this.parse(Sync);
    const settings = await this.settings({ ...flags, ...args });
    const { pushInput } = await import('../../workflows/from-settings.ts');
    const { name, folder } = settings;
    const input = pushInput(settings, flags.yes ?? false);
    if (flags['dry-run']) {
      const { previewSync } = await import('../../workflows/preview-sync.ts');
      const preview = await this.withContext({ folder }, (context) => previewSync(input, context));
      return this.finish(syncPreviewDocument(preview), renderSyncPreview(name, preview, this.view));
    }
    if (flags.watch) return await this.#watch(input, folder);
    const { push } = await import('../../workflows/push.ts');
    const totals = await this.withContext({ folder, linkTo: name }, (context) => push(input, context));
    return this.finish({ sync: totals }, renderSync(totals));
  }

  /** Ends with 130: there is no other way out of it but a failure. */
  async #watch(input: PushInput, folder: string): Promise<number> {
    const { stoppedWatching, watchSync } = await import('../../workflows/watch-sync.ts');
    const { mode, out } = this.screen;
    const pushes = { count: 0, sentBytes: 0 };
    await this.withContext({ folder, onInterrupt: null, endsWithStdout: true }, (context, progress) =>
      watchSync(input, context, (pushed) => {
        pushes.count += 1;
        pushes.sentBytes += pushed.sentBytes;
        progress.clear();
        void out.write(mode.json ? `${JSON.stringify(pushedDocument(pushed))}\n` : `${pushedLine(pushed)}\n`);
      }),
    );
    return this.finish({ pushes }, null, stoppedWatching());
  }
}
