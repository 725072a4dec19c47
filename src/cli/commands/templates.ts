import { BaseCommand } from '../base-command.ts';
import { renderTemplates } from '../render/reports.ts';
import { templatePlaces } from '../template-places.ts';

export default class Templates extends BaseCommand {
  static override description = "Show the recipes for machines: the project's, your own, and gpu-run's.";
  static override examples = ['<%= config.bin %> templates', '<%= config.bin %> templates show local'];

  async run(): Promise<number> {
    await this.parse(Templates);
    const { listTemplates } = await import('../../config/template.ts');
    const templates = await listTemplates(await templatePlaces());
    return this.finish({ templates }, renderTemplates(templates, this.view));
  }
}
