/**
 * A program of the bench: listens on a port of its own, prints it, and passes connections on to the server at `port` of this computer;
 * what comes back takes the time that a network of so many megabits a second takes.
 */
import { connect, createServer } from 'node:net';

const [port, megabits] = process.argv.slice(2).map(Number);
const bytesPerMs = (megabits * 1e6) / 8 / 1000;
let free = 0;
const server = createServer((near) => {
  const far = connect(port, '127.0.0.1');
  far.on('data', (bytes) => {
    near.write(bytes);
    free = Math.max(performance.now(), free) + bytes.length / bytesPerMs;
    far.pause();
    setTimeout(() => far.resume(), Math.max(1, free - performance.now()));
  });
  far.on('end', () => near.end());
  near.pipe(far);
  near.on('error', () => far.destroy());
  near.on('close', () => far.destroy());
  far.on('error', () => near.destroy());
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
process.stdin.on('close', () => process.exit(0)).resume(); // the bench is gone
