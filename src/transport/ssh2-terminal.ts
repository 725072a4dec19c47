/** The user's terminal on one `ssh2` channel. May import core and this folder. */
import type { ClientChannel } from 'ssh2';
import type { ExitStatus, LocalTerminal } from './transport.ts';

/** Every key goes to the machine until the channel ends; the terminal is then as it was before, whatever happened. */
export async function runTerminal(channel: ClientChannel, status: Promise<ExitStatus>, terminal: LocalTerminal): Promise<ExitStatus> {
  const { stdin, stdout, stderr } = terminal;
  const wasRaw = stdin.isTTY ? stdin.isRaw : null;
  const resize = () => channel.setWindow(stdout.rows || 24, stdout.columns || 80, 0, 0);
  const closed = new Promise<void>((resolve) => channel.once('close', () => resolve()));
  try {
    if (wasRaw !== null) stdin.setRawMode(true);
    stdout.on('resize', resize);
    stdin.pipe(channel);
    channel.pipe(stdout, { end: false });
    channel.stderr.pipe(stderr, { end: false });
    await closed;
    return await status;
  } finally {
    stdout.off('resize', resize);
    stdin.unpipe(channel);
    stdin.pause(); // else the process would wait for a key
    if (wasRaw !== null) stdin.setRawMode(wasRaw);
  }
}
