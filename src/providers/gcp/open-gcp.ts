/** Puts the provider together: accounts, client, catalogue, firewall and tunnel. What it is made of is loaded when it is first needed. */
import { join } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import type { Provider } from '../provider.ts';
import { callerAddress } from './access/caller-address.ts';
import { ensureSshAllowed, removeRuleWhenLast } from './access/firewall.ts';
import { openTunnel } from './access/open-tunnel.ts';
import { createGceApi } from './api/create-gce-api.ts';
import { namesCredentials } from './api/credentials-file.ts';
import { endpointVariable, originOf } from './api/endpoint.ts';
import type { Catalogue } from './catalogue/catalogue.ts';
import { createCatalogue } from './catalogue/create-catalogue.ts';
import { type Account, createAccounts } from './gcp-account.ts';
import { createGcpProvider } from './gcp-provider.ts';
import { networkTag } from './instance-body.ts';
import { createLoginUser } from './login-user.ts';

export interface GcpParts {
  /** The caller's environment: credentials, project, proxy, `GPU_RUN_GCP_ENDPOINT`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
  readonly clock: Clock;
  /** A folder for what must be remembered: in which projects there may be machines. */
  readonly state: string;
  /** A folder for what can be found out again. */
  readonly cache: string;
  /** What the user should know and nothing fails for. */
  readonly warn: (text: string) => void;
  /** For `--verbose`: one line a request. */
  readonly log?: (line: string) => void;
}

/** The SSH port of machines that are just being made; another one is seen only when they run. */
const sshPort = 22;

export function openGcp(parts: GcpParts): Provider {
  const { env, platform, clock, log } = parts;
  const logged = log === undefined ? {} : { log };
  const hasCredentials = async (file: string | null) => namesCredentials(file, env, platform);
  const accounts = createAccounts(join(parts.state, 'accounts.json'), (account) => createGceApi({ ...account, env, platform, clock, ...logged }));
  const catalogues = new Map<string, Catalogue>();

  const catalogue = (account: Account): Catalogue => {
    const key = JSON.stringify(account);
    const known =
      catalogues.get(key) ??
      createCatalogue({
        api: () => accounts.api(account),
        hasCredentials: () => hasCredentials(account.credentialsFile),
        cache: parts.cache,
        billingUrl: originOf('cloudbilling', env[endpointVariable]),
        clock,
        ...logged,
      });
    catalogues.set(key, known);
    return known;
  };

  /** An emulator is on this computer. */
  const address = async (): Promise<string | null> => ((env[endpointVariable] ?? '') === '' ? callerAddress() : '127.0.0.1');

  return createGcpProvider({
    accounts,
    catalogue,
    hasCredentials: () => hasCredentials(null),
    clock,
    async openPort(api, { zone, name, owner, publicIp }, { allowFrom }) {
      const allowed = await ensureSshAllowed({ api, zone, name, owner, tag: networkTag, port: sshPort, publicIp, allowFrom, callerAddress: address });
      if (allowed.state === 'unsure') parts.warn(allowed.command === null ? allowed.warning : `${allowed.warning} By hand: ${allowed.command}`);
    },
    async closePort(api, { owner, name, network }) {
      await removeRuleWhenLast(api, owner, name, network);
    },
    loginUser: createLoginUser(originOf('oslogin', env[endpointVariable])),
    openTunnel: (api, to, signal) => openTunnel(api, to, signal, { clock, relayUrl: `${originOf('iap-relay', env[endpointVariable])}/v4/` }),
  });
}
