/** A gpu-run that is killed while it orders a machine: `ordering-process.ts STATE-FOLDER`. It prints the order as its provider got it. */
import { writeSync } from 'node:fs';
import { createFakeProvider } from '../../../src/testing/fake-provider.ts';
import { up } from '../../../src/workflows/up.ts';
import { createFakeContext, fakeInput } from './fake-context.ts';

const { context } = createFakeContext(
  (clock) => ({
    fake: createFakeProvider({
      clock,
      expects: true,
      refuse: (plan) => {
        writeSync(1, JSON.stringify(plan));
        process.kill(process.pid, 'SIGKILL');
        return null;
      },
    }),
  }),
  process.argv[2],
);

await up(fakeInput, context);
