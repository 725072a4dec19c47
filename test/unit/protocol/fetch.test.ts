import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressProblem, isAddress, shownUrl } from '../../../src/protocol/fetch.ts';

describe('addresses', () => {
  it.each([
    'https://example.org/a.tar',
    'https://example.org/?id=1',
    'http://127.0.0.1:8080/a',
    'http://localhost/a',
    'http://[::1]/a',
    'gs://my-bucket/a',
    'gs://my-bucket',
    'gs://my.bucket_1/p/',
  ])('may be %s', (address) => {
    expect(isAddress(address)).toBe(true);
    expect(addressProblem(address)).toBeNull();
  });

  it.each([
    ['http://example.org/a', 'write https://'],
    ['ftp://example.org/a', 'not from ftp://'],
    ['file:///etc/passwd', 'not from file://'],
    ['https://', 'no valid address'],
    ['https://example.org/', 'no file'],
    ['https://example.org/a b', '%20'],
    ['gs://B/x', 'impossible name'],
    ['gs://', 'impossible name'],
    ['http://localhost.example.org/a', 'write https://'],
    ['http://127.0.0.1.example.org/a', 'write https://'],
  ])('can not be %s', (address, why) => expect(addressProblem(address)).toContain(why));

  it.each(['../pets', '/data/pets', 'C:/pets', 'C:\\pets', '~/pets', 'pets:/x'])('are told from the path %s', (path) => expect(isAddress(path)).toBe(false));

  it('are shown without what may be a secret', () => {
    expect(shownUrl('https://ada:pa@ss@example.org/a.tar?X-Signature=abc#x')).toBe('https://example.org/a.tar?...');
    const word = fc.stringMatching(/^[A-Z]{8,12}$/);
    fc.assert(
      fc.property(word, word, word, (user, password, key) => {
        const shown = shownUrl(`https://${user}:${password}@example.org/a?k=${key}`);
        expect([user, password, key].some((secret) => shown.includes(secret))).toBe(false);
      }),
    );
  });
});
