/** Names of environment variables that a job may be given. */
import { GpuRunError } from '../core/errors.ts';

/** Values are never part of the message: they may be secrets. @throws GpuRunError bad-input */
export function checkEnvName(name: string): string {
  if (name.includes('=')) {
    throw new GpuRunError('bad-input', `${name.slice(0, name.indexOf('='))}=... is a name with a value; only the name goes here.`, {
      hints: ['A secret is taken from the environment of gpu-run; other variables go under env:, or --env NAME=VALUE.'],
    });
  }
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
    throw new GpuRunError('bad-input', `'${name.slice(0, 40)}' can't be the name of an environment variable.`, {
      hints: ['Write letters, digits and _, as in WANDB_API_KEY.'],
    });
  }
  if (name.startsWith('GPU_RUN_')) {
    throw new GpuRunError('bad-input', `'${name}' is set by gpu-run itself.`, { hints: ['Choose a name that does not start with GPU_RUN_.'] });
  }
  return name;
}
