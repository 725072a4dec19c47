/** How a call wants its output. Looked up in the words themselves: it has to be known even when the rest of the call makes no sense. */

export interface OutputMode {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
}

export function outputMode(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): OutputMode {
  const { own } = splitCommand(argv);
  const given = (name: string) => own.includes(`--${name}`) || isOn(env[`GPU_RUN_${name.toUpperCase()}`]);
  return { json: given('json'), quiet: given('quiet'), verbose: given('verbose') };
}

/** `train NAME --json -- python train.py`: the words up to `--` are ours, those behind it belong to the command and stay as they are. */
export function splitCommand(argv: readonly string[]): { readonly own: string[]; readonly command: string[] | null } {
  const at = argv.indexOf('--');
  return at < 0 ? { own: [...argv], command: null } : { own: argv.slice(0, at), command: argv.slice(at + 1) };
}

/** As `parseSwitch` takes it for yes; what is neither yes nor no is told by the command. */
function isOn(value: string | undefined): boolean {
  return value !== undefined && ['1', 'true', 'y', 'yes', 'on'].includes(value.trim().toLowerCase());
}
