/** `--spot=false`: oclif takes the flag for on and the value for the next word. Neither is meant. */
import { GpuRunError } from '../core/errors.ts';

interface FlagKinds {
  readonly flags?: Readonly<Record<string, { readonly type?: string }>>;
  readonly baseFlags?: Readonly<Record<string, { readonly type?: string }>>;
}

/** null: no flag that is on or off has a value. `words`: those of the call that are ours. */
export function valuedToggle(words: readonly string[], command: FlagKinds | undefined): GpuRunError | null {
  const kinds = { ...command?.baseFlags, ...command?.flags };
  for (const word of words) {
    const [, no = '', name = '', value = ''] = /^--(no-)?([a-z-]+)=(.*)$/.exec(word) ?? [];
    if (kinds[name]?.type !== 'boolean') continue;
    return new GpuRunError('usage', `--${no}${name} is on or off and takes no value, and '${word}' gives it one.`, {
      hints: [/^(false|no|off|0)$/i.test(value) && no === '' ? `Write --no-${name}, or leave it out.` : `Write --${no}${name}.`],
    });
  }
  return null;
}
