/** CRC-32C (Castagnoli), with which Cloud Storage describes every object; eight bytes a step. Imports nothing. */

export interface Crc32c {
  update(bytes: Uint8Array): void;
  /** Of everything so far. */
  readonly value: number;
}

export function createCrc32c(): Crc32c {
  const tables = makeTables();
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [Uint32Array, Uint32Array, Uint32Array, Uint32Array, Uint32Array, Uint32Array, Uint32Array, Uint32Array];
  const of = (table: Uint32Array, index: number) => table[index] ?? 0;
  let crc = 0xffffffff;
  return {
    update: (bytes) => {
      const b = bytes;
      const whole = b.length - (b.length % 8);
      let at = 0;
      for (; at < whole; at += 8) {
        const low = crc ^ ((b[at] ?? 0) | ((b[at + 1] ?? 0) << 8) | ((b[at + 2] ?? 0) << 16) | ((b[at + 3] ?? 0) << 24));
        crc =
          of(t7, low & 0xff) ^
          of(t6, (low >>> 8) & 0xff) ^
          of(t5, (low >>> 16) & 0xff) ^
          of(t4, low >>> 24) ^
          of(t3, b[at + 4] ?? 0) ^
          of(t2, b[at + 5] ?? 0) ^
          of(t1, b[at + 6] ?? 0) ^
          of(t0, b[at + 7] ?? 0);
      }
      for (; at < b.length; at += 1) crc = of(t0, (crc ^ (b[at] ?? 0)) & 0xff) ^ (crc >>> 8);
    },
    get value() {
      return (crc ^ 0xffffffff) >>> 0;
    },
  };
}

const polynomial = 0x82f63b78;

function makeTables(): Uint32Array[] {
  const first = Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    return crc;
  });
  const tables = [first];
  for (let step = 1; step < 8; step += 1) {
    const before = tables[step - 1] ?? first;
    tables.push(before.map((crc) => (crc >>> 8) ^ (first[crc & 0xff] ?? 0)));
  }
  return tables;
}
