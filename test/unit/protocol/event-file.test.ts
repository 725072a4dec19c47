/** TensorBoard's event files, byte by byte. The lab reads them with readers that are not ours. */
import { describe, expect, test } from 'vitest';
import { crc32c, eventFileHead, scalarEvent } from '../../../src/protocol/event-file.ts';

describe('an event file', () => {
  test('begins with the length of its first event, the masked CRC of that, and the format', () => {
    const head = eventFileHead(1.5);
    expect(head.subarray(0, 12).toString('hex')).toBe('1800000000000000a37f4b22');
    expect(head.subarray(12, 36).toString('hex')).toBe(`09000000000000f83f1a0d${Buffer.from('brain.Event:2').toString('hex')}`);
    expect(head).toHaveLength(40);
  });

  test('has the CRC-32C that its standard gives (RFC 3720, B.4)', () => {
    expect(crc32c(Buffer.alloc(32)).toString(16)).toBe('8a9136aa');
    expect(crc32c(Buffer.alloc(32, 0xff)).toString(16)).toBe('62a8ab43');
    expect(crc32c(Buffer.from('123456789')).toString(16)).toBe('e3069283');
  });

  test.each([
    [0, '00'],
    [300, 'ac02'],
    [2 ** 40, '808080808020'],
    [-1, 'ffffffffffffffffff01'],
  ])('holds the step %d as a varint', (step, varint) => {
    const data = scalarEvent(0, step, { a: 0.5 }).subarray(12, -4).toString('hex');
    expect(data).toBe(`090000000000000000 10${varint} 2a0a 0a08 0a0161 150000003f`.replaceAll(' ', ''));
  });
});
