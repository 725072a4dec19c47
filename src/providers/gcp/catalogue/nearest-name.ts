/** The known name that somebody most likely meant. */

/** null: none is near enough to be worth a guess. */
export function nearestName(word: string, known: readonly string[]): string | null {
  const ranked = known.map((name) => ({ name, distance: distance(word, name) })).sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best === undefined || best.distance > Math.max(1, Math.floor(best.name.length / 3)) ? null : best.name;
}

/** Insertions, deletions and replacements (Levenshtein), row by row. */
function distance(one: string, other: string): number {
  let last = Array.from({ length: other.length + 1 }, (_, column) => column);
  for (let row = 1; row <= one.length; row += 1) {
    const next = [row];
    for (let column = 1; column <= other.length; column += 1) {
      const replaced = (last[column - 1] ?? 0) + (one[row - 1] === other[column - 1] ? 0 : 1);
      next.push(Math.min(replaced, (last[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    last = next;
  }
  return last[other.length] ?? 0;
}
