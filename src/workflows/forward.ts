/** `forward`: ports of the machine on this computer's loopback, until the caller aborts. */
import type { Forward } from '../transport/transport.ts';
import type { RunContext } from './context.ts';
import { findMachine } from './find.ts';
import { connectMachine } from './reach-machine.ts';

export interface PortForward {
  /** On 127.0.0.1; 0: any free port. */
  readonly local: number;
  readonly host: string;
  readonly remote: number;
}

export interface ForwardInput {
  readonly name: string;
  readonly ports: readonly PortForward[];
}

/** Ends when the signal aborts; `onReady` is told the local ports in the order of `ports`. */
export async function forward(input: ForwardInput, context: RunContext, onReady: (forwards: readonly Forward[]) => void): Promise<void> {
  const transport = await connectMachine(findMachine(input.name, context), context);
  try {
    const forwards: Forward[] = [];
    for (const port of input.ports) forwards.push(await transport.forward(port.local, { host: port.host, port: port.remote }));
    onReady(forwards);
    if (!context.signal.aborted) await new Promise((resolve) => context.signal.addEventListener('abort', resolve, { once: true }));
  } finally {
    await transport.close();
  }
}
