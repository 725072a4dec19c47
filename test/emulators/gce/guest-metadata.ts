/** The metadata server as one guest sees it: `http://$GCE_METADATA_HOST/computeMetadata/v1/...`. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { fingerprint } from './machine-json.ts';
import { type InstanceRecord, takesGuestAttributes, type World } from './world.ts';

export interface MetadataServer {
  readonly port: number;
  close(): Promise<void>;
}

export async function startMetadataServer(world: World, instance: InstanceRecord): Promise<MetadataServer> {
  const server = createServer((request, response) => {
    answer(world, instance, request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const root = '/computeMetadata/v1/';

async function answer(world: World, instance: InstanceRecord, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const send = (status: number, body: string, type = 'application/text') =>
    response.writeHead(status, { 'Metadata-Flavor': 'Google', Server: 'Metadata Server for VM', 'Content-Type': type, ETag: fingerprint(body) }).end(body);
  const url = new URL(request.url ?? '/', 'http://metadata.google.internal');
  const refuse = (status: number, why: string) => send(status, `<!DOCTYPE html><title>Error ${status}</title><p>${why}</p>`, 'text/html');
  const isGoogles = request.headers['metadata-flavor'] === 'Google' && request.headers['x-forwarded-for'] === undefined;
  if (!isGoogles) return void refuse(403, 'Your client does not have permission to get this URL: Missing Metadata-Flavor:Google header.');
  if (!url.pathname.startsWith(root)) return void refuse(404, 'Not found.');
  const path = decodeURIComponent(url.pathname.slice(root.length));
  const guestPath = /^instance\/guest-attributes\/(.*)$/.exec(path)?.[1];
  if (guestPath !== undefined) {
    const { status, body } = await guestAttribute(world, instance, guestPath, request);
    return void (status === 200 ? send(200, body) : refuse(status, body));
  }
  if (request.method !== 'GET') return void refuse(405, 'The request method is not allowed.');
  if (url.searchParams.get('wait_for_change') === 'true') await change(world, instance, url, path, request);
  const value = valueAt(world, instance, path);
  if (value === null) refuse(404, `The requested URL ${url.pathname} was not found on this server.`);
  else send(200, value);
}

/** Until the value is another than the one last seen, the time asked for has passed, or the guest hangs up. */
async function change(world: World, instance: InstanceRecord, url: URL, path: string, request: IncomingMessage): Promise<void> {
  const before = valueAt(world, instance, path);
  const seen = url.searchParams.get('last_etag');
  if (seen !== null && seen !== fingerprint(before)) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = () => {
    if (valueAt(world, instance, path) !== before) resolve();
  };
  const seconds = Number(url.searchParams.get('timeout_sec') ?? 0);
  const timer = seconds > 0 ? setTimeout(resolve, seconds * 1000) : undefined;
  instance.changed.add(look);
  request.once('close', resolve);
  await promise;
  clearTimeout(timer);
  instance.changed.delete(look);
}

async function guestAttribute(
  world: World,
  instance: InstanceRecord,
  path: string,
  request: IncomingMessage,
): Promise<{ readonly status: number; readonly body: string }> {
  if (!takesGuestAttributes(world, instance)) return { status: 403, body: 'Guest attributes endpoint access is disabled.' };
  const { guestAttributes } = instance;
  if (request.method === 'GET') {
    const value = guestAttributes.get(path);
    if (value !== undefined) return { status: 200, body: value };
    const below = [...guestAttributes.keys()].filter((key) => key.startsWith(path)).map((key) => key.slice(path.length));
    return below.length === 0 ? { status: 404, body: 'Not found.' } : { status: 200, body: `${below.join('\n')}\n` };
  }
  if (!/^[a-zA-Z0-9_-]{1,128}\/[a-zA-Z0-9_.-]{1,128}$/.test(path)) return { status: 400, body: 'Bad namespace or key.' };
  if (instance.trouble.noHostKeys === true && path.startsWith('hostkeys/')) return { status: 403, body: 'Forbidden.' };
  if (request.method === 'DELETE') guestAttributes.delete(path);
  else if (request.method === 'PUT') guestAttributes.set(path, await text(request));
  else return { status: 405, body: 'The request method is not allowed.' };
  return { status: 200, body: '' };
}

/** null: there is nothing by that name. A name that ends in `/` is a list of names. */
function valueAt(world: World, instance: InstanceRecord, path: string): string | null {
  const attribute = /^(instance|project)\/attributes\/(.*)$/.exec(path);
  if (attribute !== null) {
    const items = attribute[1] === 'instance' ? instance.metadata : world.options.projectMetadata;
    if (attribute[2] === '') return items.map(({ key }) => `${key}\n`).join('');
    return items.find(({ key }) => key === attribute[2])?.value ?? null;
  }
  const number = '123456789012';
  const plain: Readonly<Record<string, string>> = {
    'instance/id': instance.id,
    'instance/name': instance.name,
    'instance/hostname': `${instance.name}.${instance.zone}.c.${world.project}.internal`,
    'instance/zone': `projects/${number}/zones/${instance.zone}`,
    'instance/machine-type': `projects/${number}/machineTypes/${instance.type.name}`,
    'instance/image': `projects/${instance.image.project}/global/images/${instance.image.name}`,
    'instance/preempted': instance.preempted ? 'TRUE' : 'FALSE',
    'instance/maintenance-event': instance.maintenance,
    'instance/scheduling/preemptible': instance.spot ? 'TRUE' : 'FALSE',
    'instance/scheduling/on-host-maintenance': 'TERMINATE',
    'instance/network-interfaces/0/access-configs/0/external-ip': instance.address,
    'instance/service-accounts/': '',
    'project/project-id': world.project,
    'project/numeric-project-id': number,
  };
  return plain[path] ?? null;
}
