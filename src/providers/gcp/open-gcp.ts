/** Puts the provider together: accounts, client, catalogue, firewall and tunnel. What it is made of is loaded when it is first needed. */
import { join } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import type { Provider } from '../provider.ts';
import { callerAddress } from './access/caller-address.ts';
import { openTunnel } from './access/open-tunnel.ts';
import { createGceApi } from './api/create-gce-api.ts';
import { namesCredentials, namesProject, projectOf, readCredentialsFile } from './api/credentials-file.ts';
import { endpointVariable, originOf } from './api/endpoint.ts';
import { createFetch } from './api/proxied-fetch.ts';
import { createAgents } from './api/proxy.ts';
import type { Catalogue } from './catalogue/catalogue.ts';
import { createCatalogue } from './catalogue/create-catalogue.ts';
import { type Account, createAccounts } from './gcp-account.ts';
import { createGcpProvider } from './gcp-provider.ts';
import { createLoginUser } from './login-user.ts';
import { createWayIn } from './way-in.ts';

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

export function openGcp(parts: GcpParts): Provider {
  const { env, platform, clock, log } = parts;
  const agent = createAgents(env);
  const fetch = createFetch(agent);
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
        fetch,
        ...logged,
      });
    catalogues.set(key, known);
    return known;
  };

  /** An emulator is on this computer. */
  const address = async (): Promise<string | null> => ((env[endpointVariable] ?? '') === '' ? callerAddress() : '127.0.0.1');

  const project = ({ project, credentialsFile }: Account): string | null => {
    try {
      return projectOf(project, env, readCredentialsFile(credentialsFile, env, platform));
    } catch {
      return null;
    }
  };

  return createGcpProvider({
    accounts,
    project,
    catalogue,
    hasCredentials: () => hasCredentials(null),
    namesProject: () => namesProject(env),
    clock,
    warn: parts.warn,
    wayIn: createWayIn({ clock, callerAddress: address, warn: parts.warn }),
    loginUser: createLoginUser(originOf('oslogin', env[endpointVariable]), fetch),
    openTunnel: (api, to, signal) => openTunnel(api, to, signal, { clock, agent, relayUrl: `${originOf('iap-relay', env[endpointVariable])}/v4/` }),
  });
}
