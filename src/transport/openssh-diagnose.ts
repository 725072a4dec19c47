/** What `ssh` said when no connection came about, as an error that says what to do. May import core and this folder. */
import { GpuRunError } from '../core/errors.ts';
import { fingerprint } from './host-keys.ts';
import type { ConnectOptions, Diagnose } from './transport.ts';

/** `said`: the error output of ssh (LogLevel ERROR). */
export const diagnoseOpenssh: Diagnose = (said, options) => {
  const where = hostOf(options);
  if (/host key verification failed|host key is known for|HOST IDENTIFICATION HAS CHANGED/i.test(said)) return hostKeyError(said, options);
  if (/permission denied|too many authentication failures|unprotected private key|no supported authentication methods/i.test(said)) {
    return new GpuRunError('not-allowed', `${where} does not let us in: ${lastLine(said)}`, {
      hints: [
        `Try \`ssh -o BatchMode=yes ${where}\`: it must work without asking for anything.`,
        'A key with a passphrase has to be in the agent (`ssh-add`); a host that asks for a second factor needs an open connection to share (ControlMaster in ~/.ssh/config).',
      ],
    });
  }
  if (/could not resolve hostname/i.test(said)) {
    return new GpuRunError('connection', `The host '${where}' is not known: ${lastLine(said)}`, {
      hints: ['Check the name. It may be an alias of ~/.ssh/config, or a name that only resolves within a VPN.'],
      retry: 'same',
    });
  }
  if (/bad configuration option|can't open user config file|terminating, \d+ bad|missing argument|unsupported option|bad cipher/i.test(said)) {
    return new GpuRunError('bad-input', `ssh does not accept its configuration for '${where}': ${said.trim().split(/\r?\n/)[0]}`, {
      hints: [`\`ssh -G ${where}\` shows the same error.`],
    });
  }
  return new GpuRunError('connection', `No connection to ${where}: ${lastLine(said) || 'ssh ended without saying why'}`, {
    retry: 'same',
    hints: [`Does \`ssh ${where} true\` work?`],
  });
};

function hostKeyError(said: string, options: ConnectOptions): GpuRunError {
  const { access } = options;
  const where = hostOf(options);
  const shown = /SHA256:[A-Za-z0-9+/]+/.exec(said)?.[0];
  const got = shown === undefined ? 'another' : shown;
  if (access.kind === 'openssh' && access.hostKey !== null) {
    return new GpuRunError('host-key', `${where} shows another host key than the pinned one: expected ${fingerprint(access.hostKey)}, got ${got}.`, {
      hints: [`If the host was set up anew, and you have checked its new key, replace 'host-key' in gpu-run.yaml.`],
    });
  }
  const line = /Offending \S+ key in (\S+):(\d+)/.exec(said);
  if (line !== null) {
    return new GpuRunError('host-key', `The host key of ${where} has changed: line ${line[2]} of ${line[1]} holds another one; the host now shows ${got}.`, {
      hints: [`Somebody may be listening in. If the host was set up anew, and you have checked its new key, remove the old line: \`ssh-keygen -R ${where}\`.`],
    });
  }
  return new GpuRunError(
    'host-key',
    `The host key of ${where} is not known${shown === undefined ? '' : ` (it shows ${shown})`}, and nobody is asked about it here.`,
    {
      hints: [`Run \`ssh ${where}\` once and compare the fingerprint, or pin the key with 'host-key' in gpu-run.yaml.`],
    },
  );
}

/** As the user calls it. */
function hostOf({ access }: ConnectOptions): string {
  return access.host;
}

function lastLine(said: string): string {
  return said.trim().split(/\r?\n/).at(-1)?.trim() ?? '';
}
