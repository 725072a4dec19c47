/** Bytes by which lines are told apart. */

export const zero = 0x30;
const nine = 0x39;
export const colon = 0x3a;
export const openBrace = 0x7b;

export function isDigit(byte: number): boolean {
  return byte >= zero && byte <= nine;
}
