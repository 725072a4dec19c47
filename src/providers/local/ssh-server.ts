/**
 * The SSH server of `local` machines: what a cloud machine's sshd is, within one process and without root.
 * It knows one user with one key, runs commands in one home folder with exactly the environment it is given, and listens where it is
 * told to, which is loopback. The `ssh-server*` files import `ssh2` and each other only.
 */
import { timingSafeEqual } from 'node:crypto';
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net';
import ssh2, { type AuthContext, type Connection, type ParsedKey, type ServerChannel, type TcpipRequestInfo } from 'ssh2';
import { serveCommands } from './ssh-server-commands.ts';
import { serveSftp } from './ssh-server-sftp.ts';

export interface SshServerOptions {
  readonly host: '127.0.0.1';
  /** 0: any free port. */
  readonly port: number;
  /** OpenSSH format, without passphrase. */
  readonly hostPrivateKey: string;
  /** The one key that may log in as `user`: `ssh-ed25519 AAAA...`. Or all that may log in now as a user, asked at each attempt. */
  readonly authorizedKey: string | ((user: string) => readonly string[]);
  readonly user: string;
  /** Absolute; commands start here. */
  readonly home: string;
  /** Absolute; a POSIX shell. */
  readonly shell: string;
  /** What commands get beside HOME, USER, LOGNAME, SHELL and a plain PATH; nothing else reaches them. */
  readonly env: Readonly<Record<string, string>>;
  /** Milliseconds that a client has to log in before it is cut off; default 20,000. */
  readonly loginWithinMs?: number;
}

export interface SshServer {
  readonly port: number;
  /** Authenticated connections that are open now. */
  connections(): number;
  /** Those of them that are somebody: not such as run nothing but runners on standby, which wait for a link's next caller. */
  users(): number;
  /** Ends all connections and kills the commands that run on them. Idempotent. */
  close(): Promise<void>;
}

/** As sshd's MaxAuthTries; clients with many keys offer each. */
const maxRefusals = 20;

/** Clients that have not logged in; each holds a descriptor, and any local user can connect. Further ones are closed at once. */
const maxStrangers = 64;

const plainPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Rejects with the system's error when the port can't be listened on. */
export async function startSshServer(options: SshServerOptions): Promise<SshServer> {
  const { home, shell, user, loginWithinMs = 20_000 } = options;
  const isAllowed = publicKeyCheck(options);
  const commands = serveCommands({ home, shell, env: { PATH: plainPath, ...options.env, HOME: home, USER: user, LOGNAME: user, SHELL: shell } });
  const authenticated = new Set<Connection>();
  const server = new ssh2.Server({ hostKeys: [options.hostPrivateKey] }, (connection, { port }) => {
    connection.setMaxListeners(0); // each running command waits for its end
    connection.on('error', () => {}); // 'close' follows
    let refusals = 0;
    connection.on('authentication', (context) => {
      if (isAllowed(context)) context.accept();
      else if (++refusals < maxRefusals) context.reject(['publickey']);
      else connection.end();
    });
    connection.once('ready', () => {
      authenticated.add(connection);
      for (const socket of strangers.keys()) if (socket.remotePort === port) noStranger(socket);
    });
    connection.once('close', () => authenticated.delete(connection));
    connection.on('session', (accept) => {
      const session = accept();
      commands.serve(session, connection);
      session.on('sftp', (acceptSftp) => serveSftp(acceptSftp(), home));
    });
    connection.on('tcpip', dial);
  });

  // A listener of our own in front of the library's: it has Nagle's algorithm on, and can't end connections that are half made.
  const sockets = new Set<Socket>();
  const strangers = new Map<Socket, NodeJS.Timeout>();
  const noStranger = (socket: Socket) => {
    clearTimeout(strangers.get(socket));
    strangers.delete(socket);
  };
  const listener = createServer({ noDelay: true }, (socket) => {
    if (strangers.size >= maxStrangers) {
      socket.destroy();
      return;
    }
    strangers.set(
      socket,
      setTimeout(() => socket.destroy(), loginWithinMs),
    );
    sockets.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      noStranger(socket);
    });
    server.injectSocket(socket);
  });
  const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
  listener.once('error', reject);
  listener.listen(options.port, options.host, resolve);
  await listening;
  const close = async () => {
    const closed = new Promise<void>((done) => listener.close(() => done()));
    for (const socket of sockets) socket.destroy();
    commands.killAll();
    await closed;
  };
  const users = () => [...authenticated].filter((connection) => !commands.isOnStandby(connection)).length;
  return { port: (listener.address() as AddressInfo).port, connections: () => authenticated.size, users, close };
}

function publicKeyCheck({ authorizedKey, user }: SshServerOptions): (context: AuthContext) => boolean {
  const parsed = typeof authorizedKey === 'string' ? [parseKey(authorizedKey)] : [];
  const keysOf = (name: string) => {
    if (typeof authorizedKey !== 'string') return authorizedKey(name).map(parseKey);
    return name === user ? parsed : [];
  };
  return (context) => {
    if (context.method !== 'publickey') return false;
    const { key, blob, signature, hashAlgo } = context;
    const allowed = keysOf(context.username).find((one) => {
      const known = one.getPublicSSH();
      return key.data.length === known.length && timingSafeEqual(key.data, known);
    });
    if (allowed === undefined) return false;
    if (signature === undefined) return true; // only asks whether the key would do
    return blob !== undefined && allowed.verify(blob, signature, hashAlgo) === true;
  };
}

function parseKey(text: string): ParsedKey {
  const key = ssh2.utils.parseKey(text);
  if (key instanceof Error) throw key;
  return key;
}

/** A client's forward to an address as seen from here. */
function dial(accept: () => ServerChannel, reject: () => void, target: TcpipRequestInfo): void {
  const socket = connectTcp({ host: target.destIP, port: target.destPort, noDelay: true, allowHalfOpen: true });
  socket.once('error', reject);
  socket.once('connect', () => {
    socket.off('error', reject);
    const channel = accept();
    socket.on('error', () => channel.destroy());
    channel.on('error', () => socket.destroy());
    channel.once('close', () => socket.destroy());
    channel.pipe(socket).pipe(channel);
  });
}
