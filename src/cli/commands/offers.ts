import { BaseCommand } from '../base-command.ts';
import { machineFlags } from '../flags.ts';
import { offerDocument } from '../render/documents.ts';
import { renderOffers } from '../render/machines.ts';

export default class Offers extends BaseCommand {
  static override description = 'Show what could be rented now and for how much. Orders nothing.';
  static override examples = ['<%= config.bin %> offers', '<%= config.bin %> offers --gpu L4:1 --spot'];
  static override flags = machineFlags;

  async run(): Promise<number> {
    const { flags } = await this.parse(Offers);
    const settings = await this.settings(flags);
    const [{ planUp }, { upInput }] = await Promise.all([import('../../workflows/up.ts'), import('../../workflows/from-settings.ts')]);
    const { offers } = await this.withContext({ folder: settings.folder }, (context) => planUp(upInput(settings, false), context));
    return this.finish({ offers: offers.map(offerDocument) }, renderOffers(offers, this.view));
  }
}
