import { PassThrough, Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GpuRunError } from '../../../src/core/errors.ts';
import type { StartedCommand } from '../../../src/transport/connector.ts';
import { lazyProcess } from '../../../src/transport/lazy-process.ts';
import { markFilter } from '../../../src/transport/openssh-command.ts';

function command(over: Partial<StartedCommand> = {}): StartedCommand {
  return {
    stdin: new PassThrough(),
    stdout: Readable.from([]),
    stderr: Readable.from([]),
    exit: Promise.resolve({ code: 0, signal: null }),
    kill: () => {},
    ...over,
  };
}

describe('lazyProcess', () => {
  test('a command that could not be started ends its streams and says why', async () => {
    const failed = lazyProcess(async () => {
      throw new GpuRunError('connection', 'no way there');
    });
    failed.stdin.end('dropped');
    expect(await failed.stdout.toArray()).toEqual([]);
    expect(await failed.stderr.toArray()).toEqual([]);
    await expect(failed.exit).rejects.toThrow('no way there');
  });

  test('the exit comes after the last byte was read', async () => {
    let order = '';
    const running = lazyProcess(async () => command({ stdout: Readable.from([Buffer.from('a'), Buffer.from('b')]) }));
    running.stderr.resume();
    const exit = running.exit.then(() => {
      order += ' exit';
    });
    for await (const chunk of running.stdout) order += String(chunk);
    await exit;
    expect(order).toBe('ab exit');
  });

  test('outputs that nobody looks at do not hold up the exit of a silent command', async () => {
    expect(await lazyProcess(async () => command()).exit).toEqual({ code: 0, signal: null });
  });

  test('an output that is thrown away does not hold up the command', async () => {
    const stdout = Readable.from(Array.from({ length: 100 }, () => Buffer.alloc(64 * 1024)));
    const running = lazyProcess(async () => command({ stdout }));
    running.stdout.destroy();
    expect(await running.exit).toEqual({ code: 0, signal: null });
    await new Promise((resolve) => (stdout.readableEnded ? resolve(null) : stdout.once('end', resolve)));
  });

  test('an aborted start is told so, and a command that started too late is killed', async () => {
    const starting = Promise.withResolvers<StartedCommand>();
    const abort = new AbortController();
    const killed = Promise.withResolvers<string>();
    let told: AbortSignal | undefined;
    const running = lazyProcess((signal) => {
      told = signal;
      return starting.promise;
    }, abort.signal);
    abort.abort();
    await expect(running.exit).rejects.toMatchObject({ code: 'interrupted' });
    expect(told?.aborted).toBe(true);
    starting.resolve(command({ kill: killed.resolve }));
    expect(await killed.promise).toBe('SIGTERM');
  });
});

describe('markFilter', () => {
  const mark = 'gpu-run-mark-gpu';

  test('takes out the mark and nothing else, however the bytes are cut', async () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 12 }),
      fc.integer({ min: 0, max: mark.length - 1 }).map((length) => Buffer.from(mark.slice(0, length))),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(piece),
        fc.array(piece),
        fc.boolean(),
        fc.infiniteStream(fc.integer({ min: 1, max: 9 })),
        async (before, after, marked, cuts) => {
          const head = Buffer.concat(before);
          const tail = Buffer.concat(after);
          fc.pre(
            !Buffer.concat([head, tail]).includes(mark) &&
              !Buffer.concat([head, Buffer.from(mark), tail])
                .subarray(0, -1 - tail.length)
                .includes(mark),
          );
          const input = Buffer.concat([head, Buffer.from(marked ? mark : ''), tail]);
          const filter = markFilter(mark);
          const output = filter.stream.toArray();
          for (let at = 0; at < input.length; ) {
            const { value: length } = cuts.next();
            filter.stream.write(input.subarray(at, at + length));
            at += length;
          }
          filter.stream.end();
          expect(Buffer.concat(await output).equals(Buffer.concat([head, tail]))).toBe(true);
          expect(filter.seen()).toBe(marked);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('holds nothing back that can not be a mark', async () => {
    const filter = markFilter(mark);
    filter.stream.write('password: ');
    expect(String(filter.stream.read())).toBe('password: ');
  });
});
