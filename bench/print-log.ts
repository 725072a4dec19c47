/** A program that prints a log. */

/** Lines as training prints them: each with other numbers, so that nothing packs better than a log does. */
export const printLog = (size: number) => `
let seed = 1, step = 0, left = ${size};
const random = () => (seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff) / 0x7fffffff;
while (left > 0) {
  let text = '';
  while (text.length < 1e6) {
    step += 1;
    text += 'epoch=' + Math.floor(step / 5000) + ' step=' + step + ' loss=' + (2 / (1 + step / 1e5) + random() * 0.1).toFixed(6)
      + ' acc=' + (0.5 + random() * 0.4).toFixed(4) + ' lr=' + (0.001 * (1 - step / 1e8)).toExponential(4) + ' samples/s=' + (1200 + random() * 50).toFixed(1) + '\\n';
  }
  const bytes = Buffer.from(text).subarray(0, left);
  for (let at = 0; at < bytes.length; ) at += require('fs').writeSync(1, bytes, at);
  left -= bytes.length;
}`;
