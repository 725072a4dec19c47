/**
 * Google's client library for Compute Engine, one client at a time: which service has a method, how its request is put into an HTTP
 * request. Loaded at the first call of each. Its types are left alone: they cost the compiler seconds and hundreds of megabytes.
 */
import { createRequire } from 'node:module';
import { prunedProtos } from './proto-schema.ts';

/** Client class by the file in the package, without `_client.js`. */
const clientClasses = {
  accelerator_types: 'AcceleratorTypesClient',
  advice: 'AdviceClient',
  disks: 'DisksClient',
  firewalls: 'FirewallsClient',
  global_operations: 'GlobalOperationsClient',
  images: 'ImagesClient',
  instances: 'InstancesClient',
  machine_types: 'MachineTypesClient',
  projects: 'ProjectsClient',
  regions: 'RegionsClient',
  zone_operations: 'ZoneOperationsClient',
} as const;

const gaxName = 'google-gax';

export type GoogleClient = keyof typeof clientClasses;

/** What the library's transport asks of authentication: everything it sends goes through `fetch`. */
export interface SeamAuth {
  getClient(): Promise<{ readonly universeDomain: string }>;
  fetch(url: string, init: { readonly method: string; readonly headers: Headers; readonly body?: string }): Promise<Response>;
}

/** `request`: fields of the method's request message. The promise is settled when what `SeamAuth.fetch` returned has been read. */
export type SendThrough = (client: GoogleClient, method: string, request: Readonly<Record<string, unknown>>) => Promise<void>;

interface LibraryClient {
  initialize(): Promise<unknown>;
  readonly innerApiCalls: Readonly<Record<string, (request: object, options: object) => Promise<unknown>>>;
}
type LibraryClass = new (options: object, gax: object) => LibraryClient;
interface Gax {
  readonly fallback: { readonly GrpcClient: new (...options: readonly unknown[]) => object; protobufFromJSON(json: object): object };
}

/** `origin`: `http(s)://HOST[:PORT]`. No client is loaded yet. */
export function createSender(auth: SeamAuth, origin: string): SendThrough {
  const require = createRequire(import.meta.url);
  const { protocol, hostname, port } = new URL(origin);
  const options = {
    auth,
    apiEndpoint: hostname,
    port: port === '' ? (protocol === 'http:' ? 80 : 443) : Number(port),
    protocol: protocol.slice(0, -1),
    universeDomain: 'googleapis.com',
  };
  const clients = new Map<GoogleClient, Promise<LibraryClient>>();
  let gax: object | undefined;

  const load = async (name: GoogleClient): Promise<LibraryClient> => {
    const file = `@google-cloud/compute/build/src/v1/${name}_client.js`;
    // The library's own gax: where packages are not hoisted, it lies below the library.
    gax ??= withPrunedProtos(createRequire(require.resolve(file))(gaxName) as Gax, () => require('@google-cloud/compute/build/protos/protos.json') as object);
    const library = require(file) as Readonly<Record<string, LibraryClass>>;
    const Client = library[clientClasses[name]];
    if (Client === undefined) throw new Error(`@google-cloud/compute has no ${clientClasses[name]}`);
    const client = new Client({ ...options }, gax);
    // Here, where it is awaited: the library's methods start it as well, and a failure there would end the process.
    await client.initialize();
    return client;
  };
  const clientOf = async (name: GoogleClient): Promise<LibraryClient> => {
    let client = clients.get(name);
    if (client === undefined) {
      client = load(name);
      clients.set(name, client);
      client.catch(() => clients.delete(name));
    }
    return await client;
  };

  return async (name, method, request) => {
    const call = (await clientOf(name)).innerApiCalls[method];
    if (call === undefined) throw new Error(`${clientClasses[name]} has no method ${method}`);
    // Not repeated by the library, and cut off by it only long after we have.
    await call(request, { retry: null, timeout: 600_000, autoPaginate: false });
  };
}

/**
 * The library makes objects of all 2200 messages of Compute Engine, and hashes 12 MB of JSON for every client to find them again:
 * 0.7 s and 100 MiB. It gets the messages of the requests that are made here.
 */
function withPrunedProtos(gax: Gax, protos: () => object): object {
  let root: object | undefined;
  class PrunedGrpcClient extends gax.fallback.GrpcClient {
    loadProtoJSON(): object {
      root ??= gax.fallback.protobufFromJSON(prunedProtos(protos(), Object.keys(clientClasses)));
      return root;
    }
  }
  return { ...gax, fallback: { ...gax.fallback, GrpcClient: PrunedGrpcClient } };
}
