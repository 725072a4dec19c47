import { BaseCommand } from '../base-command.ts';
import { dryRunFlag, machineFlags, nameArg } from '../flags.ts';
import { machineDocument, planDocument } from '../render/documents.ts';
import { renderPlan, renderUp } from '../render/machines.ts';

export default class Up extends BaseCommand {
  static override description = `Rent a machine and make it ready, or use the one that is up already.
It ends at its deadline or after its idle limit, whatever happens to this computer.`;
  static override examples = [
    '<%= config.bin %> up',
    '<%= config.bin %> up cats --gpu L4:1 --spot --max-time 2h',
    { description: 'What there is, and what it could cost at most:', command: '<%= config.bin %> up --gpu A100-80GB:8 --dry-run' },
  ];
  static override args = { name: nameArg };
  static override flags = { ...machineFlags, 'dry-run': dryRunFlag };

  async run(): Promise<number> {
    const { args, flags } = await this.parse(Up);
    const settings = await this.settings({ ...flags, ...args });
    const [{ planUp, up }, { upInput }] = await Promise.all([import('../../workflows/up.ts'), import('../../workflows/from-settings.ts')]);
    const { name, folder } = settings;
    const input = upInput(settings, false, flags.yes ?? false);
    if (flags['dry-run']) {
      const plan = await this.withContext({ folder }, (context) => planUp(input, context));
      return this.finish(planDocument(plan), renderPlan(name, plan, this.view));
    }
    const result = await this.withContext({ folder, atStake: name, linkTo: name }, (context) => up(input, context));
    const { machine, reused, attempts, protection } = result;
    return this.finish({ machine: { ...machineDocument(machine), protection }, reused, attempts }, renderUp(result, this.view));
  }
}
