/** Numbers of one portion of a log after the other, in memory that is kept: an array that is emptied and filled again would be garbage, megabytes a second. */
export interface IndexList {
  readonly length: number;
  at(index: number): number;
  push(value: number): void;
  clear(): void;
}

const firstRoom = 1024;

/** Of whole numbers below 2^31. */
export function createIndexList(): IndexList {
  let values = new Int32Array(firstRoom);
  let length = 0;
  return {
    get length() {
      return length;
    },
    at: (index) => values[index] as number,
    push(value) {
      if (length === values.length) {
        const larger = new Int32Array(length * 2);
        larger.set(values);
        values = larger;
      }
      values[length] = value;
      length += 1;
    },
    clear() {
      length = 0;
    },
  };
}
