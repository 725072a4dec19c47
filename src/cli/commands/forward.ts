import { Args } from '@oclif/core';
import { GpuRunError } from '../../core/errors.ts';
import { BaseCommand } from '../base-command.ts';
import { configFlags } from '../flags.ts';
import { parsePort } from '../numbers.ts';

export default class Forward extends BaseCommand {
  static override description = `Bring ports of a machine to this computer (127.0.0.1) until Ctrl-C.
PORT is a number, the same on both sides, or LOCAL:REMOTE.`;
  static override usage = 'forward [NAME] PORT... [FLAGS]';
  static override examples = ['<%= config.bin %> forward cats 8888', '<%= config.bin %> forward 8888:6006'];
  static override args = {
    ports: Args.string({ description: "The machine's name (left out: the one of this folder), then ports", multiple: true, required: true, ignoreStdin: true }),
  };
  static override flags = configFlags;

  async run(): Promise<number> {
    const { args, flags } = await this.parse(Forward);
    const [first = ''] = args.ports;
    const named = /^[a-z]/i.test(first); // a port begins with a digit, a name with a letter
    const ports = (named ? args.ports.slice(1) : args.ports).map(parsePort);
    if (ports.length === 0) throw new GpuRunError('usage', 'There is a word missing: PORT.', { hints: [`As in: gpu-run forward ${first} 8888`] });
    const name = named ? first : (await this.settings(flags)).name;
    const { forward } = await import('../../workflows/forward.ts');
    let forwards: { readonly local: number; readonly remote: number }[] = [];
    await this.withContext({ onInterrupt: 'The ports are closed.' }, (context) =>
      forward({ name, ports }, context, (opened) => {
        forwards = opened.map(({ port }, index) => ({ local: port, remote: ports[index]?.remote ?? port }));
        for (const { local, remote } of forwards) void this.screen.err.write(`http://127.0.0.1:${local} is port ${remote} of ${name}\n`);
        void this.screen.err.write('Ctrl-C closes them.\n');
      }),
    );
    return this.finish({ machine: name, forwards }, null);
  }
}
