import { readFileSync } from 'node:fs';
import { Args } from '@oclif/core';
import { GpuRunError } from '../../../core/errors.ts';
import { BaseCommand } from '../../base-command.ts';
import { templatePlaces } from '../../template-places.ts';

export default class TemplatesShow extends BaseCommand {
  static override description = 'Show one recipe as it stands, ready to be copied and changed.';
  static override examples = ['<%= config.bin %> templates show local'];
  static override args = { name: Args.string({ description: "The template's name", required: true, ignoreStdin: true }) };

  async run(): Promise<number> {
    const { args } = await this.parse(TemplatesShow);
    const { listTemplates } = await import('../../../config/template.ts');
    const known = await listTemplates(await templatePlaces());
    const template = known.find(({ name }) => name === args.name);
    if (template === undefined) {
      throw new GpuRunError('not-found', `There is no template '${args.name}'.`, {
        hints: [`The templates are: ${known.map(({ name }) => name).join(', ')}.`],
      });
    }
    const text = readFileSync(template.file, 'utf8');
    return this.finish({ template: { ...template, text } }, text.trimEnd());
  }
}
