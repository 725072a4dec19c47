/** Buffers that were used for a moment, in a process of their own: what is left of them at once. */
import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

const program = `
const { createYoungGarbage } = await import(${JSON.stringify(new URL('../../../remote-runner/young-garbage.ts', import.meta.url).href)});
const used = createYoungGarbage();
let most = 0;
for (let n = 0; n < 1000; n++) {
  used(Buffer.alloc(128 * 1024).length);
  most = Math.max(most, process.memoryUsage().arrayBuffers);
}
console.log(most);`;

test('few are there at any time', () => {
  const most = Number(execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
  expect(most).toBeGreaterThan(128 * 1024);
  expect(most).toBeLessThan(20 * 1024 * 1024);
});
