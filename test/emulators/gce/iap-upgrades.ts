/** The relay for machines without a public address, at the emulator's own address: WebSockets go on to the fake relay, which reaches the machines' SSH servers. */
import { once } from 'node:events';
import type { IncomingMessage, Server } from 'node:http';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { type FakeRelay, startFakeRelay } from '../iap/relay.ts';
import type { World } from './world.ts';

/** The relay is started by the first that asks for it. */
export function answerUpgrades(server: Server, world: World): { close(): Promise<void> } {
  let relay: Promise<FakeRelay> | null = null;
  const passing = new Set<Duplex>();
  const target = (name: string, port: number): number | null => {
    const instance = [...world.instances.values()].find((each) => each.name === name && each.status === 'RUNNING');
    return instance?.guest?.sshPort === port ? port : null;
  };
  const pass = async (request: IncomingMessage, client: Duplex, head: Buffer): Promise<void> => {
    const { url } = await (relay ??= startFakeRelay({ target }));
    const upstream = connect({ host: '127.0.0.1', port: Number(new URL(url).port), noDelay: true });
    for (const [here, there] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      passing.add(here);
      here.on('error', () => there.destroy()).once('close', () => there.destroy());
    }
    await once(upstream, 'connect');
    const headers = Array.from(
      { length: request.rawHeaders.length / 2 },
      (_, index) => `${request.rawHeaders[2 * index]}: ${request.rawHeaders[2 * index + 1]}`,
    );
    upstream.write(`${request.method} ${request.url} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`);
    upstream.write(head);
    upstream.pipe(client).pipe(upstream);
  };
  server.on('upgrade', (request: IncomingMessage, client: Duplex, head: Buffer) => {
    pass(request, client, head).catch((error: unknown) => {
      world.clock.bugs.push(error);
      client.destroy();
    });
  });
  return {
    close: async () => {
      for (const socket of passing) socket.destroy();
      await (await relay)?.close();
    },
  };
}
