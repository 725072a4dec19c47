/** HTTP in front of the calls: who is asking, which call it is, whether it is well formed, what is to go wrong. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { ApiError, errorBody, notFound } from './api-error.ts';
import { computeService, skuPage } from './billing.ts';
import type { Call, CallRequest } from './call.ts';
import { checkMessage, queryFits } from './check-message.ts';
import type { CallFault, Subject } from './faults.ts';
import { answerOsLogin } from './os-login.ts';
import type { CallShape } from './proto-schema.ts';
import type { TokenIssuer } from './tokens.ts';
import type { World } from './world.ts';

export interface RecordedCall {
  /** `instances.insert`; null: none that is known. */
  readonly id: string | null;
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: string;
  /** null: no answer was given. */
  readonly status: number | null;
}

export interface ApiParts {
  readonly world: World;
  readonly calls: Readonly<Record<string, Call>>;
  readonly log: RecordedCall[];
  readonly extraSkus: Readonly<Record<string, unknown>>[];
  /** Known once the server listens. */
  tokens(): TokenIssuer;
}

interface Route {
  readonly shape: CallShape;
  readonly pattern: RegExp;
  readonly names: readonly string[];
  readonly call: Call;
}

export function makeApiServer(parts: ApiParts): Server {
  const routes = Object.entries(parts.calls).map(([id, call]) => routeOf(parts.world.schema.call(id), call));
  return createServer((request, response) => {
    serve(parts, routes, request, response).catch((error: unknown) => {
      parts.world.clock.bugs.push(error);
      response.destroy();
    });
  });
}

function routeOf(shape: CallShape, call: Call): Route {
  const names = [...shape.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  return { shape, call, names, pattern: new RegExp(`^${shape.path.replace(/\{\w+\}/g, '([^/]+)')}$`) };
}

async function serve(parts: ApiParts, routes: readonly Route[], request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { world, log } = parts;
  const url = new URL(request.url ?? '/', 'http://emulated');
  const path = decodeURIComponent(url.pathname);
  const method = request.method ?? 'GET';
  const note = (id: string | null, status: number | null) => log.push({ id, method, path, query: url.search.slice(1), status });
  const body = await text(request);
  const token = method === 'POST' ? parts.tokens().answer(path, body) : null;
  if (token !== null) {
    note('token', token.status);
    send(response, token.status, token.json);
    return;
  }
  let id: string | null = null;
  try {
    parts.tokens().check(request.headers.authorization);
    const login = answerOsLogin(world, method, path, url.searchParams, body);
    if (login !== null) {
      note('osLogin.importSshPublicKey', 200);
      send(response, 200, login);
      return;
    }
    const route = routes.find(({ shape, pattern }) => shape.verb === method && pattern.test(path)) ?? null;
    id = route?.shape.id ?? (path === `/v1/services/${computeService}/skus` && method === 'GET' ? 'billing.skus' : null);
    const fault = id === null ? null : takeFault(world, id, route, path, body);
    if (await strikesBefore(world, fault, request)) return void note(id, null);
    const answer =
      id === 'billing.skus' ? skuPage(url.searchParams, parts.extraSkus, 5000) : await answerCall(world, route, method, path, url.searchParams, body);
    if (strikesAfter(fault, request)) return void note(id, null);
    note(id, 200);
    send(response, 200, answer);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    note(id, error.status);
    const { html, headers = {} } = error.options;
    if (html === undefined) send(response, error.status, errorBody(error), headers);
    else response.writeHead(error.status, { 'Content-Type': 'text/html; charset=UTF-8' }).end(html);
  }
}

function send(response: ServerResponse, status: number, json: unknown, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, { 'Content-Type': 'application/json; charset=UTF-8', ...headers }).end(JSON.stringify(json));
}

