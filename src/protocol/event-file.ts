/**
 * TensorBoard's event files: records of `length, masked CRC of the length, data, masked CRC of the data`, the data being `Event`
 * messages in protobuf's wire format (tensorboard/compat/proto/event.proto and summary.proto). Only scalars are written.
 * Imports nothing.
 */

/** The file's first record: its format. `wallTime` in seconds since the epoch. */
export function eventFileHead(wallTime: number): Buffer {
  return framed(Buffer.concat([double(1, wallTime), text(3, 'brain.Event:2')]));
}

/** One event with a scalar for each name. `wallTime` in seconds since the epoch; `step` is a whole number. */
export function scalarEvent(wallTime: number, step: number, values: Readonly<Record<string, number>>): Buffer {
  const scalars = Object.entries(values).map(([name, value]) => bytes(1, Buffer.concat([text(1, name), float(2, value)])));
  return framed(Buffer.concat([double(1, wallTime), varint((2 << 3) | 0), varint(step), bytes(5, Buffer.concat(scalars))]));
}

function framed(data: Buffer): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(data.length));
  return Buffer.concat([length, maskedCrc(length), data, maskedCrc(data)]);
}

function text(field: number, value: string): Buffer {
  return bytes(field, Buffer.from(value));
}

/** Wire type 2: a length, then as many bytes. */
function bytes(field: number, value: Buffer): Buffer {
  return Buffer.concat([varint((field << 3) | 2), varint(value.length), value]);
}

function double(field: number, value: number): Buffer {
  const buffer = Buffer.alloc(9);
  buffer[0] = (field << 3) | 1;
  buffer.writeDoubleLE(value, 1);
  return buffer;
}

function float(field: number, value: number): Buffer {
  const buffer = Buffer.alloc(5);
  buffer[0] = (field << 3) | 5;
  buffer.writeFloatLE(value, 1);
  return buffer;
}

/** Negative numbers as their 64-bit two's complement, which is how protobuf writes an int64. */
function varint(value: number): Buffer {
  const out: number[] = [];
  let left = BigInt.asUintN(64, BigInt(value));
  for (; left > 0x7fn; left >>= 7n) out.push(Number(left & 0x7fn) | 0x80);
  return Buffer.from([...out, Number(left)]);
}

/** Rotated and added to, so that a CRC over data that holds CRCs is no trivial one (TFRecord's rule). */
function maskedCrc(data: Buffer): Buffer {
  const crc = crc32c(data);
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0);
  return buffer;
}

const castagnoli = 0x82f63b78;
const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ castagnoli : crc >>> 1;
  return crc >>> 0;
});

export function crc32c(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) crc = (crc >>> 8) ^ (crcTable[(crc ^ byte) & 0xff] as number);
  return (crc ^ 0xffffffff) >>> 0;
}
