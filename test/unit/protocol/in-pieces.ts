/** For tests of what reads a byte stream. */

/** Cuts `bytes` at the given positions, in Buffers that are overwritten after use, as a socket's pool may be. */
export function* inPieces(bytes: Uint8Array, cuts: readonly number[]): Generator<Buffer> {
  const places = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
  for (const [index, from] of places.entries()) {
    const piece = Buffer.from(bytes.subarray(from, places[index + 1] ?? from));
    yield piece;
    piece.fill(0xff);
  }
}