/** Checked in the API's own order: place, query, body. */
async function answerCall(world: World, route: Route | null, method: string, path: string, search: URLSearchParams, body: string): Promise<unknown> {
  if (route === null) throw new ApiError({ status: 404, reason: null, message: `The emulator knows no ${method} ${path}.` });
  const { shape } = route;
  const params = paramsOf(route, path);
  if (params['project'] !== world.project && !shape.id.startsWith('images.')) throw notFound(`projects/${params['project']}`);
  const { zone, region } = params;
  if (zone !== undefined && !world.catalogue.zones.includes(zone)) throw unknownPlace('zone', zone);
  if (region !== undefined && !world.catalogue.regions.includes(region)) throw unknownPlace('region', region);
  const query = queryOf(shape, search);
  return await route.call(world, { params, query, body: bodyOf(world, shape, body) });
}

function paramsOf({ pattern, names }: Route, path: string): Readonly<Record<string, string>> {
  const found = pattern.exec(path) ?? [];
  return Object.fromEntries(names.map((name, index) => [name, found[index + 1] ?? '']));
}

function unknownPlace(what: 'zone' | 'region', name: string): ApiError {
  return new ApiError({ status: 400, reason: 'invalid', message: `Invalid value for field '${what}': '${name}'. Unknown ${what}.` });
}

function queryOf(shape: CallShape, search: URLSearchParams): CallRequest['query'] {
  const query: Record<string, string> = {};
  for (const [name, value] of search) {
    if (name === '$alt' || name === 'alt') continue;
    const field = shape.query.get(name);
    if (field === undefined) {
      throw new ApiError({
        status: 400,
        reason: 'badRequest',
        message: `Invalid JSON payload received. Unknown name "${name}": Cannot bind query parameter. Field '${name}' could not be found in request message.`,
      });
    }
    if (!queryFits(field, value)) throw new ApiError({ status: 400, reason: 'badRequest', message: `Invalid value at '${name}' (${field.type}), "${value}"` });
    query[name] = value;
  }
  return query;
}

function bodyOf(world: World, shape: CallShape, body: string): CallRequest['body'] {
  if (shape.body === null) {
    if (['', '""', '{}'].includes(body.trim())) return {};
    throw new ApiError({ status: 400, reason: 'badRequest', message: 'Invalid JSON payload received. This call takes no body.' });
  }
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new ApiError({ status: 400, reason: 'parseError', message: 'Invalid JSON payload received. Unexpected token.' });
  }
  checkMessage(world.schema, shape.body, value, 'resource');
  return value as CallRequest['body'];
}

function takeFault(world: World, id: string, route: Route | null, path: string, body: string): CallFault | null {
  const params = route === null ? {} : paramsOf(route, path);
  const sent = id === 'instances.insert' ? parsed(body) : {};
  const subject: Subject = {
    zone: params['zone'],
    region: params['region'],
    name: sent['name'] ?? params['instance'],
    ...(sent['machineType'] === undefined ? {} : { machineType: String(sent['machineType']).split('/').at(-1) }),
    ...(id === 'instances.insert' ? { spot: sent['scheduling']?.provisioningModel === 'SPOT' } : {}),
  };
  return world.faults.calls.take(subject, id);
}

function parsed(body: string): Record<string, any> {
  try {
    return JSON.parse(body) ?? {};
  } catch {
    return {};
  }
}

/** true: nobody answers. */
async function strikesBefore(world: World, fault: CallFault | null, request: IncomingMessage): Promise<boolean> {
  if (fault?.kind === 'error') throw fault.error;
  if (fault?.kind === 'slow') await world.clock.sleep(fault.ms);
  if ((fault?.kind !== 'reset' && fault?.kind !== 'hang') || fault.when !== 'before') return false;
  if (fault.kind === 'reset') request.socket.resetAndDestroy();
  return true;
}

function strikesAfter(fault: CallFault | null, request: IncomingMessage): boolean {
  if ((fault?.kind !== 'reset' && fault?.kind !== 'hang') || fault.when !== 'after') return false;
  if (fault.kind === 'reset') request.socket.resetAndDestroy();
  return true;
}
